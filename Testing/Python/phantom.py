"""Phantoms whose truth is known: analytic shapes in the patient's axes, sampled at any geometry.

Positions are millimeters in LPS (x toward the patient's left, y toward the back, z toward the
head), with the origin between the lungs. A shape is a function of position, so an oblique,
flipped or left-handed volume shows the very same anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

AIR, LUNG, FAT, TISSUE, BLOOD, BONE = -1000, -850, -90, 40, 60, 400
IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)


def _rotation(degrees_x: float, degrees_z: float) -> tuple[float, ...]:
    a, b = np.deg2rad([degrees_x, degrees_z])
    around_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    around_z = [[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]]
    return tuple(np.ravel(np.array(around_z) @ np.array(around_x)))


GEOMETRIES = {
    "axial": {},
    "flipped": {"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)},
    "left-handed": {"direction": (1, 0, 0, 0, -1, 0, 0, 0, 1)},
    "upside down": {"direction": (1, 0, 0, 0, 1, 0, 0, 0, -1)},
    "sagittal storage": {
        "direction": (0, 0, 1, 1, 0, 0, 0, -1, 0),
        "spacing": (3.5, 4, 4),
        "size": (76, 78, 104),
    },
    "oblique": {"direction": _rotation(15, 20), "size": (118, 110, 90)},
    "anisotropic": {"spacing": (2.8, 5, 6), "size": (146, 54, 48)},
}
"""Name: arguments of `thorax`."""


@dataclass(frozen=True)
class Phantom:
    """A scan (int16, HU) and its truth (uint8): lungs 1 right, 2 left; airways 1."""

    image: sitk.Image
    lungs: sitk.Image
    airways: sitk.Image

    @property
    def hounsfield(self) -> np.ndarray:
        """The voxels of the scan, (k, j, i)."""
        return sitk.GetArrayFromImage(self.image)


def thorax(
    spacing=(4.0, 3.5, 4.0),
    size=(104, 78, 76),
    direction=IDENTITY,
    *,
    lungs: str = "both",
    touching: bool = False,
    noise: float = 20.0,
    seed: int = 0,
) -> Phantom:
    """A chest with skin, fat, ribs, spine, heart, trachea, vessels in the lungs, and a table.

    Parameters
    ----------
    spacing, size, direction
        As SimpleITK's; the volume is centered on the chest.
    lungs : {"both", "right", "left", "none"}
        A lung that is missing is filled with tissue.
    touching : bool
        Whether the lungs meet in front of the heart with nothing between them.
    noise : float
        Standard deviation in HU.
    seed : int
        Of the noise.
    """
    grid = _Grid(spacing, size, direction)
    x, y, z = grid.positions()
    trachea, wall = _trachea(x, y, z)
    right = _lung(-x, y, z, touching) & ~wall
    left = _lung(x, y, z, touching) & ~wall & ~right
    right &= lungs in ("both", "right")
    left &= lungs in ("both", "left")
    hounsfield = _trunk(x, y, z)
    hounsfield[right | left] = LUNG
    hounsfield[(right | left) & _vessels(x, y, z)] = BLOOD
    hounsfield[wall] = TISSUE
    hounsfield[trachea] = AIR
    labels = np.where(right, 1, np.where(left, 2, 0)).astype(np.uint8)
    image = grid.image(_with_noise(hounsfield, noise, seed))
    return Phantom(image, grid.image(labels), grid.image(trachea.astype(np.uint8)))


def abdomen(noise: float = 20.0) -> sitk.Image:
    """A trunk without lungs, with three pockets of bowel gas."""
    grid = _Grid((4.0, 3.5, 5.0), (104, 78, 40), IDENTITY)
    x, y, z = grid.positions()
    hounsfield = _trunk(x, y, z)
    for center, radii in (((60, -40, 20), (35, 20, 30)), ((-70, -30, -30), (22, 22, 40)),
                          ((0, -60, 40), (50, 14, 18))):  # fmt: skip
        hounsfield[ellipsoid(x, y, z, center, radii)] = AIR
    return grid.image(_with_noise(hounsfield, noise, 0))


def head(noise: float = 20.0) -> sitk.Image:
    """A skull with brain and two sinuses."""
    grid = _Grid((2.5, 2.5, 5.0), (96, 108, 36), IDENTITY)
    x, y, z = grid.positions()
    hounsfield = np.full(x.shape, AIR, np.float32)
    hounsfield[ellipsoid(x, y, z, (0, 0, -20), (80, 100, 110))] = TISSUE
    hounsfield[ellipsoid(x, y, z, (0, 0, -20), (74, 94, 104))] = 1000
    hounsfield[ellipsoid(x, y, z, (0, 0, -20), (67, 87, 97))] = 35
    for side in (-1, 1):
        hounsfield[ellipsoid(x, y, z, (25 * side, -65, -60), (14, 14, 18))] = AIR
    return grid.image(_with_noise(hounsfield, noise, 0))


class _Grid:
    """Voxel positions of a volume that is centered on the origin."""

    def __init__(self, spacing, size, direction):
        self._spacing, self._size, self._direction = spacing, size, direction
        axes = np.reshape(direction, (3, 3)) * spacing
        self._axes = axes
        self._origin = -axes @ ((np.array(size) - 1) / 2)

    def positions(self) -> np.ndarray:
        """(3, k, j, i) float32."""
        k, j, i = np.indices(self._size[::-1], dtype=np.float32)
        index = np.stack([i, j, k]).reshape(3, -1)
        world = self._axes @ index + self._origin[:, None]
        return world.reshape(3, *self._size[::-1]).astype(np.float32)

    def image(self, array: np.ndarray) -> sitk.Image:
        made = sitk.GetImageFromArray(array)
        made.SetSpacing([float(value) for value in self._spacing])
        made.SetOrigin([float(value) for value in self._origin])
        made.SetDirection([float(value) for value in self._direction])
        return made


def ellipsoid(x, y, z, center, radii) -> np.ndarray:
    return sum(
        ((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), center, radii, strict=True)
    ) < 1  # fmt: skip


def _trunk(x, y, z) -> np.ndarray:
    """Body, bones, heart and table, without lungs."""
    hounsfield = np.full(x.shape, AIR, np.float32)
    across = (x / 175) ** 2 + (y / 118) ** 2
    hounsfield[across < 1] = FAT
    hounsfield[across < 0.86] = TISSUE
    rib = (np.abs(across - 0.78) < 0.04) & (np.mod(z + 0.4 * y, 26) < 9)
    hounsfield[rib] = BONE
    hounsfield[(x / 22) ** 2 + ((y - 72) / 20) ** 2 < 1] = BONE
    hounsfield[ellipsoid(x, y, z, (25, -25, -30), (52, 45, 50))] = BLOOD
    table = (np.abs(y - 128 + (x / 60) ** 2) < 4) & (np.abs(x) < 190)
    hounsfield[table & (across >= 1)] = -100
    return hounsfield


def _lung(lateral, y, z, touching: bool) -> np.ndarray:
    """A lung on the side where `lateral` is positive: an ellipsoid less heart and diaphragm."""
    lung = ellipsoid(lateral, y, z, (75, 0, 0), (58, 88, 125))
    diaphragm = ellipsoid(lateral, y, z, (75, -15, -125), (75, 100, 85))
    heart = ellipsoid(lateral, y, z, (0, -15, -30), (60, 55, 55))
    lung = lung & ~diaphragm & ~heart
    if touching:
        tongue = (lateral >= 0) & (lateral < 75) & (np.abs(y + 62) < 9) & (np.abs(z - 25) < 25)
        lung = lung | tongue
    return lung


def _trachea(x, y, z) -> tuple[np.ndarray, np.ndarray]:
    """Lumen and wall of the trachea and the main bronchi."""
    below_carina = np.maximum(0, 30 - z)
    off_axis = np.abs(np.abs(x) - 0.9 * below_carina)
    distance = np.hypot(off_axis, y - 25)
    radius = np.where(z > 30, 9.0, 7.0)
    present = z > -5
    return present & (distance < radius), present & (distance < radius + 4) & (distance >= radius)


def _vessels(x, y, z) -> np.ndarray:
    """Tubes of 3 to 8 mm that run outward from the hilum."""
    vessels = np.zeros(x.shape, bool)
    lateral = np.abs(x)
    for slope_y, slope_z, width in ((0.5, 0.8, 4), (-0.6, 0.3, 3), (0.1, -0.9, 4), (0.8, -0.2, 3)):
        along = lateral - 40
        distance = np.hypot(y - 10 - slope_y * along, z - 15 - slope_z * along)
        vessels |= (along > 0) & (distance < width * (1 - along / 140))
    return vessels


def _with_noise(hounsfield: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Blur a little, as a scanner does, and add noise."""
    blurred = ndimage.gaussian_filter(hounsfield, 0.5)
    noisy = blurred + np.random.default_rng(seed).normal(0, noise, hounsfield.shape)
    return np.rint(noisy).astype(np.int16)

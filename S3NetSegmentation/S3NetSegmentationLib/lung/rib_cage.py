"""The inner wall of the rib cage, seen from the middle of the chest."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from .block_grid import extent
from .fine import FineScan

RAYS = 360
"""Rays in each slice, one a degree: 2.3 mm apart at the wall of a wide chest. Flat from 216
to 576."""

RIB_HU = 120
"""Hounsfield units of bone, at least, on a grid of some 1.4 mm. Flat from 100 to 140."""

BETWEEN_RIBS_MM = (36.0, 28.0)
"""Millimeters from head to foot and along the wall in which there is a rib: ribs lie 25 to 35 apart
and run downward. Flat from 0.8 to 1.25 times as much."""

SMOOTH_WALL_MM = 12.0
"""Millimeters, the standard deviation of the smoothing between the ribs. Flat from 9.6 to 15."""

MAX_STEP_MM = 6.0
"""Millimeters that a rib may lie farther out than those around it; a shoulder blade lies more.
No effect from 4.8 to 7.5."""

LEAST_RIBS = 0.02
"""Minimum weight of ribs within reach of that smoothing; with less, the wall is unknown. No effect
from 0.016 to 0.025."""


class Rays:
    """Rays from a point within the slices, the same in all of them.

    Parameters
    ----------
    shape : tuple of int
        Of a slice, (y, x).
    center : tuple of float
        In pixels, (y, x).
    spacing : tuple of float
        In mm, (y, x).

    Attributes
    ----------
    number : ndarray of int, (y, x)
        The ray of each pixel; the first and the last lead backward, to the spine.
    distance : ndarray of float32, (y, x)
        From the center, in mm.
    """

    def __init__(
        self, shape: tuple[int, int], center: tuple[float, float], spacing: tuple[float, float]
    ):
        y, x = (
            ((np.arange(count) - middle) * size).astype(np.float32)
            for count, middle, size in zip(shape, center, spacing, strict=True)
        )
        self.distance = np.hypot(y[:, None], x)
        turn = np.arctan2(x, -y[:, None]) / (2 * math.pi) + 0.5
        self.number = (turn * RAYS).astype(int) % RAYS
        self._order = np.lexsort((self.distance.ravel(), self.number.ravel()))
        self._distances = self.distance.ravel()[self._order]
        self._numbers = self.number.ravel()[self._order]
        starts = np.searchsorted(self._numbers, np.arange(RAYS))
        self._starts = np.minimum(starts, len(self._numbers) - 1)

    def last(self, mask: np.ndarray) -> np.ndarray:
        """Distance of the last pixel of a mask (z, y, x) on each ray, (z, RAYS); 0 without one."""
        return np.stack(
            [
                np.maximum.reduceat(np.where(along, self._distances, 0), self._starts)
                for along in mask.reshape(len(mask), -1)[:, self._order]
            ]
        )

    def first_beyond(self, mask: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Distance of the first pixel of a mask (z, y, x) beyond `start` (z, RAYS) on each ray.

        Infinite without one.
        """
        found = np.empty(start.shape, np.float32)
        for axial, begin, first in zip(mask, start, found, strict=True):
            ahead = axial.ravel()[self._order] & (self._distances > begin[self._numbers])
            first[:] = np.minimum.reduceat(np.where(ahead, self._distances, np.inf), self._starts)
        return found

    def between(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Pixels of a slice beyond `near` and not beyond `far`, both (RAYS,); (y, x) bool."""
        return (self.distance > near[self.number]) & (self.distance <= far[self.number])


def rays_from_middle(lungs: np.ndarray, spacing: tuple[float, float, float]) -> Rays:
    """Rays from the middle between the lungs (z, y, x), which must not be empty.

    From there the heart and the liver hide no lung: wherever both lie on a ray, the lung is
    the one that is nearer to the wall.
    """
    _, rows, columns = extent(lungs)
    middle = ((rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2)
    return Rays(lungs.shape[1:], middle, spacing[1:])


def inner_wall(outer: np.ndarray, fine: FineScan, rays: Rays) -> np.ndarray:
    """Distance of the inner wall of the rib cage along each ray.

    A slice shows the wall where it cuts a rib; between the ribs, the wall is interpolated smoothly.

    Parameters
    ----------
    outer : ndarray, (z, RAYS)
        Where the lung ends on each ray; 0 where there is none: no wall is looked for there.
    fine : FineScan
    rays : Rays

    Returns
    -------
    ndarray, (z, RAYS)
        In mm; infinite where there is no rib, nor a lung in front of it.
    """
    ribs = rays.first_beyond((fine.hounsfield > RIB_HU) & fine.inside, outer)
    ribs[outer == 0] = np.inf
    if not np.isfinite(ribs).any():
        return ribs
    degree = 2 * math.pi * float(np.median(outer[outer > 0])) / RAYS
    steps = (fine.spacing[0], degree)
    size = [
        max(1, round(reach / step)) | 1 for reach, step in zip(BETWEEN_RIBS_MM, steps, strict=True)
    ]
    # What is farther out than the ribs around it is a shoulder blade.
    wall = ndimage.grey_opening(ribs, size, mode=("nearest", "wrap"))
    known = np.isfinite(ribs) & (ribs <= wall + MAX_STEP_MM)
    reach = [SMOOTH_WALL_MM / step for step in steps]
    total, weight = (
        ndimage.gaussian_filter(each, reach, mode=("nearest", "wrap"))
        for each in (np.where(known, wall, 0), known.astype(np.float32))
    )
    between = np.divide(total, weight, out=np.full_like(wall, np.inf), where=weight > LEAST_RIBS)
    return np.where(outer > 0, np.minimum(wall, between), np.inf)

"""A scan made ready: axial, on the working grid, cropped to the body, airways found."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .airways import find_airways
from .block_grid import BlockGrid, Box, by_axis, extent, widened
from .body import body_mask, field_of_view
from .levels import AIR_HU

COARSE_MM = 5.0
"""Millimeters of the grid on which the body is first looked for: some 80 pixels across. No effect
from 3 to 8."""

LUMEN_MM = 1.4
"""Millimeters of the grid on which the airways are followed; their walls are 1 to 3 thick. Flat
from 0.84 to 2.24."""

MIN_LUMEN_SHARE = 0.3
"""Share of a working voxel that is lumen, from which on it belongs to the airways. Flat from 0.18
to 0.48."""

MIN_SIDE_PIXELS = 3
"""Pixels along each side of an axial slice, at least: the network's kernels have three, and a pixel
at the border sees no neighbors. No effect from 2 to 4."""

MIN_AIR_HU, MAX_AIR_HU = -1100, -900
"""Hounsfield units of air, from a badly calibrated scanner too. Padding lies below, and most of
what the patient wears and lies on above. The first is flat from -1150 to -1000, the second was
-980, which misses the air of a scanner at -962."""

AIR_NOISE_HU = 5
"""Hounsfield units that noise spreads the values of air over, at least. On 17 scans the level is
the same within 3 HU from 3 to 10."""

MIN_FREQUENCY = 0.2
"""Share of the most frequent value of air that a darker one must reach. No effect from 0.05 to 0.4
on 17 scans."""

WALL_PIXELS = 2
"""Working pixels around the airways, whose walls are mixtures. Flat from 1 to 3."""

ASIDE_PIXELS = 2
"""Working pixels from body and padding, beyond which air does not mix with them. No effect from
1 to 3."""


@dataclass(frozen=True)
class Scan:
    """What is known about a scan before clustering. Arrays are (z, y, x) in axial order.

    Attributes
    ----------
    grid : BlockGrid
        The working grid over the whole scan.
    box : tuple of slice
        Part of the working grid, all slices, that contains the body.
    spacing : tuple of float
        Of the working grid in mm, (z, y, x).
    hounsfield : ndarray of float32
        Inside `box`.
    body, airways : ndarray of bool
        Inside `box`.
    lumen_grid : BlockGrid
        A finer grid over the whole scan.
    lumen : ndarray of bool
        Trachea and main bronchi on the whole `lumen_grid`.
    air_level : float
        Hounsfield units of the air around the patient.
    """

    grid: BlockGrid
    box: Box
    spacing: tuple[float, float, float]
    hounsfield: np.ndarray
    body: np.ndarray
    airways: np.ndarray
    lumen_grid: BlockGrid
    lumen: np.ndarray
    air_level: float

    @cached_property
    def beside_airways(self) -> np.ndarray:
        """The airways and the pixels next to them."""
        grown = self.airways.copy()
        if grown.any():
            near = widened(extent(grown), 1)
            grown[near] = ndimage.binary_dilation(grown[near])
        return grown

    @cached_property
    def near_airways(self) -> np.ndarray:
        """The airways with their walls, which are mixtures that look like lung."""
        return ndimage.binary_dilation(self.airways, iterations=WALL_PIXELS)

    def without_airways(self) -> Scan:
        """The same scan as if no airways had been found."""
        airways, lumen = np.zeros_like(self.airways), np.zeros_like(self.lumen)
        return replace(self, airways=airways, lumen=lumen)

    def paste(self, array: np.ndarray) -> np.ndarray:
        """An array inside `box`, repeated to the voxels of the scan; zero outside the box."""
        return self.grid.up(self.whole(array))

    def whole(self, array: np.ndarray) -> np.ndarray:
        """An array inside `box` on the whole working grid; zero outside the box."""
        whole = np.zeros(self.grid.coarse_shape, array.dtype)
        whole[self.box] = array
        return whole

    def centers(self, array: np.ndarray) -> np.ndarray:
        """The voxel in the middle of each block inside `box`: the inverse of `paste`."""
        return self.grid.centers(array)[self.box]

    @cached_property
    def to_working(self) -> np.ndarray:
        """Matrix (4, 4) from an index of the scan to one inside `box`."""
        matrix = np.diag([*(1 / size for size in self.grid.block), 1])
        first = [part.start or 0 for part in self.box]
        matrix[:3, 3] = [
            (1 - size) / 2 / size - start
            for size, start in zip(self.grid.block, first, strict=True)
        ]
        return matrix

    def around(self, mask: np.ndarray, margin: int) -> tuple[Scan, Box, Box]:
        """The part of the scan around a mask, on which work is faster.

        Parameters
        ----------
        mask : ndarray of bool, (z, y, x)
            Inside `box`, not empty.
        margin : int
            Pixels around it within the slices.

        Returns
        -------
        Scan
            With its own grid; its lumen is still that of the whole scan.
        tuple of slice
            Where its pixels lie inside `box`.
        tuple of slice
            Where its voxels lie on the scan's own grid.
        """
        inside = by_axis(
            slice(max(0, part.start - more), min(part.stop + more, count))
            for part, more, count in zip(extent(mask), (0, margin, margin), mask.shape, strict=True)
        )
        first = [part.start or 0 for part in self.box]
        grid, fine = self.grid.part(
            slice(start + part.start, start + part.stop)
            for start, part in zip(first, inside, strict=True)
        )
        part = replace(
            self,
            grid=grid,
            box=(slice(None),) * 3,
            hounsfield=self.hounsfield[inside],
            body=self.body[inside],
            airways=self.airways[inside],
        )
        return part, inside, fine

    def to_arrays(self) -> tuple[dict, dict[str, np.ndarray]]:
        """A description as JSON, and the arrays by name."""
        description = {
            "shape": self.grid.shape,
            "block": self.grid.block,
            "box": [(part.start, part.stop) for part in self.box],
            "spacing": self.spacing,
            "lumen_block": self.lumen_grid.block,
            "air_level": self.air_level,
        }
        arrays = {name: getattr(self, name) for name in ("hounsfield", "body", "airways", "lumen")}
        return description, arrays

    @classmethod
    def from_arrays(cls, description: dict, arrays: dict[str, np.ndarray]) -> Scan:
        """The inverse of `to_arrays`; other arrays are ignored."""
        grid, box = _place(description)
        return cls(
            grid,
            box,
            by_axis(description["spacing"]),
            arrays["hounsfield"],
            arrays["body"],
            arrays["airways"],
            BlockGrid(grid.shape, by_axis(description["lumen_block"])),
            arrays["lumen"],
            description["air_level"],
        )

    def to_text(self) -> str:
        """All but the intensities, so short that a node of a scene can keep it."""
        description, arrays = self.to_arrays()
        del arrays["hounsfield"]
        masks = {name: packed(mask) for name, mask in arrays.items()}
        return json.dumps({**description, "masks": masks})

    @classmethod
    def from_text(cls, text: str, hounsfield: np.ndarray) -> Scan:
        """The inverse of `to_text`.

        Parameters
        ----------
        text : str
        hounsfield : ndarray, (z, y, x)
            The whole scan in axial order.
        """
        description = json.loads(text)
        arrays = {name: unpacked(*mask) for name, mask in description["masks"].items()}
        grid, box = _place(description)
        arrays["hounsfield"] = grid.down(hounsfield)[box]
        return cls.from_arrays(description, arrays)


def _place(description: dict) -> tuple[BlockGrid, Box]:
    """The working grid of a scan that was stored, and its box there."""
    grid = BlockGrid(by_axis(description["shape"]), by_axis(description["block"]))
    return grid, by_axis(slice(*part) for part in description["box"])


def packed(array: np.ndarray) -> tuple[str, tuple[int, ...], str]:
    """An array of bool or uint8 as type, shape, and text."""
    values = np.packbits(array) if array.dtype == bool else array
    text = base64.b64encode(zlib.compress(values.tobytes())).decode("ascii")
    return array.dtype.name, array.shape, text


def unpacked(kind: str, shape: Iterable[int], text: str) -> np.ndarray:
    """The inverse of `packed`."""
    shape = tuple(shape)
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    if kind == "bool":
        values = np.unpackbits(values, count=math.prod(shape)).astype(bool)
    return values.reshape(shape)


def prepare(hounsfield: np.ndarray, spacing: tuple[float, float, float], working_size: int) -> Scan:
    """Find the body and the airways, and choose the working grid.

    Parameters
    ----------
    hounsfield : ndarray, (z, y, x)
        In axial order.
    spacing : tuple of float
        In mm, (z, y, x).
    working_size : int
        Pixels along the longer side of the body, about.

    Raises
    ------
    InputError
        If there is no body, or almost none.
    """
    grid = _working_grid(hounsfield, spacing, working_size)
    working = grid.down(hounsfield)
    body = body_mask(working, grid.coarse_spacing(spacing))
    box = _bounding_box(body)
    _check_size(body[box].shape)
    lumen_grid = BlockGrid.in_plane(hounsfield.shape, spacing, LUMEN_MM)
    lumen = find_airways(
        lumen_grid.down(hounsfield),
        lumen_grid.down(grid.up_slices(body)) > 0.5,
        lumen_grid.coarse_spacing(spacing),
    )
    airways = grid.down(lumen_grid.up_slices(lumen)) > MIN_LUMEN_SHARE
    return Scan(
        grid,
        box,
        grid.coarse_spacing(spacing),
        working[box].copy(),  # it may be a view of an image that its owner lets go
        body[box],
        airways[box],
        lumen_grid,
        lumen,
        _air_level(working, field_of_view(working) & ~body),
    )


def _working_grid(
    hounsfield: np.ndarray, spacing: tuple[float, float, float], working_size: int
) -> BlockGrid:
    """The grid on which the longer side of the body has about `working_size` pixels."""
    coarse = BlockGrid.in_plane(hounsfield.shape, spacing, COARSE_MM)
    _check_size(coarse.coarse_shape)
    body = body_mask(coarse.down(hounsfield), coarse.coarse_spacing(spacing))
    _, rows, columns = _bounding_box(body)
    _, height, width = coarse.coarse_spacing(spacing)
    longer = max((rows.stop - rows.start) * height, (columns.stop - columns.start) * width)
    return BlockGrid.in_plane(hounsfield.shape, spacing, longer / working_size)


def _check_size(shape: tuple[int, int, int]) -> None:
    """Refuse axial slices with too few pixels, as from a single coronal slice."""
    if min(shape[1:]) < MIN_SIDE_PIXELS:
        raise InputError(
            "The axial slices of this volume show too little of a body; choose more of the chest, "
            "and check the size of the voxels."
        )


def _air_level(hounsfield: np.ndarray, outside: np.ndarray) -> float:
    """The darkest of the frequent values of air; what is under the patient may have another."""
    aside = ndimage.binary_erosion(outside, np.ones((1, 3, 3), bool), ASIDE_PIXELS)
    values = hounsfield[aside]
    air = values[(values > MIN_AIR_HU) & (values < MAX_AIR_HU)]
    if not air.size:
        return float(AIR_HU)
    counts = np.bincount(np.rint(air - MIN_AIR_HU).astype(int)).astype(float)
    smooth = ndimage.gaussian_filter1d(counts, AIR_NOISE_HU, mode="constant")
    peaks = (smooth == ndimage.maximum_filter1d(smooth, 4 * AIR_NOISE_HU + 1)) & (
        smooth >= MIN_FREQUENCY * smooth.max()
    )
    return float(MIN_AIR_HU + peaks.argmax())


def _bounding_box(body: np.ndarray) -> Box:
    """All slices; the rows and columns of the body and one more on each side."""
    if not body.any():
        raise InputError("No body was found in this image; choose a CT of the chest.")
    rows, columns = widened(extent(body)[1:], 1)
    return slice(None), rows, columns

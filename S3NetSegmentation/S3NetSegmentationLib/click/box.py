"""The box around a click on a coarser working grid, and the intensity of the clicked tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..lung.block_grid import BlockGrid, Box, by_axis

HALF_MM = 40.0
"""Distance from the click to each face of the box."""

WORKING_MM = 1.5
"""Smaller voxels are averaged in blocks of about this size."""

NEAR_MM = 4.0
"""Radius of the neighborhood that represents the clicked tissue."""

LEAST_SPREAD = 0.005
"""Minimum spread of the clicked tissue, as a share of the range of values in the box: about 10 HU
in a chest. In a neighborhood of few voxels, the spread may be too small by chance."""

TO_DEVIATION = 1.4826
"""Ratio of standard deviation and median absolute deviation of a normal distribution."""


@dataclass(frozen=True)
class ClickedBox:
    """The voxels around a click on the working grid.

    Attributes
    ----------
    grid : BlockGrid
    values : ndarray of float32, (z, y, x)
    spacing : ndarray, (3,)
        In mm, by axis.
    index : tuple of int
        The clicked voxel.
    median, spread : float
        Intensity of the clicked tissue and its standard deviation.
    """

    grid: BlockGrid
    values: np.ndarray
    spacing: np.ndarray
    index: tuple[int, int, int]
    median: float
    spread: float

    @classmethod
    def of(cls, voxels: np.ndarray, spacing: Sequence[float], index: Sequence[int]) -> ClickedBox:
        """Reduce a box to the working grid.

        Parameters
        ----------
        voxels : ndarray, (z, y, x)
            The voxels in the box.
        spacing : sequence of float
            Their size in mm, by axis.
        index : sequence of int
            The clicked voxel.
        """
        block = by_axis(max(1, round(WORKING_MM / size)) for size in spacing)
        grid = BlockGrid(by_axis(voxels.shape), block)
        values = grid.down(voxels)
        coarse = np.array(spacing) * block
        clicked = by_axis(i // size for i, size in zip(index, block, strict=True))
        near = neighborhood(values, coarse, clicked, NEAR_MM)
        median = float(np.median(near))
        low, high = np.percentile(values, [1, 99])
        spread = TO_DEVIATION * float(np.median(np.abs(near - median)))
        least = LEAST_SPREAD * float(high - low) or 1.0
        return cls(grid, values, coarse, clicked, median, max(spread, least))

    def smoothed(self, array: np.ndarray, millimeters: float) -> np.ndarray:
        """An array on the working grid, smoothed by a Gaussian of this standard deviation."""
        return ndimage.gaussian_filter(array, millimeters / self.spacing, truncate=3)


def box_around(shape: Sequence[int], spacing: Sequence[float], index: Sequence[int]) -> Box:
    """The box of voxels around a click, clipped to the array.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array (z, y, x).
    spacing : sequence of float
        Size of a voxel in mm, by axis.
    index : sequence of int
        The clicked voxel.

    Raises
    ------
    InputError
        If the click lies outside the array.
    """
    if not all(0 <= i < count for i, count in zip(index, shape, strict=True)):
        raise InputError("The click lies outside the volume; click inside it.")
    half = [max(1, round(HALF_MM / size)) for size in spacing]
    return by_axis(
        slice(max(0, i - reach), min(count, i + reach + 1))
        for i, reach, count in zip(index, half, shape, strict=True)
    )


def neighborhood(
    array: np.ndarray, spacing: np.ndarray, index: Sequence[int], millimeters: float
) -> np.ndarray:
    """The values of an array (z, y, x) in a ball around a voxel, (n,)."""
    squares = [
        ((np.arange(count) - i) * size) ** 2
        for i, size, count in zip(index, spacing, array.shape, strict=True)
    ]
    return array[np.add.outer(np.add.outer(squares[0], squares[1]), squares[2]) <= millimeters**2]

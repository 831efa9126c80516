"""The scan on the grid of the airways: finer than the network's, coarse enough to be quick."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .block_grid import BlockGrid, by_axis
from .scan import Scan

SMOOTHING_MM = 1.5
"""Millimeters over which noise and the texture of a disease are averaged. 1.0 is as good within
0.0013 Dice."""


@dataclass(frozen=True)
class FineScan:
    """The input of the steps after the network. Arrays are (z, y, x) in axial order.

    Attributes
    ----------
    grid : BlockGrid
        Some 1.4 mm wide, over the whole scan.
    spacing : tuple of float
        In mm, (z, y, x).
    hounsfield : ndarray of float32
    inside : ndarray of bool
        The body without the airways and their walls.
    """

    grid: BlockGrid
    spacing: tuple[float, float, float]
    hounsfield: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, scan: Scan, hounsfield: np.ndarray) -> FineScan:
        """From a scan and its voxels (z, y, x) in axial order."""
        grid = scan.lumen_grid
        inside = scan.whole(scan.body & ~scan.near_airways)
        return cls(
            grid,
            by_axis(np.multiply(scan.spacing, np.divide(grid.block, scan.grid.block))),
            grid.down(hounsfield),
            grid.down(scan.grid.up_slices(inside)) > 0.5,
        )

    @cached_property
    def smooth(self) -> np.ndarray:
        """`hounsfield` without noise, within the slices."""
        widths = [SMOOTHING_MM / size for size in self.spacing[1:]]
        return ndimage.gaussian_filter(self.hounsfield, (0, *widths))

    def pixels(self, millimeters: float, least: int = 1) -> tuple[int, int]:
        """How many rows and columns are about so long, and at least so many."""
        rows, columns = (max(least, round(millimeters / size)) for size in self.spacing[1:])
        return rows, columns

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in milliliters."""
        return float(np.prod(self.spacing)) / 1000

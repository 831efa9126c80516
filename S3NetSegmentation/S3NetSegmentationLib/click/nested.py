"""Nested regions, from small to large; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..lung.block_grid import Box

LEVELS = 60
"""Number of sizes to choose from."""


@dataclass(frozen=True)
class Regions:
    """Nested regions around a click.

    Attributes
    ----------
    box : tuple of slice
        Their place in the clicked array.
    joins : ndarray of uint8, (z, y, x)
        The level, 1 to `LEVELS`, at which each voxel of the box joins.
    level : int
        The initial level.
    """

    box: Box
    joins: np.ndarray
    level: int

    def mask(self, level: int | None = None) -> np.ndarray:
        """The voxels of the box that belong to the region of a level, by default of `level`."""
        return self.joins <= (self.level if level is None else level)

    def on(self, shape: Sequence[int], level: int | None = None) -> np.ndarray:
        """The region as a mask of the shape of the clicked array."""
        whole = np.zeros(shape, bool)
        whole[self.box] = self.mask(level)
        return whole

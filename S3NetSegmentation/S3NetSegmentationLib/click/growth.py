"""Growth from the clicked voxel: at which size of the region each voxel joins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .nested import LEVELS

SMALLEST_ML = 0.05
"""Volume of the smallest region."""

FIRST = (25, 42)
"""Range of the initial level: about 1 to 30 mL in a box of 8 cm."""

DIFFERENT = 2.0
"""Unlikeness of what is clearly not the clicked tissue."""

STEADY = 0.05
"""Effort of a step of 1 mm through the same tissue; keeps the growth even."""

EDGE_MM = 2.0
"""How far a region may extend into a mixture of itself and the surroundings."""

BEYOND_MM = 4.0
"""How far away to look for the surroundings."""


def efforts(unlike: np.ndarray, spacing: np.ndarray, index: Sequence[int]) -> np.ndarray:
    """Effort of the easiest path from the clicked voxel to each other one, (z, y, x).

    A step costs the square of the unlikeness, so the region fills similar tissue before it leaks.
    """
    speed = sitk.GetImageFromArray((1 / (STEADY + unlike**2)).astype(np.float32))
    speed.SetSpacing([float(size) for size in spacing[::-1]])
    marching = sitk.FastMarchingImageFilter()
    marching.SetTrialPoints([tuple(int(i) for i in index[::-1])])
    return sitk.GetArrayFromImage(marching.Execute(speed)).astype(np.float32)


def with_edges(
    effort: np.ndarray, voxels: np.ndarray, spacing: Sequence[float], clicked: float
) -> np.ndarray:
    """Let voxels at the edge join with their neighbors if they resemble the region more.

    A mixture of the clicked tissue and the surroundings belongs to the more similar of the two.

    Parameters
    ----------
    effort : ndarray of float32, (z, y, x)
    voxels : ndarray, (z, y, x)
        Intensities at the same resolution.
    spacing : sequence of float
        In mm, by axis.
    clicked : float
        Intensity of the clicked tissue.
    """
    deviation = np.abs(voxels - np.float32(clicked))
    beyond = ndimage.maximum_filter(deviation, _window(spacing, BEYOND_MM))
    neighbor = ndimage.minimum_filter(effort, _window(spacing, EDGE_MM))
    return np.where(deviation < beyond / 2, np.minimum(effort, neighbor), effort)


def levels_of(effort: np.ndarray, voxel_ml: float) -> np.ndarray:
    """The level at which each voxel joins: even steps in the logarithm of the volume.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        1 to `LEVELS`.
    """
    order = np.sort(effort, axis=None)
    volume = np.searchsorted(order, effort, side="right") * voxel_ml
    smallest = min(SMALLEST_ML, order.size * voxel_ml / 2)
    share = np.log(volume / smallest) / np.log(order.size * voxel_ml / smallest)
    return (1 + np.ceil(np.clip(share, 0, 1) * (LEVELS - 1))).astype(np.uint8)


def first_level(joins: np.ndarray, unlike: np.ndarray) -> int:
    """The initial level: the last one before the joining voxels are `DIFFERENT`.

    Parameters
    ----------
    joins : ndarray of uint8, (z, y, x)
        From `levels_of`.
    unlike : ndarray of float32, (z, y, x)
        Unlikeness of each voxel.
    """
    present = np.unique(joins)
    levels = present[(FIRST[0] <= present) & (present <= FIRST[1])]
    if not len(levels):
        return FIRST[1]
    different = np.flatnonzero(ndimage.mean(unlike, joins, levels) > DIFFERENT)
    return int(levels[max(0, different[0] - 1)] if len(different) else levels[-1])


def _window(spacing: Sequence[float], millimeters: float) -> list[int]:
    """Size in voxels of a window that reaches so far, at least to the nearest neighbors."""
    reach = max(millimeters, min(spacing))
    return [1 + 2 * int(reach // size) for size in spacing]

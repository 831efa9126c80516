"""Dense lung at the ribs: it lies between aerated lung and the chest wall, and contains air."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .block_grid import CROSS
from .fine import FineScan
from .haze import opened
from .rib_cage import inner_wall, rays_from_middle

SOLID_MM = 4.0
"""Millimeters: thinner parts are not aerated lung, but air in the bronchi of dense lung. At 3.2,
the same within 0.0004 Dice; 5 takes 64 mL more of an infection in."""

MIN_DEPTH_MM = 6.0
"""Millimeters by which the lung ends before the wall, beyond what it does elsewhere. Flat from 4.8
to 7.5."""

RIM_MM = 3.0
"""Millimeters of the same at the rim of a pocket. Flat from 1.8 to 4.8."""

RIM_PLACES = 2
"""Rays and slices that the rim may be wide. Flat from 1 to 3."""

MIN_ENCLOSED = 0.75
"""Share of a pocket's rim along which lung reaches the wall. No effect from 0.65 to 0.85."""

MAX_POCKET_HU = -30
"""Hounsfield units, the median of a pocket: darker than muscle and fluid. No effect from -80 on."""

MAX_BUBBLE_HU, MIN_BUBBLE_SHARE = -200, 0.02
"""Hounsfield units, darker than any fat, and the share of a pocket that is: it holds air. In fat
between lung and ribs it is 0.00. The first has no effect from -250 to -150, the second up to 0.1,
or 0.04 with `border` 0.7."""

MIXED_PIXELS = 2
"""Pixels beside aerated lung that are mixtures of it. No effect from 1 to 3."""

MIN_POCKET_ML = 15.0
"""Milliliters of a pocket that is worth taking in; many smaller ones lie beside the vertebrae. No
effect from 13 to 24."""

ALL_AROUND = np.ones((3, 3), bool)
"""The rays and slices beside, the diagonal ones, too."""


def find_pockets(lungs: np.ndarray, fine: FineScan) -> np.ndarray:
    """Pneumonia and the like at the ribs, as dense as tissue, but for the air in it.

    The lung reaches the wall of the chest everywhere, but for a layer that is nearly equally thin
    in one patient. Where it ends earlier, and reaches the wall all around, something lies between
    them: lung that a disease fills, if it contains air. Fluid and masses, which contain none, are
    not included.

    Parameters
    ----------
    lungs : ndarray of bool, (z, y, x)
        The lungs so far, on the grid of `fine`.
    fine : FineScan

    Returns
    -------
    ndarray of bool, (z, y, x)
    """
    rows, columns = fine.pixels(SOLID_MM, 2)
    solid = np.stack([opened(axial, rows, columns) for axial in lungs])
    found = np.zeros_like(lungs)
    if not solid.any():
        return found
    rays = rays_from_middle(solid, fine.spacing)
    outer = rays.last(solid)
    wall = inner_wall(outer, fine, rays)
    has_wall = np.isfinite(wall)
    if not has_wall.any():
        return found
    depth = np.where(has_wall, wall - outer, 0)
    usual = float(np.median(depth[has_wall]))
    deep = ndimage.binary_opening(has_wall & (depth >= usual + MIN_DEPTH_MM), np.ones((1, 3)))
    rim = has_wall & (depth >= usual + RIM_MM)
    pockets, _ = ndimage.label(deep)
    for number in range(1, int(pockets.max()) + 1):
        pocket = pockets == number
        around = ndimage.binary_dilation(pocket, ALL_AROUND) & ~pocket
        if (has_wall & ~deep)[around].mean() < MIN_ENCLOSED:
            continue
        pocket = ndimage.binary_dilation(pocket, ALL_AROUND, RIM_PLACES, mask=rim)
        slices = np.flatnonzero(pocket.any(1))
        ends = np.where(pocket, wall - usual, 0)[slices]
        filled = fine.inside[slices] & ~solid[slices]
        for axial, near, far in zip(filled, outer[slices], ends, strict=True):
            axial &= rays.between(near, far)
        large = np.count_nonzero(filled) * fine.voxel_ml >= MIN_POCKET_ML
        if large and _is_lung(filled, solid[slices], fine.smooth[slices]):
            found[slices] |= filled
    return found


def _is_lung(filled: np.ndarray, solid: np.ndarray, values: np.ndarray) -> bool:
    """Whether a pocket is darker than muscle and contains air."""
    # Beside the lung a pixel is a mixture.
    own = values[filled & ~ndimage.binary_dilation(solid, CROSS, MIXED_PIXELS)]
    return bool(
        own.size
        and np.median(own) <= MAX_POCKET_HU
        and (own < MAX_BUBBLE_HU).mean() >= MIN_BUBBLE_SHARE
    )

"""Gas in stomach and bowel, which is as dark as lung."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .block_grid import CROSS, Box, widened
from .levels import GAS_MARGIN_HU
from .scan import Scan

DARKEST_PERCENT, NEARLY_ALL_PERCENT = 10, 90
"""Percent of a piece: the part of a small one that must be air, and that of a large one. The first
has no effect from 1 to 19, the second is flat from 81 to 95."""

AIRY_MARGIN_HU, EMPTY_MARGIN_HU = 80, 60
"""Hounsfield units about the air around the patient: gas that scatter brightens is below the first,
and nearly all of it, what lies in it too, below the second. No effect from 48 to 128 and from 36 to
96."""

MIN_GAS_ML = 5.0
"""Milliliters of gas beside the lungs that are worth a look; as much as an island of lung. No
effect from 3 to 8."""

MIN_WALL_SHARE = 2 / 3
"""Share of what surrounds gas within the slices that is not lung, at least. No effect from 0.4 to
1."""

LOWEST_PERCENT = 25
"""Percent of the lungs that may lie below stomach and bowel; bullae lie higher. No effect from 16
to 34."""

RIM_PIXELS = 2
"""Pixels of the working grid around gas in which it mixes with the wall. No effect from 1 to 3."""


def is_gas(hounsfield: np.ndarray, piece: np.ndarray, air: float, small: bool) -> bool:
    """Whether a piece that was taken for lung contains nothing but air.

    The rim of a small piece is a mixture of air and wall, so only its darkest part counts.
    A large piece must be air throughout, since emphysema is dark in part.

    Parameters
    ----------
    hounsfield : ndarray, (z, y, x)
    piece : ndarray of bool, (z, y, x)
    air : float
        Hounsfield units of the air around the patient.
    small : bool
    """
    if small:
        return np.percentile(hounsfield[piece], DARKEST_PERCENT) < air + GAS_MARGIN_HU
    interior = ndimage.binary_erosion(piece)
    values = hounsfield[interior if interior.any() else piece]
    return np.percentile(values, NEARLY_ALL_PERCENT) < air + GAS_MARGIN_HU


def bowel_gas(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """Gas that touches the lungs, with its rim: air with nothing in it, low down, in a wall.

    A bulla is surrounded mostly by lung, and emphysema also contains vessels. A scan that cuts the
    gas at both ends shows too little of it.

    Parameters
    ----------
    lungs : ndarray of bool, (z, y, x)
        The lungs so far, on the working grid.
    scan : Scan

    Returns
    -------
    ndarray of bool, (z, y, x)
    """
    gas = np.zeros_like(lungs)
    pieces, _ = ndimage.label(lungs & (scan.hounsfield < scan.air_level + AIRY_MARGIN_HU))
    least = MIN_GAS_ML * 1000 / np.prod(scan.spacing)
    large = np.bincount(pieces.ravel()) >= least
    if not large[1:].any():
        return gas
    heights = np.repeat(np.arange(len(lungs)), lungs.sum((1, 2)))
    lowest = np.percentile(heights, LOWEST_PERCENT)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        length = box[0].stop - box[0].start
        if not large[number] or length == len(lungs) or box[0].start + length / 2 > lowest:
            continue
        near = (box[0], *widened(box[1:], RIM_PIXELS + 1))
        air = pieces[near] == number
        if _is_walled(air, lungs[near]) and _is_empty(air, scan, near):
            gas[near] |= ndimage.binary_dilation(air, CROSS, RIM_PIXELS)
    return gas


def _is_walled(air: np.ndarray, lungs: np.ndarray) -> bool:
    with_rim = ndimage.binary_dilation(air, CROSS, RIM_PIXELS)
    around = ndimage.binary_dilation(with_rim, CROSS) & ~with_rim
    return bool(np.mean(~lungs[around]) > MIN_WALL_SHARE)


def _is_empty(air: np.ndarray, scan: Scan, near: Box) -> bool:
    filled = np.stack([ndimage.binary_fill_holes(axial) for axial in air])
    interior = scan.hounsfield[near][ndimage.binary_erosion(filled, CROSS)]
    return bool(
        interior.size
        and np.percentile(interior, NEARLY_ALL_PERCENT) < scan.air_level + EMPTY_MARGIN_HU
    )

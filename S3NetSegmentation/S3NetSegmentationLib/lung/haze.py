"""Hazy lung: brighter than lung and darker than fat, in bulk, beside the lungs."""

from __future__ import annotations

import numpy as np

from .fine import FineScan
from .levels import AIR_OR_LUNG_HU

MIN_HAZE_HU, MAX_HAZE_HU = -700, -170
"""Hounsfield units of lung that a disease fills in part. Nothing else in a chest has them but
the mixtures at borders, and stool; fat begins beyond. From -600 on, or up to -150: at most 0.002
Dice less."""

THICK_MM, MIN_THICK_PIXELS = 4.0, 3
"""Millimeters and pixels: what is less thick may be a mixture of lung and tissue. 3 mm is the
same, 5 and 6 mm lose 0.003 Dice at most."""


def find_haze(lungs: np.ndarray, fine: FineScan) -> np.ndarray:
    """Haze in bulk, whether it touches the lungs or not.

    Parameters
    ----------
    lungs : ndarray of bool, (z, y, x)
        The lungs so far, on the grid of `fine`.
    fine : FineScan

    Returns
    -------
    ndarray of bool, (z, y, x)
    """
    values = fine.smooth
    hazy = fine.inside & ~lungs & (values > MIN_HAZE_HU) & (values < MAX_HAZE_HU)
    rows, columns = fine.pixels(THICK_MM, MIN_THICK_PIXELS)
    thick = np.stack([opened(axial, rows, columns) for axial in hazy])
    if len(thick) > 1:
        thick &= ~single(thick)
        thick &= (values < AIR_OR_LUNG_HU) | ~_slope(hazy, lungs)
    return thick


def _slope(hazy: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """Haze of one or two slices between lung and tissue, as a sloping border mixes them."""
    slope = np.zeros_like(hazy)
    tissue = ~hazy & ~lungs
    for above, below in ((lungs, tissue), (tissue, lungs)):
        slope[1:-1] |= below[:-2] & hazy[1:-1] & above[2:]
        both = below[:-3] & hazy[1:-2] & hazy[2:-1] & above[3:]
        slope[1:-2] |= both
        slope[2:-1] |= both
    return slope


def single(mask: np.ndarray) -> np.ndarray:
    """The part of a mask (z, y, x) that continues neither in the slice above nor below.

    A dome that ends in a slice is a wide mixture there, but in no other slice.
    """
    single = mask.copy()
    single[1:] &= ~mask[:-1]
    single[:-1] &= ~mask[1:]
    return single


def opened(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Binary opening of a mask (y, x) with a block of pixels; far faster than SciPy's."""
    fits = mask
    for _ in range(rows - 1):
        fits = fits[1:] & fits[:-1]
    for _ in range(columns - 1):
        fits = fits[:, 1:] & fits[:, :-1]
    if not fits.any():
        return np.zeros_like(mask)
    grown = np.pad(fits, ((rows - 1,) * 2, (columns - 1,) * 2))
    for _ in range(rows - 1):
        grown = grown[1:] | grown[:-1]
    for _ in range(columns - 1):
        grown = grown[:, 1:] | grown[:, :-1]
    return grown

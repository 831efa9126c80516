"""Hazy lung: brighter than lung and darker than fat, in bulk, beside the lungs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .scan import Scan

MIN_HAZE_HU, MAX_HAZE_HU = -700, -170
"""Hounsfield units of lung that a disease fills in part. Nothing else in a chest has them but
the mixtures at borders, and stool; fat begins beyond. From -600 on, or up to -150: at most 0.002
Dice less."""

SMOOTHING_MM = 1.5
"""Millimeters over which noise and the texture of the disease are averaged. 1.0 is as good within
0.0013 Dice."""

THICK_MM, MIN_THICK_PIXELS = 4.0, 3
"""Millimeters and pixels: what is less thick may be a mixture of lung and tissue. 3 mm is the
same, 5 and 6 mm lose 0.003 Dice at most."""

MIN_HAZE_ML = 1.0
"""Milliliters of haze that are worth taking in. Not measured."""


def add_haze(decided: np.ndarray, scan: Scan, hounsfield: np.ndarray) -> None:
    """Take the haze that touches the lungs in, in place.

    Parameters
    ----------
    decided : ndarray of uint8, (z, y, x)
        At full resolution: 0 background, 1 right lung, 2 left lung.
    scan : Scan
    hounsfield : ndarray, (z, y, x)
        At full resolution.
    """
    grid = scan.lumen_grid
    lungs = grid.down(decided > 0) > 0.5
    spacing = np.multiply(scan.spacing, np.divide(grid.block, scan.grid.block))
    values = ndimage.gaussian_filter(grid.down(hounsfield), (0, *(SMOOTHING_MM / spacing[1:])))
    beside = scan.whole(scan.body & ~scan.near_airways)
    inside = grid.down(scan.grid.up_slices(beside)) > 0.5
    hazy = inside & ~lungs & (values > MIN_HAZE_HU) & (values < MAX_HAZE_HU)
    rows, columns = (max(MIN_THICK_PIXELS, round(THICK_MM / size)) for size in spacing[1:])
    thick = np.stack([opened(axial, rows, columns) for axial in hazy])
    if len(thick) > 1:
        thick &= ~single(thick)
    pieces, count = ndimage.label(thick)
    if count:
        side = _sides(pieces, count, grid.centers(decided))
        side[np.bincount(pieces.ravel()) < MIN_HAZE_ML * 1000 / np.prod(spacing)] = 0
        for axial, taken in zip(decided, grid.up_slices(side[pieces]), strict=True):
            axial[:] = np.where(axial > 0, axial, taken)


def _sides(pieces: np.ndarray, count: int, decided: np.ndarray) -> np.ndarray:
    """For each piece, by number, the lung that it touches most; 0 where it touches none."""
    touching = np.zeros((count + 1, 3), np.int64)
    for axis in range(3):
        for step in (1, -1):
            one, other = (np.moveaxis(each, axis, 0)[::step] for each in (pieces, decided))
            beside = (one[1:] > 0) & (other[:-1] > 0)
            np.add.at(touching, (one[1:][beside], other[:-1][beside]), 1)
    return np.where(touching.any(1), touching.argmax(1), 0).astype(np.uint8)


def single(mask: np.ndarray) -> np.ndarray:
    """What of a mask (z, y, x) goes on in neither of the slices above and below.

    A dome that ends in a slice is a wide mixture, but in no other slice at the same place.
    """
    single = mask.copy()
    single[1:] &= ~mask[:-1]
    single[:-1] &= ~mask[1:]
    return single


def opened(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """What of a mask (y, x) a block of so many pixels fits into; far faster than scipy's."""
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

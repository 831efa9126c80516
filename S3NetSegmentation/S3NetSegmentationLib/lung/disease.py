"""Lung that a disease fills in part, which the network takes for tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .block_grid import CROSS, by_axis, extent, widened
from .fine import FineScan
from .haze import MAX_HAZE_HU, find_haze
from .levels import AIR_HU, SOFT_TISSUE_HU
from .pockets import find_pockets
from .scan import Scan

MIN_ADDED_ML = 1.0
"""Milliliters of haze that are worth taking in. Flat from 0.6 to 1.6."""

DENSE_LUNG_HU = -600
"""Hounsfield units from which on lung is too dense (Podolanczuk et al., Eur Respir J 2016). On no
plateau: at -700, diseased chests gain 0.001 Dice, and the border of healthy ones moves."""

BESIDE_MM = 4.0
"""Millimeters, the standard deviation of the weights of the lung beside a border. Flat from 3 to
6."""

LEAST_WEIGHT = 0.02
"""Minimum weight of lung within that reach; with less, nothing is known about it. Flat from 0.012
to 0.032."""

BORDER_PIXELS = 2
"""Pixels by which the border of dense lung may move out. Flat from 1 to 3."""


def add_disease(decided: np.ndarray, scan: Scan, hounsfield: np.ndarray, border: float) -> None:
    """Take in haze, what is dense at the ribs, and the border of both, in place.

    Parameters
    ----------
    decided : ndarray of uint8, (z, y, x)
        At full resolution: 0 background, 1 right lung, 2 left lung.
    scan : Scan
    hounsfield : ndarray, (z, y, x)
        At full resolution.
    border : float
        Where the border lies, as a share of the way from lung to tissue.
    """
    fine = FineScan.of(scan, hounsfield)
    grid = fine.grid
    # Slice by slice, as a mask of the whole scan would take much memory.
    before, lungs = grid.centers(decided), grid.down(axial > 0 for axial in decided) > 0.5
    sides = before.copy()
    for find in (find_haze, find_pockets):
        found = find(lungs, fine)
        if found.any():
            box = by_axis(widened(extent(found), 1))
            _add(found[box], sides[box], lungs[box], fine.voxel_ml)
    _widen(sides, lungs, fine, border)
    sides[before > 0] = 0
    if sides.any():
        box = extent(sides)
        part, place = grid.part(box)
        for axial, taken in zip(decided[place], part.up_slices(sides[box]), strict=True):
            np.copyto(axial, taken, where=axial == 0)


def _add(found: np.ndarray, sides: np.ndarray, lungs: np.ndarray, voxel_ml: float) -> None:
    """Take pieces in, each by the lung that it touches most, in place."""
    pieces, count = ndimage.label(found)
    side = _sides(pieces, count, sides)
    side[np.bincount(pieces.ravel()) < MIN_ADDED_ML / voxel_ml] = 0
    added = side[pieces]
    np.copyto(sides, added, where=sides == 0)
    lungs |= added > 0


def _widen(sides: np.ndarray, lungs: np.ndarray, fine: FineScan, border: float) -> None:
    """Put the border of dense lung between this lung and tissue, in place.

    So far it has been between healthy lung and tissue, which leaves dense lung out in part. Fat
    stays outside.
    """
    if not lungs.any():
        return
    near = by_axis(widened(extent(lungs), BORDER_PIXELS))
    values = fine.hounsfield[near]
    # At the border itself a pixel is a mixture.
    core = ndimage.binary_erosion(lungs[near], CROSS, border_value=1)
    widths = (0, *(BESIDE_MM / size for size in fine.spacing[1:]))
    total, weight = (
        ndimage.gaussian_filter(each, widths)
        for each in (np.where(core, values.clip(max=SOFT_TISSUE_HU), 0), core.astype(np.float32))
    )
    level = np.divide(total, weight, out=np.full_like(total, AIR_HU), where=weight > LEAST_WEIGHT)
    beside = fine.inside[near] & (level > DENSE_LUNG_HU)
    beside &= values < np.minimum(level + border * (SOFT_TISSUE_HU - level), MAX_HAZE_HU)
    for _ in range(BORDER_PIXELS):
        wider = _grown(sides[near])
        sides[near] = np.where((sides[near] == 0) & beside, wider, sides[near])


def _grown(sides: np.ndarray) -> np.ndarray:
    """Sides with a pixel more all around within the slices; many times faster than scipy's."""
    grown = sides.copy()
    for axis in (1, 2):
        old, new = np.moveaxis(sides, axis, 0), np.moveaxis(grown, axis, 0)
        np.maximum(new[1:], old[:-1], out=new[1:])
        np.maximum(new[:-1], old[1:], out=new[:-1])
    return grown


def _sides(pieces: np.ndarray, count: int, decided: np.ndarray) -> np.ndarray:
    """For each piece, by number, the lung that it touches most; 0 where it touches none."""
    touching = np.zeros((count + 1, 3), np.int64)
    for axis in range(3):
        for step in (1, -1):
            one, other = (np.moveaxis(each, axis, 0)[::step] for each in (pieces, decided))
            beside = (one[1:] > 0) & (other[:-1] > 0)
            contacts = one[1:][beside] * 3 + other[:-1][beside]
            touching += np.bincount(contacts, minlength=touching.size).reshape(touching.shape)
    return np.where(touching.any(1), touching.argmax(1), 0).astype(np.uint8)

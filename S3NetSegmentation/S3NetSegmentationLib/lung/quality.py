"""How far a segmentation can be trusted, estimated from the image alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import ndimage

from .block_grid import spanned
from .levels import AERATED_HU, GAS_MARGIN_HU, SOFT_TISSUE_HU
from .scan import Scan

Areas = TypeVar("Areas", float, np.ndarray)

MIN_BRIGHT_HU = -200
"""Hounsfield units, a little below fat (-100): anything brighter is not air-filled lung but a
vessel or a disease. Flat from -250 to -200."""

DOUBTFUL_QUALITY = 0.85
"""Quality of a slice below which the user is to look at it. Chosen: the chests that were measured
are at 0.95 to 0.98 as a whole."""

VESSEL_SHARE = 0.1
"""Share of the lungs that may be as bright as tissue: vessels that were taken in. No effect from
0.06 to 0.16."""

UNSURE_SHARE = 0.25
"""Share of the way from lung to tissue, and from tissue to lung, from which on a pixel is as much
one as the other. On no plateau."""

UNSURE_WEIGHT = 0.18
"""Share of such pixels at the border that counts as wrong, and as missing. From the Dice scores of
12 scans of 11 patients, on which it is 0.10 to 0.24; a pixel of a random mixture that is taken for
what it mostly is is wrong by 0.25. From 0.16 to 0.20, the mean error changes by less than 0.001."""

MIN_SLICE_SHARE = 0.1
"""Share of the largest slice of the lungs: smaller ones count, but say nothing by themselves. It
changes where to look, not the estimate; not measured."""

MIN_LEFT_OUT_ML = 20.0
"""Milliliters: a larger piece of what looks like lung and is none is worth a word."""

NEIGHBORS = np.ones((1, 3, 3), bool)
"""Within a slice, the diagonal ones, too."""

SMOOTH_SLICES = 3
"""Slices on each side over which the change from slice to slice is judged. Flat from 2 to 4."""


@dataclass(frozen=True)
class Quality:
    """The estimate for one scan.

    Attributes
    ----------
    score : float
        0 to 1; an estimate of the Dice score. 0 if there are no lungs.
    slices : ndarray of float, (z,)
        The same for each axial slice from inferior to superior; NaN without lung.
    doubtful : ndarray of bool, (z,)
        Where to look.
    """

    score: float
    slices: np.ndarray
    doubtful: np.ndarray


def assess(lungs: np.ndarray, scan: Scan) -> Quality:
    """Estimate the quality from what contradicts the lungs, and from how sharp their border is.

    Inside the lungs what contradicts them is as bright as tissue: a disease that was taken in,
    or an error. Outside it is what is as dark as lung, inside the body and no gas, and what
    breaks off from one slice to the next. At the border it is what is neither lung nor tissue,
    the more, the thinner the lungs and the coarser the pixels: a part of it counts as wrong,
    and as much as missing.

    Parameters
    ----------
    lungs : ndarray of bool, (z, y, x)
        On the working grid, inside the scan's box.
    scan : Scan
    """
    areas = lungs.sum((1, 2)).astype(float)
    if not areas.any():
        nothing = np.full(len(areas), np.nan)
        return Quality(0.0, nothing, np.zeros(len(areas), bool))
    bright = (lungs & (scan.hounsfield > MIN_BRIGHT_HU)).sum((1, 2))
    unsure = _unsure(lungs, scan) * UNSURE_WEIGHT
    wrong = np.minimum(np.maximum(bright - VESSEL_SHARE * areas, 0) + unsure, areas)
    missing = np.where(areas > 0, _missed(lungs, scan) + _broken_off(areas) + unsure, 0)
    with np.errstate(invalid="ignore"):
        slices = _dice(areas, wrong, missing)
    large = areas >= MIN_SLICE_SHARE * areas.max()
    score = _dice(areas.sum(), wrong.sum(), missing.sum())
    return Quality(float(score), slices, large & (slices < DOUBTFUL_QUALITY))


def _dice(found: Areas, wrong: Areas, missing: Areas) -> Areas:
    """Dice score if of what was found so much is wrong, and so much is missing."""
    return 2 * (found - wrong) / (2 * found - wrong + missing)


def _unsure(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """Pixels of each slice beside the border that are neither lung nor tissue."""
    level = float(np.median(scan.hounsfield[lungs]))
    low, high = (
        level + share * (SOFT_TISSUE_HU - level) for share in (UNSURE_SHARE, 1 - UNSURE_SHARE)
    )
    inside = ndimage.binary_erosion(lungs, NEIGHBORS, border_value=1)
    band = ndimage.binary_dilation(lungs, NEIGHBORS) & ~inside & scan.body
    return (band & (scan.hounsfield > low) & (scan.hounsfield < high)).sum((1, 2)).astype(float)


def left_out(lungs: np.ndarray, scan: Scan) -> list[tuple[float, slice]]:
    """Large pieces of what looks like aerated lung and was left out: mL, and which slices.

    Parameters
    ----------
    lungs : ndarray of bool, (z, y, x)
        On the working grid, inside the scan's box.
    scan : Scan
    """
    pieces, _ = ndimage.label(_lung_like(lungs, scan))
    volumes = np.bincount(pieces.ravel())[1:] * np.prod(scan.spacing) / 1000
    boxes = ndimage.find_objects(pieces)
    return [
        (float(volume), box[0])
        for volume, box in zip(volumes, boxes, strict=True)
        if volume >= MIN_LEFT_OUT_ML
    ]


def _lung_like(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """What is as dark as lung inside the body, beyond the border of the lungs and the airways."""
    values = scan.hounsfield
    like = scan.body & (values < AERATED_HU) & (values > scan.air_level + GAS_MARGIN_HU)
    # Next to the lungs a pixel is a mixture, and so is what is thin.
    like &= ~ndimage.binary_dilation(lungs, NEIGHBORS) & ~scan.near_airways
    return ndimage.binary_opening(like, NEIGHBORS)


def _missed(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """Pixels of each slice that look like lung and are none."""
    values = scan.hounsfield
    # The body's own rim is a mixture with the air outside.
    inner = ndimage.binary_erosion(scan.body, NEIGHBORS, iterations=2, border_value=1)
    # Darker than fat and brighter than lung, and wider than a border: lung that a disease fills.
    ill = scan.body & (values >= AERATED_HU) & (values < MIN_BRIGHT_HU)
    ill = ndimage.binary_opening(ill, NEIGHBORS) & ~lungs & ~scan.near_airways
    return ((_lung_like(lungs, scan) | ill) & inner).sum((1, 2)).astype(float)


def _broken_off(areas: np.ndarray) -> np.ndarray:
    """Pixels by which the area of each slice misses what its neighbors have."""
    expected = ndimage.median_filter(areas, 2 * SMOOTH_SLICES + 1, mode="nearest")
    neighbors = np.minimum(np.roll(areas, 1), np.roll(areas, -1))
    neighbors[[0, -1]] = areas[[0, -1]]
    return np.maximum(np.minimum(expected, neighbors) - areas, 0)


def interruptions(present: np.ndarray) -> np.ndarray:
    """Slices without a lung that has slices above and below; all of them (z,) bool."""
    return spanned(present, 0) & ~present


def ranges(doubtful: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of doubtful slices."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], doubtful.astype(int), [0]])))
    return [(int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]

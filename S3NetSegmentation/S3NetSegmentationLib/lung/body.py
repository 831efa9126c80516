"""The patient's body: where the air outside ends."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from .block_grid import CROSS, spanned
from .levels import AERATED_HU, AIR_OR_LUNG_HU, GAS_MARGIN_HU

TABLE_MM = 10.0
"""Millimeters from front to back: what is flatter, such as the table's top, is not body. No effect
from 6 to 16."""

MIN_HIDDEN_LUNG_ML = 5.0
"""Milliliters of lung behind a thin wall that are worth a look."""

MIN_BODY_BEHIND = 0.1
"""Share of a lung in a thin wall that has body behind it, at least. All of the lungs of
phantoms with walls of 4 to 8 mm has; what lies between the back and the table has none."""

PADDING_HU = -1200
"""Hounsfield units: air, which is -1000, is never so dark, since noise averages out on a coarse
grid; anything darker was not scanned. Flat from -1300 to -1100."""

PIXEL_BESIDE = ((0, 0), (1, 1), (1, 1))
"""A pixel more on each side of the slices."""


def body_mask(hounsfield: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The body with its lungs, airways and bowel.

    Parameters
    ----------
    hounsfield : ndarray, (z, y, x)
        In axial order, on a grid of a few millimeters.
    spacing : tuple of float
        In mm, (z, y, x).

    Returns
    -------
    ndarray of bool, (z, y, x)
        Empty if there is no tissue at all.
    """
    tissue = _largest(_open(hounsfield > AIR_OR_LUNG_HU, spacing), hounsfield > AIR_OR_LUNG_HU)
    if not tissue.any():
        return tissue
    view = field_of_view(hounsfield)
    closed = _close_sides(tissue, view)
    # In front and behind, the image's border alone: air beyond a circle may be that of the room.
    upright = closed.swapaxes(1, 2)
    closed = _close_sides(upright, np.ones_like(upright)).swapaxes(1, 2)
    body = _fill_slices(closed) & view
    return _fill_slices(body | _lungs_in_thin_walls(hounsfield, body, spacing)) & view


def _lungs_in_thin_walls(
    hounsfield: np.ndarray, body: np.ndarray, spacing: tuple[float, float, float]
) -> np.ndarray:
    """Lungs outside `body`, because the wall before them is as thin as a table, with this wall.

    Tissue surrounds them within the slices, as it does the room's air above a table, and what is
    left of the body lies behind them.
    """
    tissue = hounsfield > AIR_OR_LUNG_HU
    outside = ~(_fill_slices(body | tissue))
    pockets, count = ndimage.label(~outside & ~tissue & ~body)
    if not count:
        return np.zeros_like(body)
    levels = ndimage.median(hounsfield, pockets, np.arange(1, count + 1))
    air = np.median(hounsfield[outside & (hounsfield > PADDING_HU)])
    volumes = np.bincount(pockets.ravel()) * np.prod(spacing) / 1000
    lung = (levels > air + GAS_MARGIN_HU) & (levels < AERATED_HU)
    behind = np.flip(np.logical_or.accumulate(np.flip(body, 1), 1), 1)
    above_body = ndimage.mean(behind, pockets, np.arange(1, count + 1)) >= MIN_BODY_BEHIND
    is_lung = np.append(False, (volumes[1:] >= MIN_HIDDEN_LUNG_ML) & lung & above_body)
    lungs = is_lung[pockets]
    wall = ndimage.binary_dilation(lungs, CROSS, math.ceil(TABLE_MM / spacing[1]))
    return lungs | wall & tissue & ~outside


def _open(tissue: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Remove what is flatter than a table; upright walls, however thin, stay."""
    flat = int(TABLE_MM / spacing[1])
    upright = np.ones((1, flat + 1, 1), bool)
    # What the image's border cuts is thicker than it looks.
    margin = ((0, 0), (flat, flat), (0, 0))
    opened = ndimage.binary_opening(np.pad(tissue, margin, mode="edge"), upright)
    return opened[:, flat : flat + tissue.shape[1]]


def _largest(opened: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """The largest connected piece, with the skin that opening took from it."""
    pieces, count = ndimage.label(opened)
    if count == 0:
        return np.zeros_like(tissue)
    piece = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    for _ in range(2):
        piece = (ndimage.binary_dilation(piece) & tissue) | piece
    return piece


def field_of_view(hounsfield: np.ndarray) -> np.ndarray:
    """The scanned area: all but the padding around the scanner's circle and its blurred edge.

    Parameters
    ----------
    hounsfield : ndarray, (z, y, x)

    Returns
    -------
    ndarray of bool, (z, y, x)
    """
    block = np.ones((1, 3, 3), bool)
    # Where the values were cut at that of air, single pixels of the room have it, too.
    padding = hounsfield < max(PADDING_HU, hounsfield.min() + 1)
    padding = ndimage.binary_opening(np.pad(padding, PIXEL_BESIDE, mode="edge"), block)[
        :, 1:-1, 1:-1
    ]
    view = ~ndimage.binary_dilation(padding, block)
    # Bowel gas and emphysema may be as dark as the padding, but not beyond all tissue.
    return spanned(view, 2)


def _close_sides(tissue: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Close the lungs where the field of view cuts the chest at the sides.

    Where the first pixel that a row has in view is air between tissue and tissue above and below,
    it is the inside of the body; there a wall goes from the image's border up to this pixel.
    """
    closed = tissue.copy()
    for flip in (slice(None), slice(None, None, -1)):
        first = view[..., flip].argmax(2)[..., None]
        line = np.take_along_axis((tissue & view)[..., flip], first, 2)
        cut = spanned(line, 1) & ~line
        # With the rows beside, for the first pixels of two rows may lie columns apart.
        cut = ndimage.binary_dilation(cut, np.ones((1, 3, 1), bool))
        closed[..., flip] |= cut & (np.arange(tissue.shape[2]) <= first)
    return closed


def _fill_slices(tissue: np.ndarray) -> np.ndarray:
    return np.stack([ndimage.binary_fill_holes(axial) for axial in tissue])

"""The patient's body: where the air outside ends."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

TISSUE = -400
"""Hounsfield units that part air and lung from everything else."""

TABLE_THICKNESS = 10.0
"""Millimeters: flatter things beside the body, such as the table's top, are not body."""


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
        Empty where there is no tissue at all.
    """
    tissue = _largest(_open(hounsfield > TISSUE, spacing), hounsfield > TISSUE)
    if not tissue.any():
        return tissue
    return _fill_slices(_close_faces(tissue))


def _open(tissue: np.ndarray, spacing) -> np.ndarray:
    """Remove what is flatter than a table; upright walls, however thin, stay."""
    flat = int(TABLE_THICKNESS / spacing[1])
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


def _close_faces(tissue: np.ndarray) -> np.ndarray:
    """Close the lungs where the field of view cuts the chest.

    Along each border line of a slice, air between tissue and tissue is the inside of the body.
    """
    closed = tissue.copy()
    for axis in (1, 2):
        for end in (0, -1):
            face = (slice(None),) * axis + (end,)
            line = tissue[face]
            before = np.logical_or.accumulate(line, 1)
            after = np.logical_or.accumulate(line[:, ::-1], 1)[:, ::-1]
            closed[face] = before & after
    return closed


def _fill_slices(tissue: np.ndarray) -> np.ndarray:
    return np.stack([ndimage.binary_fill_holes(axial) for axial in tissue])

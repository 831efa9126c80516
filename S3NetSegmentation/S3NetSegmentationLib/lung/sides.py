"""Which lung is the right one, by the patient's axes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .scan import Scan

RIGHT, LEFT = 1, 2

CONTACT = 20.0
"""Millimeters: two lungs that touch come apart when eroded by less than this."""

LEAST_PART = 0.1
"""Share of the lungs that a part must have to be a lung of its own, and not a lobe's tip."""

BONE = 200
"""Hounsfield units; the spine is the most of it."""


def right_and_left(lungs: np.ndarray, scan: Scan, leftward: np.ndarray) -> np.ndarray:
    """Label the right and the left lung, also where they touch.

    Parameters
    ----------
    lungs : ndarray of bool, (z, y, x)
        On the working grid.
    scan : Scan
    leftward : ndarray, (z, y, x)
        Position toward the patient's left, in mm.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        0 background, 1 right, 2 left.
    """
    middle = _midline(scan, leftward)
    pieces, count = ndimage.label(lungs)
    sides = np.zeros(lungs.shape, np.uint8)
    total = np.count_nonzero(lungs)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        piece = pieces[box] == number
        where = leftward[box]
        # A small piece is never both lungs.
        parts = [piece]
        if np.count_nonzero(piece) > 2 * LEAST_PART * total:
            parts = _come_apart(piece, scan.spacing)
        positions = [where[part].mean() for part in parts]
        if len(parts) == 2:
            right, left = np.argsort(positions)
            sides[box][parts[right]], sides[box][parts[left]] = RIGHT, LEFT
        else:
            sides[box][piece] = LEFT if positions[0] > middle else RIGHT
    return sides


def _midline(scan: Scan, leftward: np.ndarray) -> float:
    """Position of the spine toward the patient's left, in mm; without bones that of the body.

    The spine also tells the side where the field of view holds only one lung.
    """
    bone = scan.body & (scan.hounsfield > BONE)
    if not bone.any():
        return float(leftward[scan.body].mean())
    position = leftward[bone]
    counts, edges = np.histogram(position, bins=np.arange(position.min(), position.max() + 4, 4.0))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 4, mode="constant")
    peak = int(smooth.argmax())
    return float((edges[peak] + edges[peak + 1]) / 2)


def _come_apart(piece: np.ndarray, spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """The two lungs in one piece, or the piece alone where it is one lung.

    The piece is eroded step by step until it falls into two large parts; the rest goes to the
    part that is nearer through the lung.
    """
    depth = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    least = LEAST_PART * np.count_nonzero(piece)
    for erosion in np.arange(0, CONTACT / 2, max(1.0, min(spacing) / 2)):
        cores, _ = ndimage.label(depth > erosion)
        sizes = np.bincount(cores.ravel())
        sizes[0] = 0
        first, second = np.argsort(sizes)[-2:] if len(sizes) > 2 else (0, 0)
        if min(sizes[first], sizes[second]) >= least:
            return _grow(cores == first, cores == second, piece)
    return [piece]


def _grow(first: np.ndarray, second: np.ndarray, piece: np.ndarray) -> list[np.ndarray]:
    """Grow two cores at the same pace until they fill the piece."""
    while True:
        wider = ndimage.binary_dilation(first, mask=piece & ~second) | first
        other = ndimage.binary_dilation(second, mask=piece & ~wider) | second
        if np.array_equal(wider, first) and np.array_equal(other, second):
            # What the cores can't reach is cut off by nothing but a corner; it stays with one.
            return [wider | (piece & ~wider & ~other), other]
        first, second = wider, other

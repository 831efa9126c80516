"""Which lung is the right one, by the patient's axes."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..labels import LEFT, RIGHT
from .block_grid import Box
from .scan import Scan

MAX_EROSION_MM = 30.0
"""Millimeters: two lungs that touch come apart when eroded by less than this: bridges between lungs
are thin. No effect from 18 to 48."""

MIN_LUNG_SHARE = 0.1
"""Minimum share of the lungs for a part to be a separate lung, and not the tip of a lobe; the left
lung has about 45% in healthy people. No effect from 0.06 to 0.16."""

BONE_HU = 200
"""Hounsfield units of bone, at least; the spine is the most of it. No effect from 100 to 300."""

BIN_MM = 4.0
"""Millimeters: width of the columns of bone that are compared. No effect from 2.4 to 6.4."""

SMOOTH_BINS = 4
"""Bins, the standard deviation of their smoothing: with `BIN_MM` half of a vertebra's width. No
effect from 3 to 5."""

HALF_SPINE_MM = 15.0
"""Millimeters: an edge of the field of view that is nearer to the middle cuts the spine, which then
does not tell exactly where the middle is. Of two scans, cut at 42 places, edges up to 10 mm from it
would give up to 57 mL to the wrong lung; one at 17 mm has to be mended."""


def right_and_left(lungs: np.ndarray, scan: Scan, leftward: np.ndarray) -> np.ndarray:
    """Label the right and the left lung, even where they touch.

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
        0 background, `RIGHT` or `LEFT`.
    """
    pieces, _ = ndimage.label(lungs)
    middle = _midline(scan, leftward, pieces)
    sides = np.zeros(lungs.shape, np.uint8)
    least = 2 * MIN_LUNG_SHARE * np.count_nonzero(lungs)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        piece = pieces[box] == number
        beyond = leftward[box] - middle
        positions = beyond[piece]
        share = np.count_nonzero(positions > 0) / positions.size
        parts = None
        # A small piece is never both lungs, nor is one that as good as stays on its side.
        if positions.size > least and MIN_LUNG_SHARE / 2 < share < 1 - MIN_LUNG_SHARE / 2:
            parts = split_touching_lungs(
                piece, beyond, scan.spacing, _ends_inside(box, lungs.shape)
            )
        if parts is None:
            sides[box][piece] = LEFT if positions.mean() > 0 else RIGHT
        else:
            sides[box][parts[0]], sides[box][parts[1]] = RIGHT, LEFT
    _mend_slivers(sides, pieces, leftward, middle)
    return sides


def _mend_slivers(
    sides: np.ndarray, pieces: np.ndarray, leftward: np.ndarray, middle: float
) -> None:
    """Give slivers at the edge of the field of view to the lung that lies beyond it.

    A box around the right lung also contains a little of the left one, cut by the left edge, while
    the spine, which would separate them, may lie outside the box. Where both lungs touch, the
    sliver is what lies between the middle and the edge.
    """
    sizes = np.bincount(pieces.ravel())
    least = MIN_LUNG_SHARE * sizes[1:].sum()
    left_edge = -1 if leftward[..., -1].mean() > leftward[..., 0].mean() else 0
    right_edge = -1 - left_edge
    for side, other, edge in ((RIGHT, LEFT, left_edge), (LEFT, RIGHT, right_edge)):
        own = np.unique(pieces[sides == side])
        cut = np.intersect1d(own, pieces[..., edge])
        if cut.size and own[sizes[own].argmax()] not in cut:
            sides[np.isin(pieces, cut[sizes[cut] < least])] = other
        if abs(leftward[..., edge].mean() - middle) < HALF_SPINE_MM:
            continue
        beyond = leftward > middle if side == RIGHT else leftward < middle
        parts, _ = ndimage.label((sides == side) & beyond)
        sliver = np.isin(parts, np.setdiff1d(parts[..., edge], 0))
        if np.count_nonzero(sliver) < 2 * least:
            sides[sliver] = other


def _midline(scan: Scan, leftward: np.ndarray, pieces: np.ndarray) -> float:
    """Position of the spine toward the patient's left, in mm; without bones that of the body.

    The spine also shows the side if the field of view contains only one lung. If there are two, it
    lies between them; in a thin scan, the ribs may contain more bone.
    """
    bone = scan.body & (scan.hounsfield > BONE_HU)
    between = _between_lungs(leftward, pieces)
    if between:
        central = bone & (leftward > between[0]) & (leftward < between[1])
        bone = central if central.any() else bone
    if not bone.any():
        return float(np.mean(between or leftward[scan.body]))
    position = leftward[bone]
    counts, edges = np.histogram(
        position, bins=np.arange(position.min(), position.max() + 2 * BIN_MM, BIN_MM)
    )
    smooth = ndimage.gaussian_filter1d(counts.astype(float), SMOOTH_BINS, mode="constant")
    peak = int(smooth.argmax())
    return float((edges[peak] + edges[peak + 1]) / 2)


def _between_lungs(leftward: np.ndarray, pieces: np.ndarray) -> tuple[float, float] | None:
    """The range in which the middle of the body lies; None if it is unknown.

    It is known if the two largest pieces lie mostly side by side; pieces of one lung lie above or
    behind one another.
    """
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    numbers = np.argsort(sizes)[-2:]
    if len(sizes) < 3 or sizes[numbers].min() < 2 * MIN_LUNG_SHARE * sizes.sum():
        return None
    first, second = (np.percentile(leftward[pieces == number], (25, 75)) for number in numbers)
    low, high = (first, second) if first[0] < second[0] else (second, first)
    return (float(low[1]), float(high[0])) if low[1] < high[0] else None


def _ends_inside(box: Box, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """For each axis, 1 at the side where a box ends inside the field of view, else 0."""
    return [
        (int(ends.start > 0), int(ends.stop < size)) for ends, size in zip(box, shape, strict=True)
    ]


def split_touching_lungs(
    piece: np.ndarray,
    beyond: np.ndarray,
    spacing: tuple[float, float, float],
    beside: list[tuple[int, int]],
) -> tuple[np.ndarray, np.ndarray] | None:
    """The right and the left lung in one piece; None if it is one lung.

    The piece is eroded step by step until it falls into two large parts on either side of the
    midline; the rest goes to the part that is nearer through the lung. `beyond` is the
    position beyond the midline toward the patient's left, in mm.
    """
    # Slices much thinner than the pixels add no information.
    skip = max(1, int(min(spacing[1:]) / spacing[0]))
    whole, piece, beyond = piece, piece[::skip], beyond[::skip]
    spacing = (skip * spacing[0], *spacing[1:])
    # A scan may end inside the lungs: its ends are no border, or a thin scan had no depth at all.
    around = ((0, 0), *beside[1:])
    inner = tuple(
        slice(first, first + size) for (first, _), size in zip(around, piece.shape, strict=True)
    )
    depth = ndimage.distance_transform_edt(np.pad(piece, around), sampling=spacing)[inner]
    # Deeper than this nothing is left on one of the sides.
    deepest = min(MAX_EROSION_MM, depth[beyond < 0].max(), depth[beyond > 0].max())
    step = max(1.0, min(spacing) / 2)
    for erosion in np.arange(step, deepest, step):
        cores, count = ndimage.label(depth > erosion)
        if count < 2:
            continue
        sizes = np.bincount(cores.ravel())
        sizes[0] = 0
        first, second = np.argsort(sizes)[-2:]
        positions = [beyond[cores == number].mean() for number in (first, second)]
        if sizes[first] >= MIN_LUNG_SHARE * sizes.sum() and min(positions) < 0 < max(positions):
            right, left = (first, second) if positions[0] < 0 else (second, first)
            cores = np.repeat(cores, skip, 0)[: len(whole)] * whole
            return _grow(cores == right, cores == left, whole)
    return None


def _grow(right: np.ndarray, left: np.ndarray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grow two cores at the same pace until they fill the piece."""
    cores = np.select([right, left], [RIGHT, LEFT]).astype(np.uint8)
    around = (~piece).astype(np.uint8)  # higher, so the piece is flooded first
    grown = sitk.GetArrayFromImage(
        sitk.MorphologicalWatershedFromMarkers(
            sitk.GetImageFromArray(around), sitk.GetImageFromArray(cores), markWatershedLine=False
        )
    )
    return piece & (grown == RIGHT), piece & (grown == LEFT)

"""From chosen clusters to the lungs at full resolution."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from ..settings import Settings
from .scan import Scan
from .sides import right_and_left

LEAST_PIECE_ML = 5.0
"""Milliliters: smaller pieces of lung are islands, unless they are large in a slice."""

LEAST_PIECE_SHARE = 0.02
"""Pieces of less than this share of the largest are islands, too."""

LARGE_AREA = 25.0
"""Square centimeters in an axial slice: a piece that is larger somewhere is a lung, be the scan
ever so thin, or large bowel full of gas."""

GAS_MARGIN = 45
"""Hounsfield units about the air around the patient that still are air. Bowel gas is air and
nothing else; lung, however emphysematous, also holds vessels and walls."""

DARKEST, NEARLY_ALL = 10, 90
"""Percent."""

VESSEL = 4.5
"""Millimeters: gaps up to twice as wide between lung and lung are vessels."""

VESSEL_AREA = 2.0
"""Square centimeters: what lung surrounds within a slice and is no larger is a vessel. A larger
one is the dome of the liver, unless lung surrounds it on all sides."""

BAND = 2
"""Working pixels on each side of the boundary in which the intensity decides."""

UNSURE = 2
"""Added to the label of a lung in that band."""

CROSS = ndimage.generate_binary_structure(2, 1)[None]
IN_SLICE = np.pad(CROSS, ((1, 1), (0, 0), (0, 0)))
"""Neighbors within a slice, for morphology and for labeling."""


def decide_lungs(
    labels: np.ndarray,
    chosen: Iterable[int],
    scan: Scan,
    hounsfield: np.ndarray,
    leftward: np.ndarray,
    settings: Settings,
) -> np.ndarray:
    """Right and left lung from the clusters that were chosen as lung.

    The score map says where the lungs are; within a band around their boundary each voxel is
    decided by its own intensity (paper, section 4: pixel values alongside the score map).

    Parameters
    ----------
    labels : ndarray of uint8, (z, y, x)
        Numbers of the clusters, on the working grid.
    chosen : iterable of int
        Numbers of the lung clusters, from 1.
    scan : Scan
    hounsfield : ndarray, (z, y, x)
        On the scan's own grid.
    leftward : ndarray, (z, y, x)
        Position on the working grid toward the patient's left, in mm.
    settings : Settings
        Its post-processing switches.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        On the scan's own grid: 0 background, 1 right lung, 2 left lung.
    """
    lungs = np.isin(labels, list(chosen)) & scan.body
    airways = scan.airways if settings.remove_airways else np.zeros_like(lungs)
    lungs = lungs & ~ndimage.binary_dilation(airways)
    lungs = _without_islands_and_gas(lungs, scan)
    if settings.fill_vessels:
        lungs = _with_vessels(lungs, scan.spacing) & ~airways
    sides = right_and_left(lungs, scan, leftward)
    if settings.use_intensity:
        decided = _decide_boundary(sides, airways, scan, hounsfield)
    else:
        decided = scan.paste(sides)
    if settings.remove_airways:
        for axial, lumen in zip(decided, scan.lumen_grid.up_slices(scan.lumen), strict=True):
            axial[lumen] = 0
    return decided


def _without_islands_and_gas(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """Keep the large pieces that are not filled with plain air."""
    pieces, _ = ndimage.label(lungs)
    volumes = np.bincount(pieces.ravel()) * np.prod(scan.spacing) / 1000
    volumes[0] = 0
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        piece = pieces[box] == number
        area = piece.sum((1, 2)).max() * scan.spacing[1] * scan.spacing[2] / 100
        small = area < LARGE_AREA
        is_island = small and volumes[number] < LEAST_PIECE_ML
        if is_island or _is_gas(scan.hounsfield[box], piece, scan.air_level, small):
            volumes[number] = 0
    return ((volumes > 0) & (volumes >= LEAST_PIECE_SHARE * volumes.max()))[pieces]


def _is_gas(hounsfield: np.ndarray, piece: np.ndarray, air: float, small: bool) -> bool:
    """Whether a piece holds plain air.

    The rim of a small piece is a mixture of air and wall, so that only its darkest part tells.
    A large piece must be air throughout, since emphysema is dark in part.
    """
    if small:
        return np.percentile(hounsfield[piece], DARKEST) < air + GAS_MARGIN
    interior = ndimage.binary_erosion(piece)
    values = hounsfield[interior if interior.any() else piece]
    return np.percentile(values, NEARLY_ALL) < air + GAS_MARGIN


def _with_vessels(lungs: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Close the gaps that vessels leave, and fill what lung surrounds."""
    ball = _ball(spacing, max(VESSEL, *spacing[1:]))
    margin = [(n, n) for n in np.array(ball.shape) // 2]
    inner = tuple(slice(low, -high or None) for low, high in margin)
    closed = ndimage.binary_closing(np.pad(lungs, margin), ball)[inner] | lungs
    closed = ndimage.binary_fill_holes(closed)
    surrounded = np.stack([ndimage.binary_fill_holes(axial) for axial in closed]) & ~closed
    holes, _ = ndimage.label(surrounded, IN_SLICE)
    areas = np.bincount(holes.ravel()) * spacing[1] * spacing[2] / 100
    return closed | (surrounded & (areas <= VESSEL_AREA)[holes])


def _ball(spacing: tuple[float, float, float], radius: float) -> np.ndarray:
    reach = [int(radius // size) for size in spacing]
    z, y, x = np.ogrid[tuple(slice(-n, n + 1) for n in reach)]
    squared = (z * spacing[0]) ** 2 + (y * spacing[1]) ** 2 + (x * spacing[2]) ** 2
    return squared <= radius**2 + 1e-6


def _decide_boundary(
    sides: np.ndarray, airways: np.ndarray, scan: Scan, hounsfield: np.ndarray
) -> np.ndarray:
    """Decide each voxel near the boundary by its intensity.

    The threshold lies midway between the medians on the two sides of the boundary.
    """
    lungs = sides > 0
    sure = ndimage.binary_erosion(lungs, CROSS, iterations=BAND, border_value=1)
    reach = ndimage.binary_dilation(lungs, CROSS, iterations=BAND) & scan.body & ~airways
    beyond = reach & ~lungs
    if not beyond.any():
        return scan.paste(sides)
    threshold = (np.median(scan.hounsfield[lungs]) + np.median(scan.hounsfield[beyond])) / 2
    nearest = sides
    for _ in range(BAND):
        nearest = np.where(nearest > 0, nearest, ndimage.grey_dilation(nearest, footprint=CROSS))
    # Two labels more for what the intensity may still take away.
    unsure = np.where(reach, nearest + UNSURE, 0)
    decided = scan.paste(np.where(sure, sides, unsure).astype(np.uint8))
    for axial, values in zip(decided, hounsfield, strict=True):
        axial[(axial > UNSURE) & (values >= threshold)] = 0
        axial[axial > UNSURE] -= UNSURE
    return decided

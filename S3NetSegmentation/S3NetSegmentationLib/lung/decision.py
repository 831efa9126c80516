"""From chosen clusters to the lungs at full resolution."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from ..labels import LEFT, RIGHT
from ..orientation import AxialOrientation
from ..settings import Settings
from .block_grid import CROSS, extent
from .disease import add_disease
from .gas import bowel_gas, is_gas
from .haze import opened, single
from .levels import AIR_OR_LUNG_HU
from .scan import Scan
from .sides import right_and_left

MIN_PIECE_ML = 5.0
"""Milliliters: smaller pieces of lung are islands, unless they are large in a slice. No effect from
3 to 8."""

MIN_PIECE_SHARE = 0.004
"""Pieces of less than this share of the largest are islands, too. Disease cuts larger ones off:
0.02 drops 51 mL of an apex. No effect on 16 other scans from 0.004 to 0.032."""

MIN_CUT_PIECE_CM2 = 2.4
"""Square centimeters, the mean section of a ball of `MIN_PIECE_ML`: in a scan of few slices every
piece is cut at both ends, and its volume says nothing. No effect from 1.44 to 3.84."""

LARGE_PIECE_CM2 = 25.0
"""Square centimeters in an axial slice: a piece that is larger somewhere is a lung, be the scan
ever so thin, or large bowel full of gas. No effect from 15 to 40."""

MAX_GAP_MM = 50.0
"""Millimeters from head to foot between the largest piece of lung and another one, at most; the
sinuses of the head and the bowel of the pelvis are farther away. No effect from 30 to 80."""

VESSEL_RADIUS_MM = 7.5
"""Millimeters: gaps in a lung up to twice as wide are vessels; the arteries near the hilum are no
wider. Flat from 4.5 to 12."""

MAX_VESSELS_CM2 = 7.0
"""Square centimeters: a part that lung surrounds within a slice, up to this size (3 cm across), is
a bundle of vessels. A larger one is the dome of the liver or what lies between lungs that touch,
unless lung surrounds it on all sides. Flat from 4.2 to 11.2."""

BAND_PIXELS = 2
"""Pixels of the working grid on each side of the boundary in which the intensity decides: so far
the network may be off. Flat from 2 to 3."""

HAZE_SHARE = 0.7
"""Share of the way from lung to what surrounds it, up to where thick parts are hazy lung. Fat, the
darkest tissue, begins beyond. Flat from 0.42 to 0.875."""

MIN_HAZE_MM, MIN_HAZE_VOXELS = 3.0, 3
"""Millimeters and voxels: what is less thick may be the border, half lung and half tissue. Flat
from 1.8 to 4.8 and from 2 to 4."""

TAKEN, GIVEN_BACK = 1, 2
"""Marks of what a person has picked: lung, or not; 0 leaves it to the clusters."""

UNSURE_OFFSET = 2
"""Added to the label of a lung in that band, to keep both apart in one array: the number of
lungs."""

IN_SLICE = np.pad(CROSS, ((1, 1), (0, 0), (0, 0)))
IN_SPACE = ndimage.generate_binary_structure(3, 1)
"""Neighbors within a slice, as labeling wants them, and in all directions."""


def decide_lungs(
    labels: np.ndarray,
    chosen: Iterable[int],
    scan: Scan,
    hounsfield: np.ndarray,
    order: AxialOrientation,
    settings: Settings,
    picks: np.ndarray | None = None,
) -> np.ndarray:
    """Right and left lung from the clusters that were chosen as lung.

    The score map says where the lungs are; within a band around their boundary each voxel is
    decided by its own intensity.

    Parameters
    ----------
    labels : ndarray of uint8, (z, y, x)
        Numbers of the clusters, on the working grid.
    chosen : iterable of int
        Numbers of the lung clusters, from 1.
    scan : Scan
    hounsfield : ndarray, (z, y, x)
        The scan at full resolution, in axial order.
    order : AxialOrientation
        Of the scan.
    settings : Settings
        Its post-processing switches.
    picks : ndarray of uint8, (z, y, x), optional
        `TAKEN` or `GIVEN_BACK` where a person has decided, on the working grid.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        At full resolution, in axial order: 0 background, `RIGHT` or `LEFT`.
    """
    if not settings.remove_airways:
        scan = scan.without_airways()
    lungs = np.isin(labels, list(chosen)) & scan.body & ~scan.beside_airways
    lungs = _without_islands_and_gas(lungs & ~bowel_gas(lungs, scan), scan)
    found, lungs = lungs, lungs if picks is None else np.where(picks, picks == TAKEN, lungs)
    decided = np.zeros(hounsfield.shape, np.uint8)
    if lungs.any():
        sides = right_and_left(lungs, scan, order.leftward(lungs.shape, scan.grid.block))
        part, inside, fine = scan.around(lungs, BAND_PIXELS + 1)
        if settings.use_intensity:
            levels = _border_levels(found if found.any() else lungs, scan, settings.border)
            decided[fine] = _decide_boundary(sides[inside], part, hounsfield[fine], levels)
            add_disease(decided, scan, hounsfield, settings.border)
        else:
            decided[fine] = part.paste(sides[inside])
        if settings.fill_vessels:
            _fill_each(decided, scan)
        _remove_lumen(decided, scan)
        if picks is not None:
            _keep_picks(decided, picks, sides, scan)
    return decided


def _without_islands_and_gas(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """Keep the large pieces that are not filled with plain air."""
    pieces, _ = ndimage.label(lungs)
    volumes = np.bincount(pieces.ravel()) * np.prod(scan.spacing) / 1000
    volumes[0] = 0
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        piece = pieces[box] == number
        area = piece.sum((1, 2)).max() * scan.spacing[1] * scan.spacing[2] / 100
        small = area < LARGE_PIECE_CM2
        is_cut = piece.shape[0] == len(lungs) and area >= MIN_CUT_PIECE_CM2
        is_island = small and volumes[number] < MIN_PIECE_ML and not is_cut
        if is_island or is_gas(scan.hounsfield[box], piece, scan.air_level, small):
            volumes[number] = 0
    kept = (volumes > 0) & (volumes >= MIN_PIECE_SHARE * volumes.max())
    return (kept & _near_largest(pieces, volumes, scan.spacing[0]))[pieces]


def _near_largest(pieces: np.ndarray, volumes: np.ndarray, thickness: float) -> np.ndarray:
    """Whether each piece begins less than `MAX_GAP_MM` above or below the largest one.

    The sinuses of the head and the bowel of the pelvis are farther away.
    """
    boxes = ndimage.find_objects(pieces)
    if not boxes:
        return np.zeros(len(volumes), bool)
    largest = boxes[volumes[1:].argmax()][0]
    gaps = [max(box[0].start - largest.stop, largest.start - box[0].stop) for box in boxes]
    return np.array([False] + [gap * thickness < MAX_GAP_MM for gap in gaps])


def _fill_each(decided: np.ndarray, scan: Scan) -> None:
    """Take the vessels of each lung in, in place."""
    lungs = scan.grid.down(decided > 0)[scan.box] > 0
    for side in (RIGHT, LEFT):
        lung = lungs & (scan.grid.centers(decided)[scan.box] == side)
        if lung.any():
            part, _, fine = scan.around(lung, BAND_PIXELS + 1)
            _fill_vessels(decided[fine], side, part)


def _remove_lumen(decided: np.ndarray, scan: Scan) -> None:
    """Take trachea and main bronchi out of the lungs, in place."""
    if scan.lumen.any():
        box = extent(scan.lumen)
        grid, fine = scan.lumen_grid.part(box)
        decided[fine][grid.up(scan.lumen[box])] = 0


def _keep_picks(decided: np.ndarray, picks: np.ndarray, sides: np.ndarray, scan: Scan) -> None:
    """Restore the user's picks, in place.

    Voxels as dark as lung keep the border that their intensity gives them.
    """
    kept = picks * ((picks == GIVEN_BACK) | (scan.hounsfield > AIR_OR_LUNG_HU))
    if not kept.any():
        return
    part, inside, fine = scan.around(kept > 0, 1)
    marks, lungs = part.grid.up_smoothly(kept[inside]), decided[fine]
    near = ndimage.grey_dilation(sides[inside], footprint=np.ones((1, 3, 3)))
    lungs[marks == GIVEN_BACK] = 0
    missing = (marks == TAKEN) & (lungs == 0)
    lungs[missing] = part.grid.up(np.where(sides[inside], sides[inside], near))[missing]


def _fill_vessels(decided: np.ndarray, side: int, scan: Scan) -> None:
    """Take the vessels of one lung in, in place; `decided` is on the scan's own grid."""
    lung = scan.grid.down(decided == side) > 0.5
    filled = _with_vessels(lung, scan.spacing) & scan.body & ~scan.airways
    # Deep inside, also what is finer than the working grid.
    filled &= ~lung | ndimage.binary_erosion(filled, CROSS, border_value=1)
    for axial, taken in zip(decided, scan.grid.up_slices(filled), strict=True):
        axial[taken & (axial == 0)] = side


def _with_vessels(lung: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Close the gaps that vessels leave in the slices of one lung, and fill what it surrounds."""
    closed = _close(lung, spacing[1:])
    holes = _holes(closed, IN_SLICE, (1, 2))
    areas = np.bincount(holes.ravel()) * spacing[1] * spacing[2] / 100
    small = areas <= MAX_VESSELS_CM2
    small[0] = False
    return closed | small[holes] | (_holes(closed, IN_SPACE, (0, 1, 2)) > 0)


def _holes(solid: np.ndarray, neighbors: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """A number for each hole in a mask that reaches no end of the axes, 0 everywhere else."""
    pieces, count = ndimage.label(~solid, neighbors)
    is_hole = np.ones(count + 1, bool)
    is_hole[0] = False
    for axis in axes:
        for end in (0, -1):
            is_hole[pieces.take(end, axis)] = False
    return np.where(is_hole[pieces], pieces, 0)


def _close(lung: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Close gaps up to twice `VESSEL_RADIUS_MM` wide within the slices."""
    radius = max(VESSEL_RADIUS_MM, *spacing)
    rows, columns = (int(radius // size) for size in spacing)
    y, x = np.ogrid[-rows : rows + 1, -columns : columns + 1]
    disk = (y * spacing[0]) ** 2 + (x * spacing[1]) ** 2 <= radius**2 + 1e-6
    padded = np.pad(lung, ((0, 0), (rows, rows), (columns, columns)))
    closed = ndimage.binary_closing(padded, disk[None])
    height, width = lung.shape[1:]
    return lung | closed[:, rows : rows + height, columns : columns + width]


def _border_levels(lungs: np.ndarray, scan: Scan, border: float) -> tuple[float, float] | None:
    """Hounsfield units from which a voxel at the border is not lung: for thin and for thick parts.

    They lie between the medians on the two sides of the boundary, without the pixels right beside
    it, which are mixtures of both. None if nothing lies beyond.
    """
    part, inside, _ = scan.around(lungs, BAND_PIXELS + 1)
    lungs = lungs[inside]
    beyond = _reach(lungs, part) & ~lungs
    if not beyond.any():
        return None
    clear = beyond & ~ndimage.binary_dilation(lungs, CROSS)
    outer = part.hounsfield[clear if clear.any() else beyond]
    lung, tissue = np.median(part.hounsfield[lungs]), np.median(outer)
    return lung + border * (tissue - lung), lung + HAZE_SHARE * (tissue - lung)


def _reach(lungs: np.ndarray, scan: Scan) -> np.ndarray:
    """The lungs with the band around them, inside the body and outside the airways."""
    grown = ndimage.binary_dilation(lungs, CROSS, iterations=BAND_PIXELS)
    return grown & scan.body & ~scan.airways


def _decide_boundary(
    sides: np.ndarray,
    scan: Scan,
    hounsfield: np.ndarray,
    levels: tuple[float, float] | None,
) -> np.ndarray:
    """Decide each voxel near the boundary by its intensity.

    Hazy lung, frequent at the back of a patient who lies down, is brighter than the first level,
    but thicker than a mixture.
    """
    if levels is None:
        return scan.paste(sides)
    middle, brightest = levels
    lungs = sides > 0
    sure = ndimage.binary_erosion(lungs, CROSS, iterations=BAND_PIXELS, border_value=1)
    reach = _reach(lungs, scan)
    voxel = np.divide(scan.spacing, scan.grid.block)[1:]
    rows, columns = (max(MIN_HAZE_VOXELS, round(MIN_HAZE_MM / size)) for size in voxel)
    nearest = sides
    for _ in range(BAND_PIXELS):
        nearest = np.where(nearest > 0, nearest, ndimage.grey_dilation(nearest, footprint=CROSS))
    # Two labels more for what the intensity may still take away.
    unsure = np.where(reach, nearest + UNSURE_OFFSET, 0)
    decided = scan.paste(np.where(sure, sides, unsure).astype(np.uint8))
    hazy = np.zeros(decided.shape, bool)
    for axial, values, thick in zip(decided, hounsfield, hazy, strict=True):
        is_unsure = axial > UNSURE_OFFSET
        axial -= UNSURE_OFFSET * is_unsure.view(np.uint8)
        bright = is_unsure & (values >= middle)
        thick[:] = opened(bright & (values < brightest), rows, columns)
        axial *= ~bright | thick
    if len(hazy) > 1:
        decided[single(hazy)] = 0
    return decided

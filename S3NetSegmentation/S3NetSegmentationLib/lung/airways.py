"""Trachea and main bronchi, followed downward slice by slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .block_grid import CROSS, extent, widened
from .levels import AERATED_HU

LUMEN_HU = -800
"""Hounsfield units between the air of the lumen (-1000) and its wall, which is thin and so never as
bright as tissue. Flat from -850 to -700."""

MAX_TRACHEA_HU = -880
"""Median Hounsfield units of a trachea, at most: air, brightened by the wall; what is brighter is
diseased lung. Flat from -930 to -780."""

MIN_TRACHEA_CM2, MAX_TRACHEA_CM2 = 0.4, 7.0
"""Square centimeters of a trachea's lumen in an axial slice: 0.8 to 5.3 in adults (diameters of 10
to 27 mm: Breatnach et al., AJR 1984), and less in children. The first has no effect from 0.24 to
0.64, the second is flat from 4.2 to 11.2."""

MIN_ASPECT, MIN_FILLED = 0.4, 0.5
"""Shorter side by longer side of what is round, and share of this box that it fills (a disk fills
0.79), at least. Flat from 0.24 to 0.64 and from 0.3 to 0.8."""

MIN_TRACHEA_MM = 25.0
"""Millimeters that a trachea can be followed, at least; it is some 110 long, but a scan may begin
below its upper end. Flat from 15 to 40."""

MIN_BRONCHUS_CM2 = 0.25
"""Square centimeters, 5.6 mm across: main bronchi are wider, in adults by far; what is smaller is a
lobar bronchus, which belongs to the lung. Flat from 0.15 to 0.4."""

MAX_GROWTH = 1.6
"""A branch that grows by more than this factor from slice to slice has opened into the lung. Flat
from 0.96 to 2.56."""

SPARE_CM2 = 0.5
"""Square centimeters that any branch may grow by, since a factor means little for a few pixels.
Flat from 0.3 to 0.8."""

AROUND_MM = (4.0, 8.0)
"""Millimeters from the lumen within the slices, beyond the wall: what surrounds an airway."""

MAX_LUNG_AROUND, MAX_LUNG_AROUND_BRONCHUS = 0.3, 0.5
"""Maximum share of lung around the uppermost `MIN_TRACHEA_MM` of an airway: if it is separate, and
if it belongs to the tree of the trachea. On 17 scans it is 0.20 to 0.49 around bronchi, and 0.35 to
0.87 around cysts and other tracks in lung."""

TREE_MM = 30.0
"""Millimeters within the slices from the trachea or a main bronchus to other parts of the tree."""


@dataclass(frozen=True)
class _AirPieces:
    """Connected air in one axial slice; `areas`, in square centimeters, goes by number."""

    numbers: np.ndarray
    areas: np.ndarray

    def large(self) -> np.ndarray:
        return (self.areas > MAX_TRACHEA_CM2)[self.numbers] & (self.numbers > 0)


@dataclass(frozen=True)
class _Track:
    """A lumen (z, y, x) in the slices `inside`, and the share of lung around its upper part."""

    inside: slice
    lumen: np.ndarray
    lung_around: float


def find_airways(
    hounsfield: np.ndarray, body: np.ndarray, spacing: tuple[float, float, float]
) -> np.ndarray:
    """Lumen of the trachea and of the main bronchi.

    A trachea is a round, dark piece of air, not below lung, that can be followed downward for
    some centimeters while it stays small. It is followed until each branch opens into the
    lung, which shows as a sudden growth of its area. It runs in tissue, as its bronchi do for
    the most part; cysts and bullae lie in lung, or apart from it in an apex. Bowel gas that
    looks like an airway is found, too; it isn't lung either.

    Parameters
    ----------
    hounsfield : ndarray, (z, y, x)
        In axial order, on a grid of one to a few millimeters.
    body : ndarray of bool, (z, y, x)
    spacing : tuple of float
        In mm, (z, y, x).

    Returns
    -------
    ndarray of bool, (z, y, x)
    """
    pixel = spacing[1] * spacing[2] / 100
    slices = [_air_pieces(axial, pixel) for axial in (hounsfield < LUMEN_HU) & body]
    taken = np.zeros(hounsfield.shape, bool)
    lung_above = np.zeros(hounsfield.shape[1:], bool)
    tracks = []
    for z in reversed(range(len(slices))):
        for number in _possible_starts(slices[z], lung_above | taken[z], spacing):
            lumen = _follow(slices[: z + 1], number, pixel)
            inside = slice(z + 1 - len(lumen), z + 1)
            dark = np.median(hounsfield[inside][lumen]) <= MAX_TRACHEA_HU
            if len(lumen) * spacing[0] < MIN_TRACHEA_MM:
                # Nor can its lower parts be followed farther.
                taken[inside] |= lumen
            elif dark:
                taken[inside] |= lumen
                tracks.append(
                    _Track(inside, lumen, _lung_around(hounsfield[inside], lumen, spacing))
                )
        lung_above = slices[z].large()
    return _tree(tracks, hounsfield.shape, spacing)


def _tree(
    tracks: list[_Track], shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> np.ndarray:
    """The trachea, the longest track that runs in tissue, and what else is no part of a lung."""
    airways = np.zeros(shape, bool)
    in_tissue = [track for track in tracks if track.lung_around <= MAX_LUNG_AROUND]
    if not in_tissue:
        return airways
    trachea = max(in_tissue, key=lambda track: len(track.lumen))
    from_tree = ndimage.distance_transform_edt(~trachea.lumen.any(0), sampling=spacing[1:])
    for track in tracks:
        if from_tree[track.lumen[-1]].min() <= TREE_MM:
            belongs = track.lung_around <= MAX_LUNG_AROUND_BRONCHUS
        else:
            # Bowel; at the height of the trachea, the apex of a lung.
            belongs = (
                track.lung_around <= MAX_LUNG_AROUND and track.inside.stop <= trachea.inside.start
            )
        if belongs:
            airways[track.inside] |= track.lumen
    return airways


def _lung_around(
    hounsfield: np.ndarray, lumen: np.ndarray, spacing: tuple[float, float, float]
) -> float:
    """Share of lung in what surrounds the uppermost part of a track within the slices."""
    upper = lumen[-math.ceil(MIN_TRACHEA_MM / spacing[0]) :]
    near, far = (
        max(least, round(width / min(spacing[1:]))) for least, width in enumerate(AROUND_MM, 1)
    )
    box = (slice(None), *widened(extent(upper)[1:], far))
    upper, values = upper[box], hounsfield[-len(upper) :][box]
    within = ndimage.binary_dilation(upper, CROSS, near)
    around = ndimage.binary_dilation(within, CROSS, far - near) & ~within
    return float((values[around] < AERATED_HU).mean())


def _air_pieces(air: np.ndarray, pixel: float) -> _AirPieces:
    numbers, _ = ndimage.label(air)
    return _AirPieces(numbers, np.bincount(numbers.ravel()) * pixel)


def _possible_starts(
    axial: _AirPieces, taken: np.ndarray, spacing: tuple[float, float, float]
) -> list[int]:
    """Numbers of the round pieces of a trachea's size that are not `taken`."""
    starts = []
    for number, box in enumerate(ndimage.find_objects(axial.numbers), 1):
        if MIN_TRACHEA_CM2 <= axial.areas[number] <= MAX_TRACHEA_CM2:
            piece = axial.numbers[box] == number
            sides = [n * size for n, size in zip(piece.shape, spacing[1:], strict=True)]
            is_round = min(sides) > MIN_ASPECT * max(sides) and piece.mean() > MIN_FILLED
            if is_round and not (piece & taken[box]).any():
                starts.append(number)
    return starts


def _follow(slices: list[_AirPieces], start: int, pixel: float) -> np.ndarray:
    """The lumen from the last slice, the highest, down until no branch is left; (z, y, x)."""
    track = [slices[-1].numbers == start]
    for axial in reversed(slices[:-1]):
        near = _surroundings(track[-1])
        above, below = track[-1][near], axial.numbers[near]
        numbers = np.unique(below[ndimage.binary_dilation(above)])
        branches = np.zeros_like(track[-1])
        for number in numbers[numbers > 0]:
            before = (above & ndimage.binary_dilation(below == number)).sum() * pixel
            most = min(MAX_TRACHEA_CM2, MAX_GROWTH * before + SPARE_CM2)
            if MIN_BRONCHUS_CM2 <= axial.areas[number] <= most:
                branches |= axial.numbers == number
        if not branches.any():
            break
        track.append(branches)
    return np.stack(track[::-1])


def _surroundings(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest box that holds a mask (y, x), and one pixel more on each side."""
    found = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    rows, columns = (slice(max(0, each[0] - 1), each[-1] + 2) for each in found)
    return rows, columns

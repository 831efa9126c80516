"""What is known about the lungs once they are decided: figures, quality, and slices to check."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..labels import LUNG_NAMES
from ..orientation import AxialOrientation
from .densitometry import REGIONS, Numbers, distributions, numbers_of
from .findings import sentences
from .quality import assess, interruptions, left_out, ranges
from .scan import Scan

MAX_LUNG_ML = 12_000
"""Milliliters of both lungs. The largest vital capacity measured in an athlete is 11,700 mL; the
total capacity of tall men is 9,000 mL."""

MIN_LUNG_ML = 100
"""Milliliters of both lungs; a newborn's hold about 150 mL."""

MIN_WHOLE_LUNGS_MM = 150
"""Millimeters; a scan of a person that is shorter may show only a part of the lungs."""

MAX_END_CM2 = 10.0
"""Square centimeters of lung in the first or the last axial slice; more is cut off by the end of
the scan. No effect from 1.5 to 75 in 13 scans, of which three are cut."""

MIN_OTHER_LUNG_SHARE = 0.33
"""Share of the other lung: a smaller one was removed, has collapsed, or is missing in part."""


@dataclass(frozen=True, eq=False)  # arrays can neither be compared nor hashed as a whole
class LungFigures:
    """Figures of the segmented lungs.

    Attributes
    ----------
    numbers : dict of str to dict of str to float
        Volume, mass, intensities, and shares, as in `densitometry`; for example
        ``numbers["right"]["volume_ml"]``.
    quality : float
        How far the lungs can be trusted, estimated from the scan alone, 0 to 1.
    slice_quality : ndarray of float, (slices,)
        The same for each axial slice, in the order of storage; NaN without lung.
    hints : tuple of str
        Sentences that say where to look; empty where nothing is doubtful.
    """

    numbers: Numbers
    quality: float
    slice_quality: np.ndarray
    hints: tuple[str, ...]


def measure(
    lungs: np.ndarray, scan: Scan, hounsfield: np.ndarray, order: AxialOrientation, voxel_ml: float
) -> LungFigures:
    """Measure the lungs, estimate how good they are, and say where to look.

    Parameters
    ----------
    lungs : ndarray of uint8, (z, y, x)
        From `decide_lungs`, in axial order.
    scan : Scan
    hounsfield : ndarray, (z, y, x)
        The scan at full resolution, in axial order.
    order : AxialOrientation
        Of the scan; slices are numbered as they are stored.
    voxel_ml : float
        Volume of a voxel in milliliters.
    """
    length = order.spacing[0] * len(lungs)
    working = scan.grid.down(lungs > 0)[scan.box] > 0.5
    quality = assess(working, scan)
    numbers = numbers_of(distributions(lungs, hounsfield, voxel_ml))
    return LungFigures(
        numbers=numbers,
        quality=quality.score,
        slice_quality=order.along_storage(quality.slices),
        hints=(
            *_unlikely_volume(numbers, length),
            *_cut_off(lungs, order),
            *_large_gaps(numbers, left_out(working, scan), order, len(lungs)),
            *sentences(lungs, scan, order),
            *_hints(lungs, quality.doubtful, order),
        ),
    )


def _unlikely_volume(numbers: Numbers, length: float) -> list[str]:
    """A sentence about lungs that are impossibly large or small."""
    volume = numbers["both"]["volume_ml"]
    if volume > MAX_LUNG_ML:
        return [
            f"The lungs hold {volume / 1000:.1f} L, more than anyone's; check the voxel size of "
            "the scan."
        ]
    if 0 < volume < MIN_LUNG_ML and length >= MIN_WHOLE_LUNGS_MM:
        return [
            f"The lungs hold only {volume:.0f} mL, less than a newborn's; check whether the scan "
            "shows lungs at all."
        ]
    return []


def _cut_off(lungs: np.ndarray, order: AxialOrientation) -> list[str]:
    """A sentence about each end at which the lungs go on beyond the scan."""
    limit = 100 * MAX_END_CM2 / (order.spacing[1] * order.spacing[2])
    cut = np.zeros(len(lungs), bool)
    for end in (0, -1):
        cut[end] = np.count_nonzero(lungs[end]) > limit
    return [
        f"Look at {_slices(end, end)} of {len(lungs)}: the scan or region ends there within the "
        "lungs, and the numbers lack what lies beyond."
        for end in np.flatnonzero(order.along_storage(cut)).tolist()
    ]


def _large_gaps(
    numbers: Numbers,
    pieces: list[tuple[float, slice]],
    order: AxialOrientation,
    count: int,
) -> list[str]:
    """Doubts about the lungs as a whole."""
    sentences = []
    for volume, inside in pieces:
        where = np.zeros(count, bool)
        where[inside] = True
        first, last = ranges(order.along_storage(where))[0]
        sentences.append(
            f"Look at {_slices(first, last)} of {count}: {volume:.0f} mL there look like lung and "
            "were left out."
        )
    (small, name), (large, other) = sorted(
        (numbers[side]["volume_ml"], REGIONS[side]) for side in ("right", "left")
    )
    if 0 < small < MIN_OTHER_LUNG_SHARE * large:
        sentences.append(
            f"The {name} has {small:.0f} mL, the {other} {large:.0f} mL; check whether a part of "
            "it is missing."
        )
    return sentences


def _hints(lungs: np.ndarray, doubtful: np.ndarray, order: AxialOrientation) -> list[str]:
    count = len(lungs)
    present = {name: (lungs == label).any((1, 2)) for label, name in LUNG_NAMES.items()}
    sentences = [
        f"The {name} was not found. If the scan shows it, add it by hand; if the scan or "
        f"region ends before the spine, what is called {other} may be the {name}."
        for name, other in permutations(present)
        if not present[name].any() and present[other].any()
    ]
    for name, slices in present.items():
        missing = interruptions(slices)
        doubtful = doubtful & ~missing
        sentences += [
            f"Look at {_slices(first, last)} of {count}: the {name} is missing there, and is "
            "found above and below."
            for first, last in ranges(order.along_storage(missing))
        ]
    sentences += [
        f"Look at the lungs in {_slices(first, last)} of {count}: they may include soft "
        "tissue or miss lung."
        for first, last in ranges(order.along_storage(doubtful))
    ]
    return sentences


def _slices(first: int, last: int) -> str:
    """Slices counted from 1."""
    return f"slice {first + 1}" if first == last else f"slices {first + 1} to {last + 1}"

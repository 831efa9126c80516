"""What lies beside the lungs and may belong to them: haze and gas, in words, with their place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from ..labels import LUNG_NAMES
from ..orientation import AxialOrientation
from .levels import AERATED_HU, GAS_MARGIN_HU
from .quality import MIN_BRIGHT_HU, NEIGHBORS, ranges
from .scan import Scan

MIN_HAZE_ML, MIN_GAS_ML = 10.0, 20.0
"""Milliliters of what is worth a word. Not measured."""

BESIDE_PIXELS = 2
"""Working pixels from the lungs, for at their border a pixel is a mixture."""

THIRDS = ("lower", "middle", "upper")
"""Parts of a lung from its lowest slice to its highest."""


def sentences(lungs: np.ndarray, scan: Scan, order: AxialOrientation) -> Iterator[str]:
    """What was left out beside the lungs, in one sentence each.

    Parameters
    ----------
    lungs : ndarray of uint8, (z, y, x)
        From `decide_lungs`, in axial order, at full resolution.
    scan : Scan
    order : AxialOrientation
        Of the scan; slices are numbered as they are stored.
    """
    count = len(lungs)
    for box, text in _findings(scan.grid.centers(lungs)[scan.box], scan):
        where = np.zeros(count, bool)
        where[box] = True
        first, last = ranges(order.along_storage(where))[0]
        yield f"Look at slices {first + 1} to {last + 1} of {count}: {text}."


def _findings(lungs: np.ndarray, scan: Scan) -> Iterator[tuple[slice, str]]:
    """The slices of each finding, and what it is.

    Parameters
    ----------
    lungs : ndarray of uint8, (z, y, x)
        `RIGHT` or `LEFT`, on the working grid, inside the scan's box.
    scan : Scan
    """
    values, beside = scan.hounsfield, scan.body & (lungs == 0) & ~scan.near_airways
    haze = beside & (values >= AERATED_HU) & (values < MIN_BRIGHT_HU)
    gas = beside & (values < scan.air_level + GAS_MARGIN_HU)
    for mask, least, text in (
        (haze, MIN_HAZE_ML, "of haze were left out"),
        (gas, MIN_GAS_ML, "of gas were left out as stomach or bowel"),
    ):
        pieces, _ = ndimage.label(ndimage.binary_opening(mask, NEIGHBORS))
        volumes = np.bincount(pieces.ravel()) * np.prod(scan.spacing) / 1000
        for number, box in enumerate(ndimage.find_objects(pieces), 1):
            if volumes[number] >= least:
                place = _place(pieces == number, lungs)
                if place:
                    yield box[0], f"{volumes[number]:.0f} mL {text} beside the {place}"


def _place(piece: np.ndarray, lungs: np.ndarray) -> str:
    """The third of the lung that a piece lies beside; empty if there is none."""
    touched = lungs[ndimage.binary_dilation(piece, NEIGHBORS, BESIDE_PIXELS)]
    counts = np.bincount(touched, minlength=max(LUNG_NAMES) + 1)
    side = max(LUNG_NAMES, key=lambda label: counts[label])
    if not counts[side]:
        return ""
    slices = np.flatnonzero((lungs == side).any((1, 2)))
    height = np.nonzero(piece)[0].mean() - slices[0]
    third = min(max(int(3 * height / (slices[-1] + 1 - slices[0])), 0), len(THIRDS) - 1)
    return f"{THIRDS[third]} third of the {LUNG_NAMES[side]}"

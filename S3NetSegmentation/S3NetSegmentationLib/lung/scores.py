"""Scores of the network for every slice, from those of some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .scan import Scan

PREDICTED_MM = 6.0
"""Millimeters between slices that the network looks at, at most, unless the slices are thicker.
Flat from 2.5 to 9: with this, the Dice scores of eight scans and two seeds each change by 0.0001 on
average, by 0.0007 at most."""


def predicted_slices(scan: Scan) -> np.ndarray:
    """Indices of the slices that the network looks at: the ends, and evenly between them."""
    step = max(1, int(PREDICTED_MM // scan.spacing[0]))
    last = len(scan.body) - 1
    return np.append(np.arange(0, last, step), last)


@dataclass(frozen=True, eq=False)
class SliceScores:
    """Scores of every slice, interpolated linearly where the network has not looked.

    Attributes
    ----------
    places : ndarray of int, (n,)
        The slices that it has looked at, from the first to the last.
    predicted : ndarray, (n, K, y, x)
        Their logits.
    """

    places: np.ndarray
    predicted: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        """Logits (K, y, x), slice by slice, as all of them would take much memory."""
        for z in range(self.places[-1] + 1):
            above = int(np.searchsorted(self.places, z))
            share = np.float32(self.places[above] - z)
            if not share:
                yield self.predicted[above]
                continue
            share /= self.places[above] - self.places[above - 1]
            yield self.predicted[above] * (1 - share) + self.predicted[above - 1] * share

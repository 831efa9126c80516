"""Overlap of two masks."""

from __future__ import annotations

import numpy as np


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice score, 0 to 1; 1 if both masks are empty.

    Parameters
    ----------
    prediction, truth : ndarray of bool, same shape
    """
    total = np.count_nonzero(prediction) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(prediction & truth) / total if total else 1.0

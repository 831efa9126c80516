"""How well two masks overlap, in the measures of the paper (section 4.1, table 1)."""

from __future__ import annotations

import numpy as np


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice score, 0 to 1; 1 where both masks are empty.

    Parameters
    ----------
    prediction, truth : ndarray of bool, same shape
    """
    total = np.count_nonzero(prediction) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(prediction & truth) / total if total else 1.0


def hammoude(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Hammoude distance ``(|A or B| - |A and B|) / |A or B|``, 0 to 100 percent.

    0 where both masks are empty.

    References
    ----------
    A. Hammoude, Computer-assisted endocardial border identification from a sequence of
    two-dimensional echocardiographic images, PhD thesis, University of Washington, 1988.
    """
    union = np.count_nonzero(prediction | truth)
    return 100 * np.count_nonzero(prediction ^ truth) / union if union else 0.0


def xor_error(prediction: np.ndarray, truth: np.ndarray) -> float:
    """XOR measure ``(|A or B| - |A and B|) / |truth|`` in percent, 0 and up.

    Where the truth is empty: 0 if the prediction is empty, too, else infinite.
    """
    wrong = np.count_nonzero(prediction ^ truth)
    if not truth.any():
        return 0.0 if wrong == 0 else float("inf")
    return 100 * wrong / np.count_nonzero(truth)

"""How the paper turns clusters into a prediction and judges it (section 4.1, table 1)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def best_cluster(clusters: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The one cluster that overlaps the ground truth most (paper, section 4.1).

    Parameters
    ----------
    clusters : ndarray of int
        Cluster map, numbers from 0.
    truth : ndarray of bool, same shape

    Returns
    -------
    ndarray of bool
        Empty where the truth is.
    """
    if not truth.any():
        return np.zeros_like(truth)
    return clusters == np.bincount(clusters[truth]).argmax()


CROP_SHARE = 4 / 256
"""Of the longer side, by which the ground truth is dilated on each side for the crop."""


def crop_by_truth(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A prediction cut to the dilated ground truth, which a user does not have.

    The authors' code does so before it evaluates, with a square of 9 x 9 pixels (4 on each
    side) in a picture of 256 x 256; figures made this way are named so. Whatever is predicted far
    from the truth costs nothing, so the whole picture as prediction scores high.

    Parameters
    ----------
    prediction, truth : ndarray of bool, same shape
    """
    pixels = max(1, round(CROP_SHARE * max(truth.shape)))
    square = np.ones((2 * pixels + 1,) * truth.ndim, bool)
    return prediction & ndimage.binary_dilation(truth, square)


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

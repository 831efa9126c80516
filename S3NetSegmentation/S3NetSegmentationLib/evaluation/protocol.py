"""How the paper turns clusters into a prediction."""

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


def crop_by_truth(prediction: np.ndarray, truth: np.ndarray, pixels: int = 4) -> np.ndarray:
    """A prediction cut to the dilated ground truth, which a user does not have.

    The authors' code does so before it evaluates, with a square of 9 x 9 pixels (4 on each
    side); figures made this way are named so. Whatever is predicted far from the truth costs
    nothing, so that the whole picture as prediction scores high.

    Parameters
    ----------
    prediction, truth : ndarray of bool, same shape
    pixels : int
        Of the dilation, on each side.
    """
    square = np.ones((2 * pixels + 1,) * truth.ndim, bool)
    return prediction & ndimage.binary_dilation(truth, square)

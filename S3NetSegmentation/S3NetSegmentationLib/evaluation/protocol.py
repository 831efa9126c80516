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


def crop_by_truth(prediction: np.ndarray, truth: np.ndarray, pixels: int) -> np.ndarray:
    """A prediction cut to the dilated ground truth, which a user does not have.

    The authors' code does so before it evaluates; figures made this way are named so.

    Parameters
    ----------
    prediction, truth : ndarray of bool, same shape
    pixels : int
        Of the dilation.
    """
    return prediction & ndimage.binary_dilation(truth, iterations=pixels)

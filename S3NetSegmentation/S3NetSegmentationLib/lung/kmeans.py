"""k-means on intensity: the simplest clusters, without any network."""

from __future__ import annotations

import numpy as np
from scipy.cluster.vq import kmeans2

SAMPLE = 100_000
"""Pixels that the centers are found from."""


def kmeans_labels(values: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """The cluster of every pixel.

    Parameters
    ----------
    values : ndarray, (pixels, channels)
    clusters : int
    seed : int

    Returns
    -------
    ndarray of int, (pixels,)
        From 0, in no order.
    """
    values = np.asarray(values, np.float64)
    sample = values[:: max(1, len(values) // SAMPLE)]
    centers, _ = kmeans2(sample, clusters, minit="++", seed=seed)
    distance = [((values - center) ** 2).sum(1) for center in centers]
    return np.argmin(distance, 0)

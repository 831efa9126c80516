"""One meaning for the clusters of independently fitted slices."""

from __future__ import annotations

import numpy as np

SAME_CLUSTER_HU = 80.0
"""Hounsfield units between the medians up to which two clusters may be the same. In slice mode,
flat from 48 to 128."""

OVERLAP_HU = 100.0
"""Hounsfield units between the medians that a full overlap with the slice before makes up for. In
slice mode, flat from 60 to 160."""


def match_along_z(
    labels: np.ndarray, hounsfield: np.ndarray, body: np.ndarray, most: int
) -> np.ndarray:
    """Give the clusters of consecutive slices common numbers.

    From the slice with the most clusters upward and then downward, each cluster joins the
    common one that is nearest in median intensity, where overlap with it in the slice before
    counts in its favor. A cluster that is like none so far becomes a common one.

    Parameters
    ----------
    labels : ndarray of int, (z, y, x)
        Cluster maps with numbers of their own in every slice.
    hounsfield, body : ndarray, (z, y, x)
    most : int
        How many common clusters there may be.

    Returns
    -------
    ndarray of int, (z, y, x)
        Common numbers from 0.
    """
    matched = np.zeros_like(labels)
    variety = [len(np.unique(axial[inside])) for axial, inside in zip(labels, body, strict=True)]
    start = int(np.argmax(variety))
    medians: list[float] = []
    for z in [*range(start, len(labels)), *range(start - 1, -1, -1)]:
        before = matched[z - 1] if z > start else matched[min(z + 1, start)]
        inside = body[z] if body[z].any() else np.ones_like(body[z])
        for cluster in np.unique(labels[z]):
            own = labels[z] == cluster
            seen = own & inside if (own & inside).any() else own
            median = float(np.median(hounsfield[z][seen]))
            overlap = np.bincount(before[seen], minlength=len(medians)) / seen.sum()
            cost = [
                abs(median - other) - (OVERLAP_HU * share if z != start else 0)
                for other, share in zip(medians, overlap, strict=False)
            ]
            if cost and (min(cost) <= SAME_CLUSTER_HU or len(medians) >= most):
                common = int(np.argmin(cost))
            else:
                common = len(medians)
                medians.append(median)
            matched[z][own] = common
    return matched

"""From scores to clusters, what is known of each, and which ones are lung."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import InputError
from .levels import AERATED_HU, AIR_HU
from .scan import Scan

MAX_CLUSTER_HU = 400
"""Hounsfield units up to which clusters are distinguished by intensity, from air on; brighter
voxels are bone and contrast agent. No effect from 300 to 500."""

MIN_SPREAD_HU = 40
"""Hounsfield units, a standard deviation: no cluster is narrower than the noise of a scan. No
effect from 24 to 64."""

MIN_CLUSTER_SHARE = 1e-4
"""Share of the body: a smaller cluster, about 3 mL in an adult's chest, is not worth a number. Flat
from 6e-05 to 0.00016."""

MIXED_SHARE = 0.1
"""Share of a cluster on either side of `AERATED_HU`, from which on it is two things. Flat from 0.06
to 0.16."""

MIN_INSIDE_SHARE = 0.5
"""Share of a lung cluster inside the body, at least; air is mostly outside. No effect from 0.3 to
0.8."""


def assign_clusters(
    scores: Iterable[np.ndarray], hounsfield: np.ndarray, body: np.ndarray, use_intensity: bool
) -> np.ndarray:
    """The cluster of every pixel, from the score map and the intensity.

    The scores are, up to a constant, the logarithms of how likely each cluster is from what
    surrounds a pixel.
    To them comes how likely the pixel's own intensity is in each cluster, a normal
    distribution about the median of the pixels that the scores alone give to it.

    Parameters
    ----------
    scores : iterable of ndarray, (K, y, x)
        Logits of one network for each slice; gone through twice.
    hounsfield : ndarray, (z, y, x)
    body : ndarray of bool, (z, y, x)
        The intensity counts in here alone.
    use_intensity : bool
        Off takes the argmax of the scores.

    Returns
    -------
    ndarray of int, (z, y, x)
        0 to K - 1, also outside the body.
    """
    labels = np.stack([axial.argmax(0) for axial in scores]).astype(np.int16)
    if not use_intensity or not body.any():
        return labels
    values, winners = hounsfield[body].clip(AIR_HU, MAX_CLUSTER_HU), labels[body]
    count = int(labels.max()) + 1
    median, spread = np.zeros(count, np.float32), np.full(count, np.inf, np.float32)
    for cluster in range(count):
        own = values[winners == cluster]
        if own.size >= max(1, MIN_CLUSTER_SHARE * values.size):
            low, median[cluster], high = np.percentile(own, (25, 50, 75))
            # The quartiles of a normal distribution lie 1.35 standard deviations apart.
            spread[cluster] = max((high - low) / 1.35, MIN_SPREAD_HU)
    valid = np.flatnonzero(np.isfinite(spread))  # the others are likely nowhere
    median, spread = median[valid, None], spread[valid, None]
    # Slice by slice, as the scores of all of them in single precision would take much memory.
    for axial, logits, intensity, inside in zip(labels, scores, hounsfield, body, strict=True):
        distance = (intensity[inside].clip(AIR_HU, MAX_CLUSTER_HU) - median) / spread
        likelihood = logits[valid][:, inside] - distance**2 / 2 - np.log(spread)
        axial[inside] = valid[likelihood.argmax(0)]
    return labels


def split_mixed_clusters(labels: np.ndarray, scan: Scan) -> np.ndarray:
    """Split the clusters that contain both lung and tissue, by intensity.

    A network that has few thin lungs to learn from puts them into one cluster with the borders
    of everything else.

    Parameters
    ----------
    labels : ndarray of int, (z, y, x)
        Any numbers from 0, on the working grid.
    scan : Scan

    Returns
    -------
    ndarray of int, (z, y, x)
        The bright part of a mixed cluster has a new number.
    """
    count = int(labels.max()) + 1
    bright = scan.body & (scan.hounsfield > AERATED_HU)
    voxels = np.bincount(labels[scan.body], minlength=count)
    share = np.bincount(labels[bright], minlength=count) / np.maximum(voxels, 1)
    is_mixed = (share > MIXED_SHARE) & (share < 1 - MIXED_SHARE)
    return np.where(bright & is_mixed[labels], labels + count, labels)


def order_clusters(labels: np.ndarray, scan: Scan) -> np.ndarray:
    """Number the clusters from dark to bright; nearly empty ones join the others.

    Parameters
    ----------
    labels : ndarray of int, (z, y, x)
        Any numbers from 0, on the working grid.
    scan : Scan

    Returns
    -------
    ndarray of uint8, (z, y, x)
        From 1, also outside the body.
    """
    values, winners = scan.hounsfield[scan.body], labels[scan.body]
    counts = np.bincount(winners, minlength=labels.max() + 1)
    kept = np.flatnonzero(counts >= max(1, MIN_CLUSTER_SHARE * values.size)).tolist()
    medians = {cluster: np.median(values[winners == cluster]) for cluster in kept}
    ascending = sorted(kept, key=lambda cluster: medians[cluster])
    number_of = np.empty(len(counts), np.uint8)
    for cluster in range(len(counts)):
        own = values[winners == cluster]
        median = np.median(own) if own.size else MAX_CLUSTER_HU
        nearest = min(ascending, key=lambda other: abs(medians[other] - median))
        number_of[cluster] = 1 + ascending.index(cluster if cluster in medians else nearest)
    return number_of[labels]


def cluster_map(labels: np.ndarray, scan: Scan) -> np.ndarray:
    """Number of the cluster of every voxel of the scan, 0 outside the body.

    Parameters
    ----------
    labels : ndarray of uint8, (z, y, x)
        From `order_clusters`.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        On the scan's own grid, with smooth borders.
    """
    inside = labels * scan.body
    whole = np.zeros(scan.grid.coarse_shape, np.uint8)
    whole[scan.box] = inside
    return scan.grid.up_smoothly(whole)


def choose_lung_clusters(labels: np.ndarray, scan: Scan, hounsfield: np.ndarray) -> tuple[int, ...]:
    """Numbers of the clusters that are lung, or air inside the body.

    Lung is rarely one cluster: its darker and its brighter parts differ, and so do its borders.

    Parameters
    ----------
    labels : ndarray of uint8, (z, y, x)
        From `order_clusters`, on the working grid.
    scan : Scan
    hounsfield : ndarray, (z, y, x)
        On the scan's own grid.
    """
    count = int(labels.max())
    everywhere = np.bincount(labels.ravel(), minlength=count + 1)
    values, numbers = scan.grid.centers(hounsfield)[scan.box][scan.body], labels[scan.body]
    inside = np.bincount(numbers, minlength=count + 1) / np.maximum(everywhere, 1)
    return tuple(
        number
        for number in range(1, count + 1)
        if inside[number] >= MIN_INSIDE_SHARE and np.median(values[numbers == number]) <= AERATED_HU
    )


def checked_numbers(numbers: Iterable[int], count: int, kind: str = "cluster") -> tuple[int, ...]:
    """Numbers of clusters, or what else there is, in order, each once, as Python's own integers.

    Parameters
    ----------
    numbers : iterable of int
        Of whatever type, numpy's too.
    count : int
        How many there are.
    kind : str
        What they are, for the message.

    Raises
    ------
    InputError
        If one is not among them.
    """
    chosen = set(numbers)
    for number in chosen:
        if number not in range(1, count + 1):
            raise InputError(f"There is no {kind} {number}; choose from 1 to {count}.")
    return tuple(sorted(int(number) for number in chosen))

"""From the scores of a few fits to the regions of a picture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.special import log_softmax, logsumexp

from ..resampling import resized

NOISE_GRAYS = 3.0
"""Of 255: noise of a photograph; no region is more uniform than this. Not measured."""

ROUNDS = 3
"""How many times the colors of the regions are re-estimated from their pixels; more rounds change
little. Not measured."""

SMOOTHING_SHARE = 1 / 128
"""Standard deviation for averaging colors, as a share of the picture's longer side: hairs are
finer. By eye."""

MIN_REGION_PIXELS = 20
"""Minimum number of pixels for estimating a variance; its standard error is then a third of it."""


def merged_regions(
    scores: np.ndarray, colors: np.ndarray, view: np.ndarray, count: int
) -> np.ndarray:
    """Soft map of the `count` regions that a fit's clusters are merged into, from dark to bright.

    The two clusters whose union increases the variance of the colors least are joined, until
    `count` are left (Ward's criterion).

    Parameters
    ----------
    scores : ndarray, (K, y, x)
        Logits of one fit.
    colors : ndarray, (y, x, channels)
    view : ndarray of bool, (y, x)
        The part of the picture that counts.
    count : int

    Returns
    -------
    ndarray, (count, y, x)
        Probabilities; fewer regions where the fit has fewer clusters.
    """
    labels = scores.argmax(0)[view]
    values = colors[view].astype(np.float64)
    groups = [[cluster] for cluster in np.unique(labels)]
    sizes = [int(np.count_nonzero(labels == group[0])) for group in groups]
    means = [values[labels == group[0]].mean(0) for group in groups]
    while len(groups) > count:
        first, second = _cheapest_union(sizes, means)
        size = sizes[first] + sizes[second]
        means[first] = (sizes[first] * means[first] + sizes[second] * means[second]) / size
        sizes[first] = size
        groups[first] += groups[second]
        for each in (groups, sizes, means):
            del each[second]
    logarithms = log_softmax(scores.astype(np.float64), 0)
    order = np.argsort([mean.sum() for mean in means])
    soft = np.exp([logsumexp(logarithms[groups[index]], 0) for index in order])
    return soft / soft.sum(0)


def _cheapest_union(sizes: list[int], means: list[np.ndarray]) -> tuple[int, int]:
    size, mean = np.array(sizes, float), np.array(means)
    distance = ((mean[:, None] - mean) ** 2).sum(-1)
    cost = distance * size[:, None] * size / (size[:, None] + size)
    cost[np.tril_indices(len(size))] = np.inf
    first, second = np.unravel_index(cost.argmin(), cost.shape)
    return int(first), int(second)


def decide_regions(soft: np.ndarray, picture: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Decide the region of every pixel, from the soft map and the pixel's color.

    Parameters
    ----------
    soft : ndarray, (regions, y, x)
        Probabilities on a coarser grid over the same picture.
    picture : ndarray, (Y, X, channels)
        Values of 0 to 255.
    view : ndarray of bool, (Y, X)

    Returns
    -------
    ndarray of uint8, (Y, X)
        From 1; 0 outside the view.
    """
    zoom = np.divide((len(soft), *picture.shape[:2]), soft.shape)
    likelihood = np.log(resized(soft, zoom)[:, view].T.clip(1e-3))
    sigma = SMOOTHING_SHARE * max(picture.shape[:2])
    values = ndimage.gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0))[view]
    winners = likelihood.argmax(1)
    for _ in range(ROUNDS):
        winners = (likelihood + _color_likelihood(values, winners, len(soft))).argmax(1)
    regions = np.zeros(view.shape, np.uint8)
    regions[view] = 1 + winners
    return regions


def _color_likelihood(values: np.ndarray, winners: np.ndarray, count: int) -> np.ndarray:
    """Log likelihood of each pixel's color in each region, (pixels, regions)."""
    likelihood = np.full((len(values), count), -np.inf)
    for region in range(count):
        own = values[winners == region]
        if len(own) >= MIN_REGION_PIXELS:
            variance = own.var(0).mean() + NOISE_GRAYS**2
            squared = ((values - own.mean(0)) ** 2).sum(1) / variance
            likelihood[:, region] = -squared / 2 - values.shape[1] / 2 * np.log(variance)
    return likelihood

"""From the scores of a few fits to the regions of a picture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.special import log_softmax, logsumexp

from ..resampling import resized

NOISE_GRAYS = 3.0
"""Of 255: no region is more uniform than this, the noise of a photograph. Not measured."""

ROUNDS = 3
"""How often the colors of the regions are estimated anew from the pixels that they won; more change
little. Not measured."""

SMOOTHING_SHARE = 1 / 128
"""Of the picture's longer side, the standard deviation over which colors are averaged: finer than
that are hairs. By eye."""

MIN_REGION_PIXELS = 20
"""That a variance is estimated from, at least; its standard error is then a third of it."""


def merged_regions(
    scores: np.ndarray, colors: np.ndarray, view: np.ndarray, count: int
) -> np.ndarray:
    """Soft map of the `count` regions that a fit's clusters are merged to, from dark to bright.

    The two clusters whose union explains the colors worst off least are joined, until `count`
    are left (Ward's criterion).

    Parameters
    ----------
    scores : ndarray, (K, y, x)
        Logits of one fit.
    colors : ndarray, (y, x, channels)
    view : ndarray of bool, (y, x)
        What counts.
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
    """The region of every pixel, from the soft map and its own color.

    Parameters
    ----------
    soft : ndarray, (regions, y, x)
        Probabilities on a coarser grid over the same picture.
    picture : ndarray, (Y, X, channels)
        Of 0 to 255.
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
    """Logarithm of how likely each pixel's color is in each region, (pixels, regions)."""
    likelihood = np.full((len(values), count), -np.inf)
    for region in range(count):
        own = values[winners == region]
        if len(own) >= MIN_REGION_PIXELS:
            variance = own.var(0).mean() + NOISE_GRAYS**2
            squared = ((values - own.mean(0)) ** 2).sum(1) / variance
            likelihood[:, region] = -squared / 2 - values.shape[1] / 2 * np.log(variance)
    return likelihood

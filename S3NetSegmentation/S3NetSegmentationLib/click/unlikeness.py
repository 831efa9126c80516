"""How much each voxel of a box differs from the clicked tissue, by intensity and by network."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import FitError
from ..s3net.fit import fit, predict
from ..s3net.hardware.arrays import to_array
from ..s3net.settings import NetworkSettings
from .box import ClickedBox, neighborhood

WINDOWS = (3.0, 8.0)
"""Half widths of the network's two windows, in spreads of the clicked tissue."""

FITTED_MM = (-10.0, 0.0, 10.0)
"""Positions of the slices that the network is fitted to, relative to the clicked slice."""

FITTED_HALF_MM = 30.0
"""Half width of the fitted part of these slices; the network then predicts the whole box."""

CLICKED_MM = 3.0
"""Radius of the neighborhood of the click after noise has been removed."""

FLOW_STEPS, FLOW_STEP = 10, 0.0625
"""Parameters of the curvature flow, which removes noise and preserves borders."""

CLIPPED = 20.0
"""Distance from the clicked tissue, in spreads, beyond which everything is equally far."""

NETWORK_WEIGHT = 0.3
"""Weight of the network relative to the intensity."""

SCORES_MM = 1.2
"""Standard deviation for smoothing the likelihood of each cluster."""

MOST = 20.0
"""Maximum unlikeness by the network."""

LEAST_VOXELS = 50
"""Minimum size of a cluster that counts."""


def unlikeness(box: ClickedBox, settings: NetworkSettings) -> np.ndarray:
    """How much each voxel differs from the clicked tissue.

    Returns
    -------
    ndarray of float32, (z, y, x)
        About 0 for the same tissue, 1 at a distance of one spread; at least 0.
    """
    return by_intensity(box) + NETWORK_WEIGHT * by_network(box, settings)


def by_intensity(box: ClickedBox) -> np.ndarray:
    """Distance to the clicked intensity in spreads, after noise has been removed."""
    reach = CLIPPED * box.spread
    clipped = np.clip(box.values, box.median - reach, box.median + reach)
    flow = sitk.CurvatureFlow(sitk.GetImageFromArray(clipped), FLOW_STEP, FLOW_STEPS)
    clean = sitk.GetArrayFromImage(flow)
    clicked = np.median(neighborhood(clean, box.spacing, box.index, CLICKED_MM))
    return np.abs(clean - clicked) / box.spread


def by_network(box: ClickedBox, settings: NetworkSettings) -> np.ndarray:
    """How much more likely another cluster is than the clicked one; 0 where none is.

    It is 0 everywhere if the network finds nothing to separate; the user is waiting, so it is not
    fitted again.
    """
    images = torch.from_numpy(_windowed(box))
    offsets = np.round(np.array(FITTED_MM) / box.spacing[0]).astype(int)
    slices = np.unique(np.clip(box.index[0] + offsets, 0, len(images) - 1))
    rows, columns = (
        slice(max(0, i - round(FITTED_HALF_MM / size)), i + round(FITTED_HALF_MM / size) + 1)
        for i, size in zip(box.index[1:], box.spacing[1:], strict=True)
    )
    try:
        fitted = images[slices.tolist(), :, rows, columns]
        network = fit(fitted, settings, refits=0).network
    except FitError:
        return np.zeros_like(box.values)
    likely = _cluster_likelihoods(to_array(torch.log_softmax(predict(network, images), 1)), box)
    z, y, x = box.index
    around = likely[:, z, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
    clicked = around.mean((1, 2)).argmax()
    return np.minimum(likely.max(0) - likely[clicked], MOST)


def _windowed(box: ClickedBox) -> np.ndarray:
    """Input of the network, (z, windows, y, x), -1 to 1."""
    deviation = (box.values - box.median) / box.spread
    return np.stack([np.clip(deviation / half, -1, 1) for half in WINDOWS], 1)


def _cluster_likelihoods(scores: np.ndarray, box: ClickedBox) -> np.ndarray:
    """Likelihood of each cluster by its surroundings and its intensity, (k, z, y, x).

    As in the assignment of lung clusters: the score plus the log of a normal distribution.
    """
    half = WINDOWS[-1] * box.spread
    values = np.clip(box.values, box.median - half, box.median + half)
    labels = scores.argmax(1)
    likely = []
    for cluster in np.unique(labels):
        own = values[labels == cluster]
        if len(own) < LEAST_VOXELS and len(own) < labels.size // 2:
            continue
        low, median, high = np.percentile(own, [25, 50, 75])
        spread = max((high - low) / 1.349, box.spread)
        log = scores[:, cluster] - ((values - median) / spread) ** 2 / 2 - np.log(spread)
        likely.append(box.smoothed(np.maximum(log, -50), SCORES_MM))
    return np.stack(likely)

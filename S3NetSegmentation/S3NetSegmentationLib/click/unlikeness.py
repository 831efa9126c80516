"""How unlike the clicked tissue each voxel of a box is: by its intensity, and by the network."""

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
"""Half widths of the two windows that the network sees, in spreads of the clicked tissue."""

FITTED_MM = (-10.0, 0.0, 10.0)
"""Slices that the network is fitted to, from that of the click."""

FITTED_HALF_MM = 30.0
"""How much of them, from the click; it then predicts the whole box."""

CLICKED_MM = 3.0
"""Radius of the neighborhood of the click once the noise has been taken out."""

FLOW_STEPS, FLOW_STEP = 10, 0.0625
"""Of the curvature flow that takes the noise out of the intensities and leaves the borders."""

CLIPPED = 20.0
"""Spreads from the clicked tissue beyond which all is equally far."""

NETWORK_WEIGHT = 0.3
"""Of the say of the network, beside the intensity."""

SCORES_MM = 1.2
"""Smoothing of how likely each cluster is."""

MOST = 20.0
"""By how much another cluster may be more likely, as an unlikeness."""

LEAST_VOXELS = 50
"""Of a cluster that counts."""


def unlikeness(box: ClickedBox, settings: NetworkSettings) -> np.ndarray:
    """How unlike the clicked tissue each voxel is.

    Parameters
    ----------
    box : ClickedBox
    settings : NetworkSettings

    Returns
    -------
    ndarray of float32, (z, y, x)
        About 0 where a voxel is the same, 1 a spread farther; at least 0.
    """
    return by_intensity(box) + NETWORK_WEIGHT * by_network(box, settings)


def by_intensity(box: ClickedBox) -> np.ndarray:
    """Distance to the clicked intensity in spreads, once the noise has been taken out."""
    reach = CLIPPED * box.spread
    clipped = np.clip(box.values, box.median - reach, box.median + reach)
    flow = sitk.CurvatureFlow(sitk.GetImageFromArray(clipped), FLOW_STEP, FLOW_STEPS)
    clean = sitk.GetArrayFromImage(flow)
    clicked = np.median(neighborhood(clean, box.spacing, box.index, CLICKED_MM))
    return np.abs(clean - clicked) / box.spread


def by_network(box: ClickedBox, settings: NetworkSettings) -> np.ndarray:
    """By how much another cluster is more likely than the clicked one; 0 where none is.

    Where the network finds nothing to separate, it has no say; the user waits, so it isn't fitted
    again.
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
    """What the network sees, (z, windows, y, x), -1 to 1."""
    deviation = (box.values - box.median) / box.spread
    return np.stack([np.clip(deviation / half, -1, 1) for half in WINDOWS], 1)


def _cluster_likelihoods(scores: np.ndarray, box: ClickedBox) -> np.ndarray:
    """How likely each cluster is by its surroundings and by its intensity, (k, z, y, x).

    As in the assignment of clusters of lungs: log of a normal distribution beside the score.
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

"""What the methods share that fit a small network to a single picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from . import Method, Prediction

SIZE = 64
"""Pixels along the longer side on which they work; the papers' 256 would take hours here."""

CHANNELS = 32


def picture_method(cluster: Callable[[Tensor], Tensor]) -> Method:
    """A method from a function that maps a picture (1, C, H, W) to labels (H, W)."""

    def segment(picture: np.ndarray, seed: int) -> Prediction:
        torch.manual_seed(seed)
        labels = cluster(_prepared(picture)).numpy()
        return Prediction(None, resized_labels(labels, picture.shape[:2]))

    return Method(slice=segment, skin=segment)


def resized_labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels (y, x) on another grid over the same picture, the nearest ones."""
    scale = np.divide(labels.shape, shape)
    y, x = (
        np.minimum((np.arange(n) + 0.5) * s, length - 1).astype(int)
        for n, s, length in zip(shape, scale, labels.shape, strict=True)
    )
    return labels[np.ix_(y, x)]


def convolutions(inputs: int, layers: int = 3) -> nn.Sequential:
    """3x3 convolutions, batch normalization, ReLU."""
    sizes = [inputs] + [CHANNELS] * layers
    return nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(sizes, sizes[1:], strict=False)
        )
    )


def _prepared(picture: np.ndarray) -> Tensor:
    """Reduced to `SIZE` and standardized, (1, C, H, W)."""
    zoom = min(1.0, SIZE / max(picture.shape[:2]))
    channels = np.atleast_3d(picture).astype(np.float32)
    small = np.stack(
        [
            ndimage.zoom(ndimage.gaussian_filter(channel, max(1 / zoom - 1, 0) / 2), zoom, order=1)
            for channel in np.moveaxis(channels, -1, 0)
        ]
    )
    return torch.from_numpy((small - small.mean()) / small.std())[None].float()

"""Spatial guided self-supervised clustering network on one picture.

E. Ahn, D. Feng, J. Kim, A spatial guided self-supervised clustering network for medical image
segmentation, MICCAI 2021. Cross entropy against its own argmax, a sparse spatial loss that
forgives jumps at the picture's edges, and a context loss that draws each pixel to the mean of
its cluster.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .per_image import CHANNELS, convolutions, picture_method

CLUSTERS, ITERATIONS, MIN_CLUSTERS = 32, 50, 3
SPATIAL, CONTEXT = 1.0, 0.5


def cluster(image: Tensor) -> Tensor:
    """Labels (H, W) of a picture (1, C, H, W)."""
    network = nn.Sequential(
        convolutions(image.shape[1]), nn.Conv2d(CHANNELS, CLUSTERS, 1), nn.BatchNorm2d(CLUSTERS)
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(ITERATIONS):
        scores = network(image)
        labels = scores.detach().argmax(1)
        if len(labels.unique()) <= MIN_CLUSTERS:
            break
        loss = (
            F.cross_entropy(scores, labels)
            + SPATIAL * _spatial(scores, image)
            + CONTEXT * _context(scores[0], labels[0])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return labels[0]


def _spatial(scores: Tensor, image: Tensor) -> Tensor:
    """Jumps of the scores to the next pixel, worth less where the picture jumps, too."""
    total = 0.0
    for axis in (2, 3):
        jump = scores.diff(dim=axis).abs().mean(1)
        edge = image.diff(dim=axis).abs().mean(1)
        total = total + (jump * torch.exp(-edge)).mean()
    return total


def _context(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean squared distance of each pixel's soft assignment to the mean of its cluster."""
    soft = scores.softmax(0).flatten(1).T
    chosen = labels.flatten()
    counts = torch.bincount(chosen, minlength=CLUSTERS).clamp(min=1)[:, None]
    means = torch.zeros_like(soft[:CLUSTERS]).index_add(0, chosen, soft) / counts
    return ((soft - means[chosen]) ** 2).sum(1).mean()


METHOD = picture_method(cluster)

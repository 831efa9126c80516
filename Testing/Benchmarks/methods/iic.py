"""Invariant information clustering on one picture.

X. Ji et al., Invariant information clustering for unsupervised image classification and
segmentation, ICCV 2019. The mutual information of the assignments of a picture and of a
transformed copy is maximized, also between neighboring pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .per_image import CHANNELS, convolutions, picture_method

CLUSTERS, ITERATIONS, NEIGHBORS = 3, 60, 1


def cluster(image: Tensor) -> Tensor:
    """Labels (H, W) of a picture (1, C, H, W)."""
    network = nn.Sequential(convolutions(image.shape[1]), nn.Conv2d(CHANNELS, CLUSTERS, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(ITERATIONS):
        first = network(image).softmax(1)
        second = network(_recolored(image).flip(3)).softmax(1).flip(3)
        loss = _negative_information(first, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return network(image)[0].argmax(0)


def _recolored(image: Tensor) -> Tensor:
    """Contrast and brightness changed at random, and noise."""
    contrast, brightness = 0.8 + 0.4 * torch.rand(1), 0.2 * torch.randn(1)
    return image * contrast + brightness + 0.1 * torch.randn_like(image)


def _negative_information(first: Tensor, second: Tensor) -> Tensor:
    """Mean over the displacements of the negative mutual information."""
    total, reach = 0.0, range(-NEIGHBORS, NEIGHBORS + 1)
    for shift in [(y, x) for y in reach for x in reach]:
        moved = second.roll(shift, (2, 3))
        joint = first[0].flatten(1) @ moved[0].flatten(1).T
        joint = ((joint + joint.T) / 2 / joint.sum()).clamp(min=1e-8)
        independent = joint.sum(0)[None] * joint.sum(1)[:, None]
        total = total - (joint * (joint.log() - independent.log())).sum()
    return total / len(reach) ** 2


METHOD = picture_method(cluster)

"""Multi-scale self-guided transformer on one picture.

S. Karimijafarbigloo et al., MS-Former: multi-scale self-guided transformer for medical image
segmentation, MIDL 2023. Convolutional features at several scales, each refined by efficient
attention (over the channels, linear in the pixels), are merged to scores; cross entropy against
their own argmax at every scale, and consistency between the scales.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .per_image import CHANNELS, convolutions, picture_method

CLUSTERS, ITERATIONS, MIN_CLUSTERS, SCALES = 32, 50, 3, (1, 2, 4)
BETWEEN_SCALES = 0.5


class EfficientAttention(nn.Module):
    """Keys softmaxed over the pixels, queries over the channels (Shen et al., WACV 2021)."""

    def __init__(self):
        super().__init__()
        self.normalization = nn.GroupNorm(1, CHANNELS)
        self.project = nn.Conv2d(CHANNELS, 3 * CHANNELS, 1)
        self.leave = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, features: Tensor) -> Tensor:
        query, key, value = self.project(self.normalization(features)).flatten(2).chunk(3, 1)
        context = key.softmax(2) @ value.transpose(1, 2)
        attended = context.transpose(1, 2) @ query.softmax(1)
        return features + self.leave(attended.view_as(features))


class MultiScaleTransformer(nn.Module):
    """Scores (1, K, H, W) of a picture for each scale."""

    def __init__(self, inputs: int):
        super().__init__()
        self.features = convolutions(inputs, 2)
        self.attention = nn.ModuleList(EfficientAttention() for _ in SCALES)
        self.head = nn.Sequential(nn.Conv2d(CHANNELS, CLUSTERS, 1), nn.BatchNorm2d(CLUSTERS))

    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.features(image)
        scores = []
        for scale, attention in zip(SCALES, self.attention, strict=True):
            refined = attention(F.avg_pool2d(features, scale) if scale > 1 else features)
            scores.append(F.interpolate(self.head(refined), image.shape[2:], mode="bilinear"))
        return scores


def cluster(image: Tensor) -> Tensor:
    """Labels (H, W) of a picture (1, C, H, W)."""
    network = MultiScaleTransformer(image.shape[1])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(ITERATIONS):
        scores = network(image)
        labels = torch.stack(scores).mean(0).detach().argmax(1)
        if len(labels.unique()) <= MIN_CLUSTERS:
            break
        own = sum(F.cross_entropy(each, labels) for each in scores) / len(scores)
        apart = sum(F.mse_loss(each, scores[0].detach()) for each in scores[1:])
        loss = own + BETWEEN_SCALES * apart
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return labels[0]


METHOD = picture_method(cluster)

"""How well clusters, or a threshold, separate the intensities of an image."""

from __future__ import annotations

import torch
from torch import Tensor

THRESHOLDS = 32
"""Of which the best split of the histogram is the best."""


def variance_explained(stacks: Tensor, labels: Tensor, clusters: int) -> Tensor:
    """Share of the intensity variance that lies between the clusters (eta squared).

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)
    labels : Tensor, (N, B, H, W)
        From 0 to `clusters` - 1.
    clusters : int

    Returns
    -------
    Tensor, (N,)
        One figure for each stack.
    """
    values = _centered(stacks)
    counts, sums = _totals(values, labels.flatten(1), clusters)
    between = (sums**2 / counts.clamp(min=1).unsqueeze(2)).sum((1, 2))
    return between / values.square().sum((1, 2))


def best_split_explains(stacks: Tensor) -> Tensor:
    """Share of the intensity variance that the best threshold explains (Otsu's criterion).

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)

    Returns
    -------
    Tensor, (N,)
    """
    values = _centered(stacks)
    share = torch.linspace(0, 1, THRESHOLDS + 2, device=stacks.device)[1:-1]
    best = torch.zeros_like(values[:, 0, 0])
    for channel in values.permute(2, 0, 1).contiguous():
        low, high = channel.min(1, keepdim=True).values, channel.max(1, keepdim=True).values
        between = torch.searchsorted((low + share * (high - low)).contiguous(), channel)
        counts, sums = _totals(values, between, THRESHOLDS + 1)
        dark, darkness = counts.cumsum(1)[:, :-1, None], sums.cumsum(1)[:, :-1]
        bright = values.shape[1] - dark
        # The values are centered, so the sums of the two sides are each other's negative.
        explained = (darkness**2 / dark.clamp(min=1) + darkness**2 / bright.clamp(min=1)).sum(2)
        best = best.maximum(explained.max(1).values)
    return best / values.square().sum((1, 2))


def _centered(stacks: Tensor) -> Tensor:
    """Deviation of each pixel from the mean of its stack, (N, pixels, C)."""
    values = stacks.transpose(1, 2).flatten(2).transpose(1, 2)
    return values - values.mean(1, keepdim=True)


def _totals(values: Tensor, bins: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """How many pixels each bin has, (N, count), and the sum of their values, (N, count, C)."""
    counts = values.new_zeros(len(values), count)
    counts.scatter_add_(1, bins, torch.ones_like(values[..., 0]))
    sums = values.new_zeros(len(values), count, values.shape[2])
    for channel, total in zip(values.unbind(2), sums.unbind(2), strict=True):
        total.scatter_add_(1, bins, channel)
    return counts, sums

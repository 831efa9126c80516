"""An iteration of the engine, written plainly: the yardstick of the speed benchmark.

The engine's network, losses and optimizer, with the same parameter names, in the way one writes
them first: torchvision's deformable convolution, channels first, Sobel filters as convolutions,
one slice at a time. The published method is in `published`.
"""

from __future__ import annotations

import torch
from published import CHANNELS, CLUSTERS, MOMENTUM, PublishedNet
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

LEARNING_RATE = 0.36
WEIGHTS = (1.0, 0.5, 0.6)
"""Of the three losses, for lung (paper, section 4.3)."""

OFFSET_RATE, OFFSET_GRADIENT = 0.01, 1.0
"""Without these the predicted offsets diverge."""

OUTSIDE = -100


class DeformableConvolution(nn.Module):
    """DCNv2 by torchvision."""

    def __init__(self, channels: int):
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)
        self.offset_predictor = nn.Conv2d(channels, 27, 3, padding=1)
        nn.init.zeros_(self.offset_predictor.weight)
        nn.init.zeros_(self.offset_predictor.bias)

    def forward(self, x: Tensor) -> Tensor:
        offset, modulation = self.offset_predictor(x).split((18, 9), 1)
        weight, bias = self.convolution.weight, self.convolution.bias
        return deform_conv2d(x, offset, weight, bias, padding=1, mask=modulation.sigmoid())


def new_network(inputs: int = 1, channels: int = CHANNELS, clusters: int = CLUSTERS) -> nn.Module:
    """The network of figure 1, with predicted offsets."""

    def last(channels: int, _: int) -> nn.Module:
        return DeformableConvolution(channels)

    return PublishedNet(inputs, channels=channels, clusters=clusters, last=last)


def joint_loss(network: PublishedNet, image: Tensor, transform: Tensor) -> Tensor:
    """Cross entropy, affine consistency, spatial consistency (paper, equations 4 to 7).

    Parameters
    ----------
    network : PublishedNet
    image : Tensor, (1, C, H, W)
    transform : Tensor, (2, 3)
        In the normalized coordinates of `affine_grid`.
    """
    features = network.encoder(image)
    scores = network.head(features)
    labels = scores.detach().argmax(1)
    grid = F.affine_grid(transform[None], list(features.shape), align_corners=False)
    warped = F.grid_sample(features, grid, align_corners=False)
    numbers = labels[:, None].to(features) + 1
    moved = F.grid_sample(numbers, grid, mode="nearest", align_corners=False)
    moved = moved[:, 0].long() - 1
    moved[moved < 0] = OUTSIDE
    return (
        WEIGHTS[0] * F.cross_entropy(scores, labels)
        + WEIGHTS[1] * F.cross_entropy(network.auxiliary_head(warped), moved, ignore_index=OUTSIDE)
        + WEIGHTS[2] * _spatial(scores.softmax(1))
    )


def _spatial(soft: Tensor) -> Tensor:
    sobel_x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).to(soft)
    sobel_xy = torch.tensor([[1.0, 0, -1], [0, 0, 0], [-1, 0, 1]]).to(soft)
    count = soft.shape[1]

    def respond(kernel: Tensor) -> Tensor:
        return F.conv2d(soft, kernel.expand(count, 1, 3, 3), groups=count)

    x, y, both = respond(sobel_x), respond(sobel_x.T), respond(sobel_xy)
    return ((x - y).abs() + (x - both).abs() + (y - both).abs()).sum(1).mean()


def optimizer(network: PublishedNet) -> torch.optim.Optimizer:
    """SGD (paper, section 4.1)."""
    offsets = list(network.head[0].offset_predictor.parameters())
    others = [p for p in network.parameters() if all(p is not offset for offset in offsets)]
    groups = [{"params": others}, {"params": offsets, "lr": LEARNING_RATE * OFFSET_RATE}]
    return torch.optim.SGD(groups, lr=LEARNING_RATE, momentum=MOMENTUM)


def step(network: PublishedNet, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """The second half of an iteration."""
    optimizer.zero_grad()
    loss.backward()
    offsets = network.head[0].offset_predictor.parameters()
    torch.nn.utils.clip_grad_norm_(offsets, OFFSET_GRADIENT)
    optimizer.step()

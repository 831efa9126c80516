"""S3-Net as published, written plainly: the yardstick of the speed benchmark.

The same network, losses and optimizer as the engine, with the same parameter names, in the way
one writes them first: torchvision's deformable convolution, channels first, Sobel filters as
convolutions, one slice at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

SIZE, CHANNELS, CLUSTERS, BLOCKS = 256, 64, 64, 2
ITERATIONS, LEARNING_RATE, MOMENTUM = 50, 0.36, 0.9
WEIGHTS = (1.0, 0.5, 0.6)
"""Of the three losses, for lung (paper, section 4.1)."""

OFFSET_RATE, OFFSET_GRADIENT = 0.01, 1.0
"""Without these the predicted offsets diverge; the engine does the same."""

OUTSIDE = -100


class Attention(nn.Module):
    """I-LKA (paper, equations 1 to 3)."""

    def __init__(self, channels: int):
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.ModuleList(
            nn.Conv2d(channels, channels, k, padding=d * (k // 2), dilation=d, groups=channels)
            for k, d in ((3, 1), (5, 2), (7, 3))
        )
        self.mix = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.near(x)
        return self.mix(torch.cat([far(near) for far in self.far], 1)) * x


class Block(nn.Module):
    """Attention block."""

    def __init__(self, channels: int):
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.attention = Attention(channels)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.normalization = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalization(x + self.leave(self.attention(F.gelu(self.enter(x)))))


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


class PublishedNet(nn.Module):
    """The network of figure 1."""

    def __init__(self, inputs: int = 1, channels: int = CHANNELS, clusters: int = CLUSTERS):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            *(Block(channels) for _ in range(BLOCKS)),
        )
        self.head = nn.Sequential(
            DeformableConvolution(channels),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, clusters, 1),
            nn.BatchNorm2d(clusters),
        )
        self.auxiliary_head = nn.Sequential(
            nn.Conv2d(channels, clusters, 1), nn.BatchNorm2d(clusters)
        )


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

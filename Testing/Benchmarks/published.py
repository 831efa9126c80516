"""S3-Net as published, and nothing else: what the paper says, written plainly.

Where the paper is silent, or leaves a choice, this does what the authors' code does
(github.com/mindflow-institue/SSCT, commit 07760c7): 64 channels and clusters, two blocks, offsets
and masks that are parameters of each pixel, a rotation by 90 degrees as the affine transform,
applied behind the auxiliary head, the spatial loss of a randomly colored picture of the clusters,
and an end once three clusters are left.

So written, only one of the three losses does what the paper means it to, see `losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

SIZE, CHANNELS, CLUSTERS, BLOCKS = 256, 64, 64, 2
ITERATIONS, MOMENTUM = 50, 0.9

FEW_CLUSTERS, MIN_ITERATIONS = 3, 6
"""A fit ends once no more clusters than these are left, but not before it made so many steps."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a gray (ITU-R BT.601)."""


@dataclass(frozen=True)
class Variant:
    """What the paper and the authors' code say differently.

    Attributes
    ----------
    learning_rate : float
    weights : tuple of float
        Of cross entropy, affine and spatial consistency (paper, equation 7).
    """

    learning_rate: float
    weights: tuple[float, float, float]


AS_WRITTEN = Variant(0.36, (1.2, 0.3, 0.3))
"""The paper (sections 4.1 and 4.3)."""

AS_CODED = Variant(0.2, (3.5, 0.2, 4.0))
"""The defaults of the authors' code."""


class Attention(nn.Module):
    """I-LKA (paper, section 3.1.1), in the order of the authors' code."""

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
    """Attention block (paper, section 3.1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.attention = Attention(channels)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.normalization = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalization(x + self.leave(self.attention(F.gelu(self.enter(x)))))


class DeformableConvolution(nn.Module):
    """3x3, with offsets and masks of each pixel that are learned, all uniform at first, no bias."""

    def __init__(self, channels: int, size: int, convolve: Callable[..., Tensor] = deform_conv2d):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, channels, 3, 3))
        self.offset = nn.Parameter(torch.rand(1, 18, size, size))
        self.mask = nn.Parameter(torch.rand(1, 9, size, size))
        self._convolve = convolve

    def forward(self, x: Tensor) -> Tensor:
        return self._convolve(x, self.offset, self.weight, mask=self.mask, padding=(1, 1))


class PublishedNet(nn.Module):
    """The network of figure 1.

    Parameters
    ----------
    inputs : int
        Channels of the picture.
    size : int
        Its pixels along each side.
    channels, clusters : int
    block : callable
        Makes a block for some channels; other than `Block` for speed, or to leave out the
        attention.
    last : callable
        Makes the last convolution for some channels and a size; likewise.
    """

    def __init__(
        self,
        inputs: int = 3,
        size: int = SIZE,
        channels: int = CHANNELS,
        clusters: int = CLUSTERS,
        block: Callable[[int], nn.Module] = Block,
        last: Callable[[int, int], nn.Module] = DeformableConvolution,
    ):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            *(block(channels) for _ in range(BLOCKS)),
        )
        self.head = nn.Sequential(
            last(channels, size),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, clusters, 1),
            nn.BatchNorm2d(clusters),
        )
        self.auxiliary_head = nn.Sequential(
            nn.Conv2d(channels, clusters, 1), nn.BatchNorm2d(clusters)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the clusters by both heads, each (1, K, H, W)."""
        features = self.encoder(image)
        return self.head(features), self.auxiliary_head(features)


def losses(scores: Tensor, auxiliary: Tensor, grays: Tensor) -> Tensor:
    """Cross entropy, affine and spatial consistency, (3,) (paper, equations 4 to 6).

    A rotation behind a head of 1x1 convolutions moves its scores and the cluster map alike, so
    the affine loss is the cross entropy of the auxiliary head without any transform. The picture
    of the clusters has no gradient, so the spatial loss changes nothing.

    Parameters
    ----------
    scores, auxiliary : Tensor, (1, K, H, W)
    grays : Tensor, (K,)
        Gray of each cluster in the picture of them.
    """
    labels = scores.argmax(1)
    turned, turned_labels = auxiliary.rot90(-1, (2, 3)), labels.rot90(-1, (1, 2))
    return torch.stack(
        [
            F.cross_entropy(scores, labels),
            F.cross_entropy(turned, turned_labels),
            _spatial_loss(grays[labels]),
        ]
    )


def _spatial_loss(picture: Tensor) -> Tensor:
    """Differences of the edges of a picture (1, H, W) in x, y and both, mean over the pixels."""
    sobel_x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    sobel_xy = torch.tensor([[1.0, 0, -1], [0, 0, 0], [-1, 0, 1]])
    kernels = torch.stack([sobel_x, sobel_x.T, sobel_xy])[:, None].to(picture)
    x, y, both = F.conv2d(F.pad(picture[None], [1] * 4, "reflect"), kernels)[0]
    return (x - y).abs().mean() + (x - both).abs().mean() + (y - both).abs().mean()


def random_grays(clusters: int) -> Tensor:
    """Grays (K,), 0 to 1, of random colors."""
    return (torch.randint(255, (clusters, 3)).float() @ torch.tensor(LUMINANCE)).round() / 255


@dataclass(frozen=True)
class Fit:
    """What a fit ends with.

    Attributes
    ----------
    labels : Tensor, (H, W)
        The cluster of each pixel.
    iterations : int
        Steps that were made.
    """

    labels: Tensor
    iterations: int


def fit(image: Tensor, variant: Variant, network: PublishedNet) -> Fit:
    """Fit a fresh network to a picture (1, C, H, W) of 0 to 1 (paper, section 4.1)."""
    rate = variant.learning_rate
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM)
    weights = torch.tensor(variant.weights).to(image)
    grays = random_grays(network.head[-1].num_features).to(image)
    for iteration in range(1, ITERATIONS + 1):
        scores, auxiliary = network(image)
        optimizer.zero_grad()
        (weights * losses(scores, auxiliary, grays)).sum().backward()
        optimizer.step()
        if iteration >= MIN_ITERATIONS and len(scores.argmax(1).unique()) <= FEW_CLUSTERS:
            break
    with torch.no_grad():  # with the batch statistics of the picture, as in the fit
        return Fit(network(image)[0].argmax(1)[0], iteration)

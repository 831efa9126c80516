"""The network of the paper (section 3.1, figure 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .deformable import DeformableConv2d


class InceptionLargeKernelAttention(nn.Module):
    """Inception large-kernel attention, I-LKA (paper, equations 1 to 3).

    A 5x5 depth-wise convolution gathers what is near; three parallel dilated depth-wise ones,
    of (kernel, dilation) (3, 1), (5, 2) and (7, 3), gather what is farther; a 1x1 convolution
    mixes them to the attention that weights the input, without sigmoid or softmax.
    """

    SCALES = ((3, 1), (5, 2), (7, 3))

    def __init__(self, channels: int):
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.ModuleList(
            nn.Conv2d(
                channels,
                channels,
                kernel,
                padding=dilation * (kernel // 2),
                dilation=dilation,
                groups=channels,
            )
            for kernel, dilation in self.SCALES
        )
        self.mix = nn.Conv2d(len(self.SCALES) * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        near = self.near(features)
        attention = self.mix(torch.cat([far(near) for far in self.far], 1))
        return attention * features


class AttentionBlock(nn.Module):
    """``x + Conv1x1(ILKA(GELU(Conv1x1(x))))`` and batch normalization.

    Parameters
    ----------
    channels : int
    inception : bool
        Off puts a 3x3 convolution in place of the attention (paper, 4.3).
    """

    def __init__(self, channels: int, inception: bool = True):
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.attention = (
            InceptionLargeKernelAttention(channels)
            if inception
            else nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.leave = nn.Conv2d(channels, channels, 1)
        self.normalization = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        attended = self.leave(self.attention(F.gelu(self.enter(features))))
        return self.normalization(features + attended)


class S3Net(nn.Module):
    """Self-supervised segmentation network: image in, scores of K clusters out.

    Parameters
    ----------
    inputs : int
        Channels of the image: 1 for CT, 3 for RGB.
    channels : int
        Width C of the network.
    clusters : int
        Number of clusters K, at most.
    blocks : int
        Number of I-LKA blocks N.
    inception, deformable : bool
        Off replaces the module by a simple convolution (paper, 4.3).
    """

    def __init__(
        self,
        inputs: int = 1,
        channels: int = 64,
        clusters: int = 64,
        blocks: int = 2,
        inception: bool = True,
        deformable: bool = True,
    ):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            *(AttentionBlock(channels, inception) for _ in range(blocks)),
        )
        last = DeformableConv2d if deformable else _conv3x3
        self.head = nn.Sequential(
            last(channels, channels),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, clusters, 1),
            nn.BatchNorm2d(clusters),
        )
        self.auxiliary_head = nn.Sequential(
            nn.Conv2d(channels, clusters, 1), nn.BatchNorm2d(clusters)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Scores S of an image.

        Parameters
        ----------
        image : Tensor, (B, inputs, H, W)

        Returns
        -------
        Tensor, (B, K, H, W)
            Logits; the cluster of a pixel is their argmax.
        """
        return self.head(self.encoder(image))

    def offset_parameters(self) -> list[nn.Parameter]:
        """The parameters that predict the offsets of the deformable convolution."""
        last = self.head[0]
        if isinstance(last, DeformableConv2d):
            return list(last.offset_predictor.parameters())
        return []


def _conv3x3(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1)

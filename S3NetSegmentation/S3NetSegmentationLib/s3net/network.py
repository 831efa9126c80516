"""The network of the paper (section 3.1, figure 1), or several of them side by side.

docs/algorithm.md lists the deviations from the paper, with reasons.

Side by side, each network has its own block of channels in one large tensor, and no layer mixes
the blocks. The networks stay independent and still keep a GPU busy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fast.deformable import DeformableConv2d, conv3x3
from .fast.depthwise import DepthwiseConv2d

BLOCKS = 2
"""Number N of I-LKA blocks (the authors' code)."""


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution: a matrix product for each network.

    Parameters
    ----------
    inputs, outputs : int
        Channels of one network.
    networks : int
        How many lie side by side.
    """

    bias: Tensor  # which a convolution may lack, but none of these does

    def __init__(self, inputs: int, outputs: int, networks: int = 1):
        super().__init__(networks * inputs, networks * outputs, 1, groups=networks)

    def forward(self, *parts: Tensor) -> Tensor:
        """Map (B, networks * inputs, H, W) to (B, networks * outputs, H, W).

        The inputs of each network may come in several parts, each (B, networks * some, H, W).
        """
        if self.groups == 1:
            weights = self.weight.flatten(1).split([part.shape[1] for part in parts], 1)
            rows = [part.permute(0, 2, 3, 1).flatten(0, 2) for part in parts]
            product = F.linear(rows[0], weights[0], self.bias)
            for row, weight in zip(rows[1:], weights[1:], strict=True):
                product.addmm_(row, weight.T)
            size = parts[0].shape
            return product.view(size[0], *size[2:], -1).permute(0, 3, 1, 2)
        columns = [part.flatten(2).unflatten(1, (self.groups, -1)) for part in parts]
        stacked = torch.cat(columns, 2) if len(columns) > 1 else columns[0]
        matrices = self.weight.flatten(1).unflatten(0, (self.groups, -1))
        product = matrices @ stacked + self.bias.view(self.groups, -1, 1)
        return product.flatten(1, 2).unflatten(2, parts[0].shape[2:])


class InceptionLargeKernelAttention(nn.Module):
    """Inception large-kernel attention, I-LKA (paper, section 3.1.1).

    A 5x5 depth-wise convolution gathers what is near; three parallel dilated depth-wise ones,
    of (kernel, dilation) (3, 1), (5, 2) and (7, 3), gather what is farther; a 1x1 convolution
    mixes them to the attention that weights the input, without sigmoid or softmax. This is the
    order of the authors' code; in equations 1 and 2 of the paper, the parallel convolutions come
    first and one dilated convolution follows.
    """

    SCALES = ((3, 1), (5, 2), (7, 3))

    def __init__(self, channels: int, networks: int = 1):
        super().__init__()
        self.near = DepthwiseConv2d(networks * channels, 5)
        self.far = nn.ModuleList(
            DepthwiseConv2d(networks * channels, kernel, dilation)
            for kernel, dilation in self.SCALES
        )
        self.mix = PointwiseConv2d(len(self.SCALES) * channels, channels, networks)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, networks * C, H, W) to the same shape."""
        near = self.near(features)
        return self.mix(*(far(near) for far in self.far)) * features


class AttentionBlock(nn.Module):
    """``x + Conv1x1(ILKA(GELU(Conv1x1(x))))`` and batch normalization (the authors' code).

    Parameters
    ----------
    channels : int
    inception : bool
        Off puts a 3x3 convolution in place of the attention (paper, 4.3).
    networks : int
        How many lie side by side.
    """

    def __init__(self, channels: int, inception: bool = True, networks: int = 1):
        super().__init__()
        self.enter = PointwiseConv2d(channels, channels, networks)
        self.attention = (
            InceptionLargeKernelAttention(channels, networks)
            if inception
            else conv3x3(channels, channels, networks)
        )
        self.leave = PointwiseConv2d(channels, channels, networks)
        self.normalization = nn.BatchNorm2d(networks * channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, networks * C, H, W) to the same shape."""
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
    inception, deformable : bool
        Off replaces the module by a simple convolution (paper, 4.3).
    networks : int
        Number of networks side by side. Every parameter and buffer contains their parts one after
        the other along its first axis.
    """

    def __init__(
        self,
        inputs: int = 1,
        channels: int = 64,
        clusters: int = 64,
        inception: bool = True,
        deformable: bool = True,
        networks: int = 1,
    ):
        super().__init__()
        self.encoder = nn.Sequential(
            conv3x3(inputs, channels, networks),
            nn.BatchNorm2d(networks * channels),
            *(AttentionBlock(channels, inception, networks) for _ in range(BLOCKS)),
        )
        last = DeformableConv2d if deformable else conv3x3
        self.head = nn.Sequential(
            last(channels, channels, networks),
            nn.BatchNorm2d(networks * channels),
            PointwiseConv2d(channels, clusters, networks),
            nn.BatchNorm2d(networks * clusters),
        )
        self.auxiliary_head = nn.Sequential(
            PointwiseConv2d(channels, clusters, networks),
            nn.BatchNorm2d(networks * clusters),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Scores S of an image.

        Parameters
        ----------
        image : Tensor, (B, networks * inputs, H, W)

        Returns
        -------
        Tensor, (B, networks * K, H, W)
            Logits; the cluster of a pixel is their argmax.
        """
        return self.head(self.encoder(image))

    def offset_parameters(self) -> list[nn.Parameter]:
        """The parameters that predict the offsets of the deformable convolution."""
        last = self.head[0]
        if isinstance(last, DeformableConv2d):
            return list(last.offset_predictor.parameters())
        return []

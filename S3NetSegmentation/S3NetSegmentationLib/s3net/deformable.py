"""Modulated deformable convolution, fast on the CPU.

torchvision's operator is made for CUDA; on a CPU it takes most of the time of a fit. Here the
same bilinear sampling is a weighted gather over channels-last rows, four neighbors a tap,
followed by one matrix product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d


def deform_conv2d(
    image: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    padding: tuple[int, int] = (0, 0),
) -> Tensor:
    """Deformable 2D convolution, stride 1, dilation 1, one offset group.

    Equals ``torchvision.ops.deform_conv2d`` forward and in all gradients.

    Parameters
    ----------
    image : Tensor, (B, C, H, W)
    offset : Tensor, (B, 2 * kh * kw, H', W')
        Displacement of each tap in pixels, (dy, dx) in turn. A neighbor outside the image
        counts as zero.
    weight : Tensor, (D, C, kh, kw)
    bias : Tensor, (D,), optional
    mask : Tensor, (B, kh * kw, H', W'), optional
        Modulation of each tap.
    padding : tuple of int
        Of the image, in y and in x.

    Returns
    -------
    Tensor, (B, D, H', W')
        H' = H + 2 * padding[0] - kh + 1, likewise W'.

    References
    ----------
    Zhu et al., Deformable ConvNets v2, CVPR 2019, equation 1.
    """
    batch, channels, height, width = image.shape
    outputs, _, kernel_height, kernel_width = weight.shape
    taps = kernel_height * kernel_width
    y, x = _sampling_positions(offset, (kernel_height, kernel_width), padding)
    index, share = _bilinear_neighbors(y, x, (height, width))
    if mask is not None:
        share = share * mask.permute(0, 2, 3, 1).unsqueeze(-1)
    first = torch.arange(batch, device=image.device) * (height * width)
    sampled = F.embedding_bag(
        (index + first.view(-1, 1, 1, 1, 1)).view(-1, 4),
        image.permute(0, 2, 3, 1).reshape(-1, channels),
        per_sample_weights=share.reshape(-1, 4),
        mode="sum",
    )
    matrix = weight.permute(2, 3, 1, 0).reshape(taps * channels, outputs)
    product = sampled.view(-1, taps * channels) @ matrix
    if bias is not None:
        product = product + bias
    return product.view(batch, *y.shape[1:3], outputs).permute(0, 3, 1, 2)


def _sampling_positions(
    offset: Tensor, kernel: tuple[int, int], padding: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Row and column of every tap at every output pixel, each (B, H', W', kh * kw)."""
    batch, _, height, width = offset.shape

    def grid(size: int, start: int) -> Tensor:
        return torch.arange(size, device=offset.device, dtype=offset.dtype) - start

    tap_y, tap_x = torch.meshgrid(grid(kernel[0], 0), grid(kernel[1], 0), indexing="ij")
    displacement = offset.permute(0, 2, 3, 1).reshape(batch, height, width, -1, 2)
    y = displacement[..., 0] + grid(height, padding[0]).view(-1, 1, 1) + tap_y.reshape(-1)
    x = displacement[..., 1] + grid(width, padding[1]).view(1, -1, 1) + tap_x.reshape(-1)
    return y, x


def _bilinear_neighbors(y: Tensor, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Flat index and weight of the four neighbors of each position, each (..., 4)."""

    def along(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
        low = position.detach().floor()
        high_share = position - low
        neighbors = torch.stack((low, low + 1), -1)
        inside = (neighbors >= 0) & (neighbors < length)
        share = torch.stack((1 - high_share, high_share), -1) * inside
        # A diverged fit has offsets that are no numbers; it is to end in NaN, not in a crash.
        return neighbors.nan_to_num().clamp(0, length - 1).long(), share

    row, row_share = along(y, size[0])
    column, column_share = along(x, size[1])
    index = row.unsqueeze(-1) * size[1] + column.unsqueeze(-2)
    share = row_share.unsqueeze(-1) * column_share.unsqueeze(-2)
    return index.flatten(-2), share.flatten(-2)


class DeformableConv2d(nn.Module):
    """3x3 deformable convolution that predicts its own offsets and modulation.

    The offsets start at zero, the modulation at one half, as in DCNv2. The layer that predicts
    them is `offset_predictor`; it wants a far lower learning rate than the rest, or the fit
    diverges.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.offset_predictor = nn.Conv2d(inputs, 3 * 9, 3, padding=1)
        nn.init.zeros_(self.offset_predictor.weight)
        nn.init.zeros_(self.offset_predictor.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        offset, modulation = self.offset_predictor(features).split((18, 9), 1)
        # CPU and Apple GPUs: torchvision's operator is slow on the one, absent on the other.
        convolve = torchvision_deform_conv2d if features.is_cuda else deform_conv2d
        return convolve(
            features,
            offset,
            self.convolution.weight,
            self.convolution.bias,
            mask=modulation.sigmoid(),
            padding=(1, 1),
        )

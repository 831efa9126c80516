"""Modulated deformable convolution, fast on the CPU.

torchvision's operator is made for CUDA; on a CPU it takes most of the time of a fit. Here the
same bilinear sampling is a weighted gather over channels-last rows, four neighbors a tap,
followed by one matrix product.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

_WARNINGS_LOCK = threading.Lock()
"""Warning filters are shared by all threads."""

ZERO_BORDER = 2
"""Pixels of zeros around an image: the four neighbors of a position outside are among them."""


def deform_conv2d(
    image: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    padding: tuple[int, int] = (0, 0),
) -> Tensor:
    """Deformable 2D convolution, stride 1, dilation 1; each group has its own offsets.

    Equals ``torchvision.ops.deform_conv2d`` forward and in all gradients.

    Parameters
    ----------
    image : Tensor, (B, G * C, H, W)
    offset : Tensor, (B, G * 2 * kh * kw, H', W')
        Displacement of each tap in pixels, (dy, dx) in turn. A neighbor outside the image
        counts as zero.
    weight : Tensor, (G * D, C, kh, kw)
    bias : Tensor, (G * D,), optional
    mask : Tensor, (B, G * kh * kw, H', W'), optional
        Modulation of each tap.
    padding : tuple of int
        Of the image, in y and in x.

    Returns
    -------
    Tensor, (B, G * D, H', W')
        H' = H + 2 * padding[0] - kh + 1, likewise W'.

    References
    ----------
    Zhu et al., Deformable ConvNets v2, CVPR 2019, equation 1.
    """
    outputs, channels, *kernel = weight.shape
    groups, taps = image.shape[1] // channels, kernel[0] * kernel[1]
    y, x = _sampling_positions(offset, kernel, padding)
    sampled = sample(image, y, x, None if mask is None else _by_tap(mask, taps))
    matrices = weight.view(groups, -1, channels, taps).permute(0, 3, 2, 1).flatten(1, 2)
    if groups == 1:
        product = sampled.view(-1, taps * channels) @ matrices[0]
    else:
        sampled = sampled.view(-1, groups, taps * channels)
        product = (sampled.transpose(0, 1) @ matrices).transpose(0, 1).reshape(-1, outputs)
    if bias is not None:
        product = product + bias
    return product.view(*y.shape[:3], outputs).permute(0, 3, 1, 2)


def _by_tap(maps: Tensor, taps: int) -> Tensor:
    """Maps (B, G * taps, H, W) as (B, H, W, G, taps)."""
    return maps.permute(0, 2, 3, 1).unflatten(3, (-1, taps))


def _sampling_positions(
    offset: Tensor, kernel: Sequence[int], padding: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Row and column of every tap at every output pixel, each (B, H', W', G, kh * kw)."""
    height, width = offset.shape[2:]

    def grid(size: int, start: int) -> Tensor:
        return torch.arange(size, device=offset.device, dtype=offset.dtype) - start

    tap_y, tap_x = torch.meshgrid(grid(kernel[0], 0), grid(kernel[1], 0), indexing="ij")
    displacement = _by_tap(offset, 2 * kernel[0] * kernel[1])
    y = displacement[..., 0::2] + (grid(height, padding[0]).view(-1, 1, 1, 1) + tap_y.flatten())
    x = displacement[..., 1::2] + (grid(width, padding[1]).view(-1, 1, 1) + tap_x.flatten())
    return y, x


def sample(image: Tensor, y: Tensor, x: Tensor, weights: Tensor | None = None) -> Tensor:
    """Values of an image between its pixels, bilinear, zero outside.

    Parameters
    ----------
    image : Tensor, (B, G * C, H, W)
    y, x : Tensor, (B, H', W', G, n)
        Positions in pixels, n for each place and group of channels.
    weights : Tensor, (B, H', W', G, n), optional
        Of the values.

    Returns
    -------
    Tensor, (B, H', W', G, n, C)
    """
    batch, channels, height, width = image.shape
    groups = y.shape[3]
    row, row_shares = _neighbors(y, height)
    column, column_shares = _neighbors(x, width)
    if weights is not None:
        row_shares = [share * weights for share in row_shares]
    share = torch.stack([a * b for a in row_shares for b in column_shares], -1)

    # Rows of channels go by image, pixel, group. Short integers sort faster.
    padded = F.pad(image, [ZERO_BORDER] * 4).permute(0, 2, 3, 1)
    height, width = padded.shape[1:3]
    first = torch.arange(batch, device=image.device, dtype=torch.int).view(-1, 1, 1, 1, 1) * height
    group = torch.arange(groups, device=image.device, dtype=torch.int).view(-1, 1)
    nearest = ((row + first) * width + column) * groups + group
    index = torch.stack([nearest + groups * step for step in (0, 1, width, width + 1)], -1)
    rows = padded.reshape(-1, channels // groups)
    return gather(rows, index.view(-1, 4), share.view(-1, 4)).view(*y.shape, -1)


def _neighbors(position: Tensor, length: int) -> tuple[Tensor, list[Tensor]]:
    """The lower one of the two pixels around each position, margin included, and their shares."""
    low = position.detach().floor()
    high_share = position - low
    # A diverged fit has NaN offsets; clamped as integers, they point to some pixel.
    return low.int().clamp(-ZERO_BORDER, length) + ZERO_BORDER, [1 - high_share, high_share]


def gather(rows: Tensor, index: Tensor, share: Tensor) -> Tensor:
    """Weighted sums of four rows.

    Parameters
    ----------
    rows : Tensor, (N, C)
    index : Tensor of int, (M, 4)
        Which rows.
    share : Tensor, (M, 4)
        Their weights.

    Returns
    -------
    Tensor, (M, C)
    """
    return _Gather.apply(rows, index, share)


class _Context(FunctionCtx):
    """What autograd keeps from forward to backward; torch itself does not declare it."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


class _Gather(torch.autograd.Function):
    """The gradient of the rows is a gather, too: each row from the sums that it went into."""

    @staticmethod
    def forward(context: _Context, rows: Tensor, index: Tensor, share: Tensor) -> Tensor:
        context.save_for_backward(rows, index, share)
        return F.embedding_bag(index, rows, per_sample_weights=share, mode="sum")

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: _Context, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        rows, index, share = context.saved_tensors
        gradient = gradient.contiguous()
        toward_rows = toward_share = None
        if context.needs_input_grad[0]:
            row, order = index.flatten().sort()
            toward_rows = F.embedding_bag(
                order >> 2,  # of the four that each sum has
                gradient,
                torch.searchsorted(row, torch.arange(len(rows), device=row.device).to(row.dtype)),
                per_sample_weights=share.flatten().index_select(0, order),
                mode="sum",
            )
        if context.needs_input_grad[2]:
            toward_share = _products(gradient, rows, index)
        return toward_rows, None, toward_share


def _products(sums: Tensor, rows: Tensor, index: Tensor) -> Tensor:
    """Inner products of each sum (M, C) with the four rows (N, C) that it is of, (M, 4)."""
    flat = index.flatten()
    starts = torch.arange(0, len(flat) + 1, 4, device=flat.device, dtype=flat.dtype)
    if flat.device.type != "cpu":
        bags = torch.arange(len(index), device=flat.device, dtype=flat.dtype)
        return torch.ops.aten._embedding_bag_per_sample_weights_backward(
            sums, rows, flat, starts[:-1], bags.repeat_interleave(4), 0
        ).view_as(index)
    # Those entries of a large product that a sparse matrix has. Torch warns of such matrices,
    # though nothing about them has changed for years.
    nothing = sums.new_zeros(len(flat))
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = torch.sparse_csr_tensor(
            starts, flat, nothing, (len(sums), len(rows)), check_invariants=False
        )
    return torch.sparse.sampled_addmm(wanted, sums, rows.T, beta=0).values().view_as(index)


class DeformableConv2d(nn.Module):
    """3x3 deformable convolution that predicts its own offsets and modulation.

    The offsets start at zero, the modulation at one half, as in DCNv2. The layer that predicts
    them is `offset_predictor`; it wants a far lower learning rate than the rest, or the fit
    diverges.

    Parameters
    ----------
    inputs, outputs : int
        Channels of one network.
    networks : int
        How many lie side by side.
    """

    def __init__(self, inputs: int, outputs: int, networks: int = 1):
        super().__init__()
        self.convolution = conv3x3(inputs, outputs, networks)
        self.offset_predictor = conv3x3(inputs, 3 * 9, networks)
        for parameter in self.offset_predictor.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, networks * inputs, H, W) to (B, networks * outputs, H, W)."""
        predicted = self.offset_predictor(features)
        predicted = predicted.unflatten(1, (self.offset_predictor.groups, -1))
        offset, modulation = (part.flatten(1, 2) for part in predicted.split((18, 9), 2))
        # On the CPU torchvision's operator is slow, on Apple GPUs absent, and its import takes
        # longer than that of everything else but torch.
        if features.is_cuda:
            from torchvision.ops import deform_conv2d as convolve
        else:
            convolve = deform_conv2d
        return convolve(
            features,
            offset,
            self.convolution.weight,
            self.convolution.bias,
            mask=modulation.sigmoid(),
            padding=(1, 1),
        )


def conv3x3(inputs: int, outputs: int, networks: int) -> nn.Conv2d:
    """3x3 convolution of networks side by side, each with its own block of channels."""
    return nn.Conv2d(networks * inputs, networks * outputs, 3, padding=1, groups=networks)

"""Depth-wise convolution, fast on the CPU.

oneDNN has quick kernels for depth-wise convolutions without dilation, and for the gradient of
their weights where the kernel is at most three columns wide; everything else goes through slow
reference code. Both conditions can be met without changing the result: a dilated convolution is
a plain one on each of the interleaved subgrids, and the gradient of a wide kernel is that of
narrow strips side by side.

PyTorch for Apple's processors is built without oneDNN, and its own code convolves one channel after
the other. There the convolution is a sum of shifted images, all channels at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

STRIP = 3
"""Columns of a kernel for which the gradient of the weights is fast."""


class DepthwiseConv2d(nn.Conv2d):
    """Convolve each channel with its own kernel; the image keeps its size.

    Parameters
    ----------
    channels : int
    kernel : int
        Odd.
    dilation : int
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1):
        padding = dilation * (kernel // 2)
        super().__init__(
            channels, channels, kernel, padding=padding, dilation=dilation, groups=channels
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if features.device.type != "cpu":
            return super().forward(features)
        fast = _SameConvolution if has_onednn() else _SumOfShifts
        return fast.apply(features, self.weight, self.bias, self.dilation[0])


def has_onednn() -> bool:
    """Whether torch convolves by oneDNN on this CPU."""
    return torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)


class _Context(FunctionCtx):
    """What is kept from forward to backward; the first two by autograd, which declares neither."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    step: int
    size: torch.Size


class _SameConvolution(torch.autograd.Function):
    """Depth-wise convolution on subgrids; the gradient of the weights goes by strips."""

    @staticmethod
    def forward(
        context: _Context, image: Tensor, weight: Tensor, bias: Tensor, step: int
    ) -> Tensor:
        grids = _subgrids(image, step)
        context.save_for_backward(grids, weight)
        context.step, context.size = step, image.shape[2:]
        padding = weight.shape[2] // 2
        convolved = F.conv2d(grids, weight, bias, padding=padding, groups=len(weight))
        return _interleave(convolved, step, context.size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: _Context, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        grids, weight = context.saved_tensors
        gradient = _subgrids(gradient.contiguous(memory_format=torch.channels_last), context.step)
        toward_image = None
        if context.needs_input_grad[0]:
            padding, mirrored = weight.shape[2] // 2, weight.flip(2, 3)
            toward_grids = F.conv2d(gradient, mirrored, padding=padding, groups=len(weight))
            toward_image = _interleave(toward_grids, context.step, context.size)
        lefts = range(0, weight.shape[3], STRIP)
        strips = [
            _strip_gradient(grids, gradient, strip, weight.shape[3] // 2 - left)
            for left, strip in zip(lefts, weight.split(STRIP, 3), strict=True)
        ]
        return toward_image, torch.cat(strips, 3), gradient.sum((0, 2, 3)), None


def _subgrids(image: Tensor, step: int) -> Tensor:
    """Every `step`-th pixel in y and in x, as images of a batch; zeros fill up the last ones."""
    if step == 1:
        return image
    batch, channels, *size = image.shape
    rows, columns = (-(-length // step) for length in size)
    grids = image.new_zeros(step, step, batch, rows, columns, channels)
    for grid, part in zip(grids.flatten(0, 1), _parts(image, step), strict=True):
        grid[:, : part.shape[1], : part.shape[2]] = part
    return grids.flatten(0, 2).permute(0, 3, 1, 2)


def _interleave(grids: Tensor, step: int, size: torch.Size) -> Tensor:
    """The inverse of `_subgrids`, for an image of `size`."""
    if step == 1:
        return grids
    count, channels = grids.shape[:2]
    batch = count // step**2
    image = grids.new_empty(batch, *size, channels).permute(0, 3, 1, 2)
    for grid, part in zip(grids.permute(0, 2, 3, 1).split(batch), _parts(image, step), strict=True):
        part[:] = grid[:, : part.shape[1], : part.shape[2]]
    return image


def _parts(image: Tensor, step: int) -> list[Tensor]:
    """Every `step`-th pixel from each start, as views with the channels last."""
    pixels = image.permute(0, 2, 3, 1)
    return [pixels[:, y::step, x::step] for y in range(step) for x in range(step)]


def _strip_gradient(image: Tensor, gradient: Tensor, strip: Tensor, before: int) -> Tensor:
    """Gradient of a few columns of the weights, the first of them `before` the middle one."""
    channels, _, rows, columns = strip.shape
    padding = before
    if columns != 2 * before + 1:  # the two sides differ, which torch cannot pad on the way
        # Beyond the image there is nothing but zeros, however far.
        width = image.shape[3]
        left = max(-width, min(before, width + columns - 1))
        image, padding = F.pad(image, (left, columns - 1 - left)), 0
    return torch.ops.aten.convolution_backward(
        gradient,
        image.contiguous(memory_format=torch.channels_last),
        strip,
        [channels],
        [1, 1],
        [rows // 2, padding],
        [1, 1],
        False,
        [0, 0],
        channels,
        [False, True, False],
    )[1]


class _SumOfShifts(torch.autograd.Function):
    """Depth-wise convolution by shifts of the whole image, one for each weight of the kernel."""

    @staticmethod
    def forward(
        context: _Context, image: Tensor, weight: Tensor, bias: Tensor, step: int
    ) -> Tensor:
        context.save_for_backward(image, weight)
        context.step = step
        return _weighted_shifts(image, weight, step) + bias.view(-1, 1, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: _Context, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        image, weight = context.saved_tensors
        toward_image = None
        if context.needs_input_grad[0]:
            toward_image = _weighted_shifts(gradient, weight.flip(2, 3), context.step)
        rows = gradient.permute(0, 2, 3, 1)
        shifts = _shifts(image, weight.shape[2], context.step)
        sums = [(shifted * rows).sum((0, 1, 2)) for shifted in shifts]
        toward_weight = torch.stack(sums, 1).view_as(weight)
        return toward_image, toward_weight, gradient.sum((0, 2, 3)), None


def _weighted_shifts(image: Tensor, weight: Tensor, step: int) -> Tensor:
    """Convolution of an image (B, C, H, W) with kernels (C, 1, k, k), the size kept."""
    total = torch.zeros_like(image.permute(0, 2, 3, 1), memory_format=torch.contiguous_format)
    taps = weight.flatten(1).T.contiguous()
    for shifted, tap in zip(_shifts(image, weight.shape[2], step), taps, strict=True):
        total.addcmul_(shifted, tap)
    return total.permute(0, 3, 1, 2)


def _shifts(image: Tensor, kernel: int, step: int) -> list[Tensor]:
    """What each weight of a kernel meets, as views (B, H, W, C); zeros come in from outside."""
    height, width = image.shape[2:]
    padded = F.pad(image, [step * (kernel // 2)] * 4).permute(0, 2, 3, 1)
    starts = range(0, step * kernel, step)
    return [padded[:, y : y + height, x : x + width] for y in starts for x in starts]

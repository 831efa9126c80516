"""Depth-wise convolution, fast on the CPU.

oneDNN has quick kernels for depth-wise convolutions without dilation, and for the gradient of
their weights where the kernel is at most three columns wide; everything else goes through slow
reference code. Both conditions can be met without changing the result: a dilated convolution is
a plain one on each of the interleaved subgrids, and the gradient of a wide kernel is that of
narrow strips side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIP = 3
"""Columns of a kernel for which the gradient of the weights is fast."""


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel with a kernel of its own, which keeps the image's size.

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
        height, width = features.shape[2:]
        step = self.dilation[0]
        grids = _subgrids(features, step)
        convolved = _SameConvolution.apply(grids, self.weight, self.bias)
        return _interleave(convolved, step)[:, :, :height, :width]


def _subgrids(features: Tensor, step: int) -> Tensor:
    """Every `step`-th pixel in y and in x, as images of a batch; zeros fill up the last ones."""
    if step == 1:
        return features
    batch, channels, height, width = features.shape
    padded = F.pad(features, (0, -width % step, 0, -height % step))
    rows = padded.permute(0, 2, 3, 1).unflatten(2, (-1, step)).unflatten(1, (-1, step))
    grids = rows.permute(0, 2, 4, 1, 3, 5)
    return grids.reshape(-1, *grids.shape[3:]).permute(0, 3, 1, 2)


def _interleave(grids: Tensor, step: int) -> Tensor:
    """The inverse of `_subgrids`, with the rows and columns that it added."""
    if step == 1:
        return grids
    rows = grids.permute(0, 2, 3, 1).unflatten(0, (-1, step, step)).permute(0, 3, 1, 4, 2, 5)
    return rows.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class _SameConvolution(torch.autograd.Function):
    """Depth-wise convolution without dilation; the gradient of the weights goes by strips."""

    @staticmethod
    def forward(context, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        context.save_for_backward(image, weight)
        return F.conv2d(image, weight, bias, padding=weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        image, weight = context.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        reach = weight.shape[2] // 2
        toward_image = None
        if context.needs_input_grad[0]:
            toward_image = F.conv2d(gradient, weight.flip(2, 3), padding=reach, groups=len(weight))
        width = image.shape[3]
        padded = F.pad(image, (reach, reach))
        strips = [
            _strip_gradient(padded[..., left : left + width + strip.shape[3] - 1], gradient, strip)
            for left, strip in zip(
                range(0, weight.shape[3], STRIP), weight.split(STRIP, 3), strict=True
            )
        ]
        return toward_image, torch.cat(strips, 3), gradient.sum((0, 2, 3))


def _strip_gradient(image: Tensor, gradient: Tensor, strip: Tensor) -> Tensor:
    """Gradient of a few columns of the weights; the image is padded in x, not in y."""
    channels, _, rows, _ = strip.shape
    return torch.ops.aten.convolution_backward(
        gradient,
        image.contiguous(memory_format=torch.channels_last),
        strip,
        [channels],
        [1, 1],
        [rows // 2, 0],
        [1, 1],
        False,
        [0, 0],
        channels,
        [False, True, False],
    )[1]

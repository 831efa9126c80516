"""Our depth-wise convolution is torch's."""

import pytest
import torch
from S3NetSegmentationLib.s3net.fast.depthwise import DepthwiseConv2d
from torch.nn import functional as F


@pytest.fixture(autouse=True, params=[True, False], ids=["oneDNN", "no oneDNN"])
def onednn(request):
    """PyTorch for Apple's processors is built without it."""
    (before, *_) = torch.backends.mkldnn.set_flags(request.param)
    yield
    torch.backends.mkldnn.set_flags(before)


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (5, 2), (7, 3), (9, 4)])
@pytest.mark.parametrize("size", [(12, 24), (13, 17), (5, 4)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_forward_and_every_gradient_equal_torch(kernel, dilation, size, memory_format):
    torch.manual_seed(0)
    layer = DepthwiseConv2d(4, kernel, dilation).double()
    image = torch.randn(2, 4, *size, dtype=torch.double).contiguous(memory_format=memory_format)
    inputs = [image.requires_grad_(), layer.weight, layer.bias]
    ours = layer(image)
    theirs = F.conv2d(*inputs, padding=dilation * (kernel // 2), dilation=dilation, groups=4)
    torch.testing.assert_close(ours, theirs)
    downstream = torch.randn(theirs.shape, dtype=torch.double)
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, downstream),
        torch.autograd.grad(theirs, inputs, downstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def test_single_precision_equals_torch_too():
    torch.manual_seed(0)
    layer = DepthwiseConv2d(16, 7, 3)
    image = torch.randn(1, 16, 40, 50).contiguous(memory_format=torch.channels_last)
    inputs = [image.requires_grad_(), layer.weight, layer.bias]
    ours, theirs = layer(image), F.conv2d(*inputs, padding=9, dilation=3, groups=16)
    for mine, other in zip(
        torch.autograd.grad(ours.square().sum(), inputs),
        torch.autograd.grad(theirs.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-3)


def test_without_a_gradient_of_the_image():
    layer = DepthwiseConv2d(3, 5)
    layer(torch.randn(1, 3, 8, 9)).sum().backward()
    assert layer.bias.grad.tolist() == pytest.approx([72] * 3)

"""Our deformable convolution is torchvision's."""

import pytest
import torch
from S3NetSegmentationLib.s3net.fast.deformable import DeformableConv2d, deform_conv2d
from torchvision.ops import deform_conv2d as reference


def random_inputs(kernel, padding, seed=0, reach=3.0):
    """Image, offset, weight, bias, mask in double precision; offsets also leave the image."""
    torch.manual_seed(seed)
    batch, channels, outputs, height, width = 2, 5, 4, 9, 13
    rows = height + 2 * padding[0] - kernel[0] + 1
    columns = width + 2 * padding[1] - kernel[1] + 1
    taps = kernel[0] * kernel[1]
    shapes = (
        (batch, channels, height, width),
        (batch, 2 * taps, rows, columns),
        (outputs, channels, *kernel),
        (outputs,),
        (batch, taps, rows, columns),
    )
    inputs = [torch.randn(shape, dtype=torch.double) for shape in shapes]
    inputs[1] *= reach
    return [value.requires_grad_() for value in inputs]


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0)])
def test_forward_and_every_gradient_equal_torchvision(kernel, padding):
    image, offset, weight, bias, mask = inputs = random_inputs(kernel, padding)
    ours = deform_conv2d(image, offset, weight, bias, mask=mask, padding=padding)
    theirs = reference(image, offset, weight, bias, mask=mask, padding=padding)
    torch.testing.assert_close(ours, theirs)
    downstream = torch.randn(theirs.shape, dtype=torch.double)
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, downstream),
        torch.autograd.grad(theirs, inputs, downstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def test_groups_with_offsets_of_their_own_equal_torchvision():
    parts = [random_inputs((3, 3), (1, 1), seed) for seed in range(3)]
    inputs = [
        torch.cat([part[index].detach() for part in parts], axis).requires_grad_()
        for index, axis in enumerate((1, 1, 0, 0, 1))
    ]
    image, offset, weight, bias, mask = inputs
    ours = deform_conv2d(image, offset, weight, bias, mask=mask, padding=(1, 1))
    theirs = reference(image, offset, weight, bias, mask=mask, padding=(1, 1))
    torch.testing.assert_close(ours, theirs)
    downstream = torch.randn(theirs.shape, dtype=torch.double)
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, downstream),
        torch.autograd.grad(theirs, inputs, downstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def test_without_modulation_and_bias():
    image, offset, weight, _, _ = random_inputs((3, 3), (1, 1))
    ours = deform_conv2d(image, offset, weight, padding=(1, 1))
    torch.testing.assert_close(ours, reference(image, offset, weight, padding=(1, 1)))


def test_far_outside_the_image_all_is_zero():
    image, offset, weight, _, mask = random_inputs((3, 3), (1, 1))
    ours = deform_conv2d(image, offset.detach() + 1e4, weight, mask=mask, padding=(1, 1))
    assert not ours.any()


def test_gradients_agree_with_finite_differences():
    assert torch.autograd.gradcheck(
        lambda *inputs: deform_conv2d(*inputs[:4], mask=inputs[4], padding=(1, 1)),
        [value[:1].detach().requires_grad_() if value.dim() == 4 and index != 2 else value
         for index, value in enumerate(random_inputs((3, 3), (1, 1)))],
    )  # fmt: skip


def test_channels_last_changes_nothing():
    image, offset, weight, bias, mask = random_inputs((3, 3), (1, 1))
    plain = deform_conv2d(image, offset, weight, bias, mask=mask, padding=(1, 1))
    rows = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        deform_conv2d(rows, offset, weight, bias, mask=mask, padding=(1, 1)), plain
    )


def test_layer_starts_as_a_plain_convolution_at_half_modulation():
    torch.manual_seed(0)
    layer, image = DeformableConv2d(4, 6), torch.randn(1, 4, 8, 8)
    plain = torch.nn.functional.conv2d(image, layer.convolution.weight / 2, padding=1)
    torch.testing.assert_close(
        layer(image), plain + layer.convolution.bias.view(1, -1, 1, 1), rtol=1e-4, atol=1e-5
    )

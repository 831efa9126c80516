"""The losses act as the paper says."""

import pytest
import torch
from S3NetSegmentationLib.s3net.affine_transform import (
    IDENTITY,
    OUTSIDE,
    random_affine,
    warp_features,
    warp_labels,
)
from S3NetSegmentationLib.s3net.losses import cross_entropy_loss, joint_loss, spatial_loss
from torch.nn import functional as F


@pytest.fixture
def scores():
    torch.manual_seed(0)
    return torch.randn(2, 5, 12, 16, requires_grad=True)


def test_affine_loss_under_the_identity_is_the_plain_cross_entropy(scores):
    labels = torch.randint(5, (2, 12, 16))
    warped = cross_entropy_loss(warp_features(scores, IDENTITY), warp_labels(labels, IDENTITY))
    expected = F.cross_entropy(scores, labels, reduction="none").mean((1, 2))
    torch.testing.assert_close(warped, expected)


def test_affine_loss_ignores_what_comes_in_from_outside(scores):
    shift = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    labels = warp_labels(torch.ones(2, 12, 16, dtype=torch.long), shift)
    assert (labels[..., :8] == 1).all()
    assert (labels[..., 8:] == OUTSIDE).all()
    changed = scores.detach().clone()
    changed[..., 8:] = 100
    torch.testing.assert_close(
        cross_entropy_loss(changed, labels), cross_entropy_loss(scores, labels)
    )


def test_image_moved_wholly_outside_has_no_loss(scores):
    away = torch.tensor([[1.0, 0.0, 9.0], [0.0, 1.0, 0.0]])
    labels = warp_labels(torch.ones(2, 12, 16, dtype=torch.long), away)
    assert not cross_entropy_loss(scores, labels).any()


def test_the_last_pixel_that_counts_has_its_whole_loss(scores):
    labels = torch.full((2, 12, 16), OUTSIDE)
    labels[:, 3, 4] = 2
    expected = F.cross_entropy(scores[:, :, 3, 4], torch.tensor([2, 2]), reduction="none")
    torch.testing.assert_close(cross_entropy_loss(scores, labels), expected)


def test_features_are_sampled_like_torch_does():
    features = torch.randn(2, 3, 12, 17, dtype=torch.double, requires_grad=True)
    transform = random_affine(torch.Generator().manual_seed(2)).double()
    theirs_input = features.detach().clone().requires_grad_()
    # affine_grid's coordinates are squares of the image's own shape.
    rigid = transform * torch.tensor([[1, 12 / 17, 1], [17 / 12, 1, 1]], dtype=torch.double)
    grid = F.affine_grid(rigid.expand(2, 2, 3), [2, 3, 12, 17], align_corners=False)
    theirs = F.grid_sample(theirs_input, grid, align_corners=False)
    ours = warp_features(features, transform)
    torch.testing.assert_close(ours, theirs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(features.grad, theirs_input.grad)


def test_features_and_labels_move_alike():
    labels = torch.zeros(1, 24, 40, dtype=torch.long)
    labels[:, 8:16, 10:25] = 1
    transform = random_affine(torch.Generator().manual_seed(3))
    soft = warp_features(F.one_hot(labels, 2).permute(0, 3, 1, 2).float(), transform)
    hard = warp_labels(labels, transform)
    counted = hard != OUTSIDE
    agreement = (soft.argmax(1) == hard)[counted].float().mean()
    assert agreement > 0.97
    assert (hard == 1).any()


def test_random_transforms_are_reproducible_and_differ():
    first, second = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    drawn = [random_affine(first) for _ in range(3)]
    again = [random_affine(second) for _ in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert not torch.equal(drawn[0], drawn[1])


def test_rotation_keeps_a_circle_round_in_an_oblong_image():
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(80.0), indexing="ij")
    circle = (torch.hypot(x - 39.5, y - 19.5) < 12).long()[None]
    generator = torch.Generator().manual_seed(0)
    turn = random_affine(generator, translation=0, scale=0, shear=0)
    assert (warp_labels(circle, turn) == circle).float().mean() > 0.99


def test_spatial_loss_has_a_gradient_on_the_soft_map(scores):
    spatial_loss(scores).sum().backward()
    assert scores.grad.abs().max() > 0


def soft_pair(first):
    """Scores (1, 2, H, W) of two clusters, the first where a mask is true."""
    return torch.stack([8.0 * first, 8.0 * ~first])[None]


def test_spatial_loss_prefers_one_region_to_noise():
    even = soft_pair(torch.ones(16, 16, dtype=torch.bool))
    noisy = even + 6 * torch.randn(even.shape, generator=torch.Generator().manual_seed(0))
    assert spatial_loss(even) == pytest.approx(0)
    assert spatial_loss(noisy) > 0.1


def test_spatial_loss_does_not_see_a_checkerboard():
    """Sobel's kernels compare pixels that lie two apart, and those of a checkerboard are alike."""
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    assert spatial_loss(soft_pair((y + x) % 2 == 0)) == pytest.approx(0, abs=1e-6)
    assert spatial_loss(soft_pair((y // 2 + x // 2) % 2 == 0)) > 1


def test_spatial_loss_is_the_formula_of_the_paper():
    ramp = torch.zeros(1, 2, 5, 5, dtype=torch.double)
    ramp[0, 0] = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    soft = ramp.softmax(1)
    sobel_x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.double)
    sobel_xy = torch.tensor([[1.0, 0, -1], [0, 0, 0], [-1, 0, 1]], dtype=torch.double)

    def respond(kernel):
        return F.conv2d(soft.transpose(0, 1), kernel[None, None])

    x, y, both = respond(sobel_x), respond(sobel_x.T), respond(sobel_xy)
    expected = ((x - y).abs() + (x - both).abs() + (y - both).abs()).sum(0).mean()
    torch.testing.assert_close(spatial_loss(ramp), expected[None])


def test_joint_loss_weighs_the_terms_of_each_image():
    terms = {"affine": torch.tensor([2.0, 4.0]), "spatial": torch.tensor([3.0, 5.0])}
    assert joint_loss(terms, {"affine": 0.5, "spatial": 2.0}).tolist() == [7.0, 12.0]

"""The published method of the benchmark: its losses, and that the fast operators give the same."""

import published
import pytest
import torch
from methods.paper import fast_network, prepared
from torch.nn import functional as F

SIZE, CHANNELS = 24, 16


@pytest.fixture
def image():
    torch.manual_seed(0)
    return torch.rand(1, 3, SIZE, SIZE)


def one_step(network, image, variant):
    """Loss and gradients of an iteration, and the parameters after it."""
    optimizer = torch.optim.SGD(network.parameters(), variant.learning_rate, published.MOMENTUM)
    grays = torch.linspace(0, 1, CHANNELS)
    loss = (torch.tensor(variant.weights) * published.losses(*network(image), grays)).sum()
    loss.backward()
    gradients = {name: each.grad.clone() for name, each in network.named_parameters()}
    optimizer.step()
    return loss.detach(), gradients, dict(network.named_parameters())


@pytest.mark.parametrize("variant", [published.AS_WRITTEN, published.AS_CODED])
def test_an_iteration_by_the_librarys_operators_is_that_by_plain_ones(image, variant):
    plain = published.PublishedNet(3, SIZE, CHANNELS, CHANNELS)
    fast = fast_network(3, SIZE, CHANNELS, CHANNELS)
    fast.load_state_dict(plain.state_dict())
    fast = fast.to(memory_format=torch.channels_last)
    expected = one_step(plain, image, variant)
    actual = one_step(fast, image.contiguous(memory_format=torch.channels_last), variant)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_offsets_and_masks_are_learned_for_each_pixel(image):
    network = published.PublishedNet(3, SIZE, CHANNELS, CHANNELS)
    _, gradients, _ = one_step(network, image, published.AS_WRITTEN)
    for name, taps in (("offset", 18), ("mask", 9)):
        gradient = gradients[f"head.0.{name}"]
        assert gradient.shape == (1, taps, SIZE, SIZE)
        assert gradient.abs().amax((0, 1)).min() > 0


def test_the_rotation_by_90_degrees_changes_nothing():
    torch.manual_seed(1)
    scores, auxiliary = torch.randn(2, 1, 5, 8, 8)
    _, affine, _ = published.losses(scores, auxiliary, torch.rand(5))
    torch.testing.assert_close(affine, F.cross_entropy(auxiliary, scores.argmax(1)))


def test_the_spatial_loss_of_colored_clusters_has_no_gradient():
    scores = torch.randn(1, 5, 8, 8, requires_grad=True)
    spatial = published.losses(scores, scores, torch.rand(5))[2]
    spatial.backward()
    assert spatial > 0
    assert not scores.grad.any()


def test_a_fit_ends_with_few_clusters_but_not_before_six_steps(image):
    torch.manual_seed(0)
    network = published.PublishedNet(3, SIZE, CHANNELS, CHANNELS)
    fit = published.fit(image, published.AS_CODED, network)
    assert 6 <= fit.iterations < published.ITERATIONS
    assert fit.labels.shape == (SIZE, SIZE)
    even = published.fit(torch.zeros_like(image), published.AS_CODED, network)
    assert even.iterations == 6


def test_a_picture_is_stretched_to_256_pixels_and_three_channels():
    gray = torch.linspace(0, 255, 48).repeat(32, 1).to(torch.uint8).numpy()
    image = prepared(gray)
    assert image.shape == (1, 3, 256, 256)
    assert image.min() >= 0
    assert image.max() == pytest.approx(1, abs=0.02)

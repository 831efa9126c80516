"""A network fits itself to an image."""

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from batch_data import ENVIRONMENT
from S3NetSegmentationLib.errors import Cancelled, FitError, InputError
from S3NetSegmentationLib.s3net import fit as fitting
from S3NetSegmentationLib.s3net.explained_variance import variance_explained
from S3NetSegmentationLib.s3net.fit import fit, predict
from S3NetSegmentationLib.s3net.fit_step import MOMENTUM, OFFSET_RATE, Descent
from S3NetSegmentationLib.s3net.hardware.device import fastest_device, resolve_device
from S3NetSegmentationLib.s3net.network import InceptionLargeKernelAttention, S3Net
from S3NetSegmentationLib.settings import Settings

SMALL = Settings(channels=8, clusters=8, iterations=12)


def two_disks(channels=1, size=(40, 56)):
    """Dark disks on a bright ground, (1, channels, H, W), and where they are."""
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    disks = (torch.hypot(y - 20, x - 15) < 10) | (torch.hypot(y - 20, x - 42) < 10)
    noise = 0.1 * torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return torch.where(disks, -1.0, 0.5) + noise, disks[None]


def best_dice(labels, truth):
    """Of the union of the clusters that lie mostly in the truth."""
    inside = [k for k in labels.unique() if truth[labels == k].float().mean() > 0.5]
    mask = torch.isin(labels, torch.stack(inside)) if inside else torch.zeros_like(truth)
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


@pytest.mark.parametrize("channels", [1, 3])
def test_dark_disks_become_clusters(channels):
    image, truth = two_disks(channels)
    labels = predict(fit(image, SMALL).network, image).argmax(1)
    assert best_dice(labels, truth) > 0.9


def test_same_seed_gives_the_same_clusters_bit_for_bit():
    image, _ = two_disks()
    first, second = (predict(fit(image, SMALL).network, image) for _ in range(2))
    assert torch.equal(first, second)
    other = predict(fit(image, replace(SMALL, seed=1)).network, image)
    assert not torch.equal(first, other)


def test_a_fit_does_not_load_the_compiler_of_torch():
    code = (
        "import sys, torch; from S3NetSegmentationLib.s3net.fit import fit\n"
        "from S3NetSegmentationLib.s3net.settings import NetworkSettings\n"
        "fit(torch.rand(1, 1, 16, 16), NetworkSettings(channels=4, clusters=4, iterations=2))\n"
        "print('torch._dynamo' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert run.stdout == "False\n"


def test_descent_is_that_of_torch():
    torch.manual_seed(0)
    ours = S3Net(channels=4, clusters=4)
    theirs = copy.deepcopy(ours)
    offsets = theirs.offset_parameters()
    others = [p for p in theirs.parameters() if not any(p is offset for offset in offsets)]
    groups = [{"params": others}, {"params": offsets, "lr": 0.1 * OFFSET_RATE}]
    expected, descent = torch.optim.SGD(groups, lr=0.1, momentum=MOMENTUM), Descent(ours, 0.1)
    image, _ = two_disks()
    for _ in range(3):
        for network, step in ((ours, descent.step), (theirs, expected.step)):
            network.zero_grad()
            network(image).square().mean().backward()
            step()
    for got, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(got, wanted)


def test_fits_in_several_threads_do_not_disturb_one_another():
    image, _ = two_disks()
    brief = replace(SMALL, iterations=1)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda _: fit(image, brief).scores, range(40)))
    alone = fit(image, brief).scores
    assert all(torch.equal(each, alone) for each in together)


@pytest.mark.parametrize(
    "change",
    [
        {"weight_affine": 0.0},
        {"weight_spatial": 0.0},
        {"weight_affine": 0.0, "weight_spatial": 0.0},
        {"weight_cross_entropy": 0.0, "weight_spatial": 0.0},
        {"inception": False},
        {"deformable": False},
    ],
)
def test_every_term_and_module_can_be_left_out(change):
    image, truth = two_disks()
    labels = predict(fit(image, replace(SMALL, **change)).network, image).argmax(1)
    assert best_dice(labels, truth) > 0.8


def test_a_term_of_weight_zero_changes_the_result():
    image, _ = two_disks()
    whole = predict(fit(image, SMALL).network, image)
    less = predict(fit(image, replace(SMALL, weight_spatial=0.0)).network, image)
    assert not torch.equal(whole, less)


@pytest.mark.parametrize("size", [(17, 31), (64, 20)])
def test_any_image_size(size):
    scores = S3Net(1, channels=4, clusters=6)(torch.randn(2, 1, *size))
    assert scores.shape == (2, 6, *size)


def test_attention_sees_eleven_pixels_far():
    """Two through the 5x5 convolution, nine through the 7x7 one of dilation 3, as in the paper."""
    torch.manual_seed(0)
    image = torch.ones(1, 4, 31, 31, requires_grad=True)
    InceptionLargeKernelAttention(4)(image)[0, :, 15, 15].sum().backward()
    for seen in image.grad[0].abs().sum(0).nonzero().T:
        assert (seen.min(), seen.max()) == (15 - 11, 15 + 11)


def test_offsets_learn():
    image, _ = two_disks()
    network = fit(image, SMALL).network
    assert max(parameter.abs().max() for parameter in network.offset_parameters()) > 0


def test_a_diverged_fit_is_repeated_with_another_seed(monkeypatch):
    image, truth = two_disks()
    seeds, once = [], fitting._fit_once

    def first_diverges(images, settings, seed, *rest):
        seeds.append(seed)
        poisoned = images * float("nan") if len(seeds) == 1 else images
        return once(poisoned, settings, seed, *rest)

    monkeypatch.setattr(fitting, "_fit_once", first_diverges)
    found = fit(image, SMALL)
    assert len(seeds) == len(set(seeds)) == 2
    assert best_dice(predict(found.network, image).argmax(1), truth) > 0.9


def test_refits_are_bounded_and_then_it_says_so():
    image, _ = two_disks()
    with pytest.raises(FitError, match="3 different seeds"):
        fit(image * float("nan"), SMALL)


def test_a_fit_that_merges_everything_is_told():
    image, _ = two_disks()
    good = fit(image, SMALL)
    assert not good.is_merged
    assert replace(good, explained=0.3).is_merged


def test_cancelling_ends_the_fit_at_once():
    seen = []

    def step(done, total):
        seen.append(done)
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        fit(two_disks()[0], SMALL, step)
    assert seen == [0, 1, 2]


def test_variance_explained():
    image = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(2, 1, 1, 1, 4)
    labels = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]).view(2, 1, 1, 4)
    assert variance_explained(image, labels, 2).tolist() == pytest.approx([1, 0])


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="abacus"):
        resolve_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="CUDA"):
            resolve_device("cuda")


def test_processes_side_by_side_take_turns_at_the_gpus(monkeypatch):
    """`torch` says how many there are of those that ``CUDA_VISIBLE_DEVICES`` leaves visible."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [fastest_device(lane) for lane in range(4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
    assert resolve_device("auto").name == "cuda:0"


def test_a_gpu_that_lacks_operators_is_chosen_by_the_user_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "cpu"
    assert resolve_device("mps").type == "mps"

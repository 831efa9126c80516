"""Networks that are fitted in one go are those that are fitted one by one."""

from dataclasses import replace

import pytest
import torch
from S3NetSegmentationLib.errors import Cancelled
from S3NetSegmentationLib.s3net.explained_variance import best_split_explains, variance_explained
from S3NetSegmentationLib.s3net.fit import fit, fit_ensemble, predict
from S3NetSegmentationLib.s3net.fit_step import FitState
from S3NetSegmentationLib.s3net.hardware import parallel_fits
from S3NetSegmentationLib.s3net.hardware.device import Device
from S3NetSegmentationLib.s3net.hardware.parallel_fits import (
    bytes_to_fit,
    fit_each,
    fit_in_groups,
    networks_at_once,
)
from S3NetSegmentationLib.settings import Settings

CPU = Device("cpu")
SMALL = Settings(channels=6, clusters=7, iterations=12)


def pictures(count=3, channels=2, size=(24, 30)):
    """Disks of different size and place, (count, channels, H, W) in double precision."""
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    disks = [torch.hypot(y - 12, x - 8 - 5 * index) < 4 + 2 * index for index in range(count)]
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(count, channels, *size, generator=generator)
    return (torch.where(torch.stack(disks)[:, None], -1.0, 0.5) + noise).double()


def assert_same(together, alone, image):
    assert together.seed == alone.seed
    assert together.explained == pytest.approx(alone.explained, abs=1e-6)
    assert together.separable == pytest.approx(alone.separable, abs=1e-6)
    torch.testing.assert_close(
        predict(together.network, image), predict(alone.network, image), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "change",
    [{}, {"inception": False}, {"deformable": False}, {"weight_affine": 0.0}],
)
def test_side_by_side_equals_one_by_one(change):
    """In double precision, for which the many iterations don't add up to a difference."""
    images, settings = pictures(), replace(SMALL, **change)
    together = fit_ensemble(images.unsqueeze(1), settings)
    for found, image in zip(together, images.split(1), strict=True):
        assert_same(found, fit(image, settings), image)


def test_stacks_of_several_images_side_by_side():
    stacks = pictures(4).unflatten(0, (2, 2))
    for found, stack in zip(fit_ensemble(stacks, SMALL), stacks, strict=True):
        assert_same(found, fit(stack, SMALL), stack)


def test_a_network_that_diverges_leaves_its_neighbors_alone():
    images = pictures()
    poisoned = images.clone()
    poisoned[1] = float("nan")
    together = fit_ensemble(poisoned.unsqueeze(1), SMALL)
    assert together[1] is None
    for index in (0, 2):
        image = images[index : index + 1]
        assert_same(together[index], fit(image, SMALL), image)


def test_same_seed_same_networks_bit_for_bit():
    images = pictures().float()
    first, second = (list(fit_each(images, SMALL, CPU)) for _ in range(2))
    for one, other, image in zip(first, second, images.split(1), strict=True):
        assert torch.equal(predict(one.network, image), predict(other.network, image))


def with_room_for(monkeypatch, networks, error=torch.cuda.OutOfMemoryError):
    """A device whose memory holds so many networks; gives the sizes that were tried."""
    tried, fit_them = [], parallel_fits.fit_ensemble

    def fit_in_little_memory(stacks, *rest):
        tried.append(len(stacks))
        if len(stacks) > networks:
            raise error("CUDA out of memory.")
        return fit_them(stacks, *rest)

    monkeypatch.setattr(parallel_fits, "fit_ensemble", fit_in_little_memory)
    return tried


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, RuntimeError])
def test_out_of_memory_halves_the_number_and_goes_on(monkeypatch, error):
    images, settings = pictures(5), replace(SMALL, iterations=4)
    alone = [fit(image, settings) for image in images.split(1)]
    tried = with_room_for(monkeypatch, 2, error)
    found = list(fit_in_groups(images, settings, CPU, 9))
    assert tried == [5, 2, 2, 1]
    for one, other, image in zip(found, alone, images.split(1), strict=True):
        assert_same(one, other, image)


def test_out_of_memory_for_a_single_network_is_told(monkeypatch):
    tried = with_room_for(monkeypatch, 0)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(fit_in_groups(pictures(), SMALL, CPU, 3))
    assert tried == [3, 1]


def test_as_many_at_once_as_memory_and_settings_allow(monkeypatch):
    image = pictures(1)
    need = bytes_to_fit(image, SMALL)
    cuda = Device("cuda", memory_gb=10.5 * need / 2**30)
    free = [100 * need]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 10**12))
    assert networks_at_once(image, SMALL, cuda) == 10
    free[0] = 4 * need
    assert networks_at_once(image, SMALL, cuda) == 3
    free[0] = 0
    assert networks_at_once(image, SMALL, cuda) == 1


def test_what_torch_holds_back_since_an_earlier_scan_is_used_again(monkeypatch):
    image = pictures(1)
    held = [2**33]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**33 - held[0], 2**33))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: held.__setitem__(0, 0))
    assert networks_at_once(image, SMALL, Device("cuda")) > 1


@pytest.mark.parametrize("networks", [1, 3])
def test_the_estimate_of_memory_is_just_above_what_an_iteration_keeps(networks):
    images = pictures(networks).float()
    state = FitState(images.unsqueeze(1), SMALL, 0)
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        state.iterate()
    estimate = networks * bytes_to_fit(images[:1], SMALL)
    assert 0.8 * estimate < sum(kept.values()) < estimate


def test_progress_and_cancel_between_iterations():
    seen = []

    def step(done, total):
        seen.append((done, total))
        if len(seen) == 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(fit_in_groups(pictures(), SMALL, CPU, 1, step))
    assert seen == sorted(seen)
    assert seen[0] == (0, 3)
    assert len(seen) == 20


def test_figures_of_several_stacks_are_those_of_each():
    stacks = pictures(4).unflatten(0, (2, 2))
    labels = (stacks[:, :, 0] > 0).long() + 3 * (stacks[:, :, 1] > 0.5)
    explained = variance_explained(stacks, labels, 5)
    split = best_split_explains(stacks)
    for index in range(2):
        alone = slice(index, index + 1)
        torch.testing.assert_close(
            variance_explained(stacks[alone], labels[alone], 5), explained[alone]
        )
        torch.testing.assert_close(best_split_explains(stacks[alone]), split[alone])


def test_the_best_split_is_that_of_the_thresholds_one_by_one():
    stacks = pictures(2, channels=1).unsqueeze(0)
    values = stacks.flatten()
    thresholds = torch.linspace(float(values.min()), float(values.max()), 34)[1:-1]
    each = [variance_explained(stacks, (stacks[:, :, 0] > t).long(), 2) for t in thresholds]
    assert float(best_split_explains(stacks)) == pytest.approx(float(max(each)), abs=1e-6)

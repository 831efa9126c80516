"""Fits at the same time on a CPU are those that are fitted one by one."""

import threading
from dataclasses import replace

import pytest
import torch
from S3NetSegmentationLib.errors import Cancelled
from S3NetSegmentationLib.s3net import best_iterate
from S3NetSegmentationLib.s3net.fit import fit
from S3NetSegmentationLib.s3net.fit_step import FitState
from S3NetSegmentationLib.s3net.hardware.device import Device
from S3NetSegmentationLib.s3net.hardware.fits_in_threads import fit_in_threads
from S3NetSegmentationLib.s3net.hardware.parallel_fits import (
    bytes_to_fit,
    fit_each,
    networks_at_once,
)
from S3NetSegmentationLib.settings import Settings

CPU = Device("cpu")
SMALL = Settings(channels=6, clusters=7, iterations=12)
LONG = replace(SMALL, iterations=5000)


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
    torch.set_num_threads(before)


def pictures(count=7, size=(24, 30)):
    """A disk that moves from picture to picture, (count, 1, H, W)."""
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    disks = [torch.hypot(y - 12, x - 6 - 2 * index) < 5 for index in range(count)]
    noise = 0.1 * torch.randn(count, 1, *size, generator=torch.Generator().manual_seed(0))
    return torch.where(torch.stack(disks)[:, None], -1.0, 0.5) + noise


def alone(images, settings, threads):
    torch.set_num_threads(threads)
    found = [fit(image, settings) for image in images.split(1)]
    torch.set_num_threads(4)
    return found


def ignore(done, total):
    pass


@pytest.mark.parametrize("at_once", [2, 4])
def test_each_image_gets_the_fit_that_it_gets_alone_bit_for_bit(at_once):
    images = pictures()
    together = fit_in_threads(images, SMALL, at_once, ignore)
    for one, other in zip(together, alone(images, SMALL, 4 // at_once), strict=True):
        assert torch.equal(one.scores, other.scores)
        assert one.seed == other.seed


def test_an_image_that_cannot_be_fitted_keeps_its_place():
    images = pictures(6)
    images[2] = torch.nan
    found = list(fit_each(images, SMALL, CPU))
    assert [index for index, each in enumerate(found) if each is None] == [2]


def test_progress_counts_the_images_in_order():
    seen = []
    list(fit_in_threads(pictures(5), SMALL, 2, lambda *count: seen.append(count)))
    assert seen == sorted(seen)
    assert set(seen) >= {(done, 5) for done in range(5)}


def test_cancel_ends_all_fits(monkeypatch):
    monkeypatch.setattr(best_iterate, "PATIENCE_ITERATIONS", LONG.iterations)
    iterations = []
    iterate = FitState.iterate
    monkeypatch.setattr(
        FitState, "iterate", lambda running: (iterations.append(1), iterate(running))
    )

    def step(done, total):
        if len(iterations) > 10:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(fit_in_threads(pictures(), LONG, 3, step))
    assert len(iterations) < LONG.iterations


def test_who_needs_no_more_ends_all_fits():
    fits = fit_in_threads(pictures(), SMALL, 2, ignore)
    next(fits)
    fits.close()


def test_an_error_in_one_fit_ends_all(monkeypatch):
    class BrokenError(Exception):
        pass

    iterations = []
    iterate = FitState.iterate

    def break_after_ten(running):
        iterations.append(1)
        if len(iterations) == 10:
            raise BrokenError
        return iterate(running)

    monkeypatch.setattr(FitState, "iterate", break_after_ten)
    with pytest.raises(BrokenError):
        list(fit_in_threads(pictures(), LONG, 3, ignore))
    assert len(iterations) < LONG.iterations


def test_small_fits_share_the_cores_and_large_ones_have_them_all():
    settings = Settings(mode="slice")
    assert networks_at_once(torch.empty(1, 2, 96, 128), settings, CPU) == 4
    large = replace(settings, channels=64, clusters=64)
    assert networks_at_once(torch.empty(1, 2, 256, 256), large, CPU) == 1
    torch.set_num_threads(64)
    image = torch.empty(1, 2, 96, 128)
    at_once = networks_at_once(image, settings, CPU)
    torch.set_num_threads(4)
    assert at_once > 4
    assert at_once * bytes_to_fit(image, settings) <= 2**30

"""A network for every image, as many at once as the device has room for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...errors import out_of_memory
from ..fit import Fit, OnStep, fit_ensemble
from ..network import BLOCKS
from ..settings import NetworkSettings
from .device import Device
from .fits_in_threads import fit_in_threads

CPU_BYTES = 2**30
"""Of what is fitted at the same time on a CPU, at most. Larger fits keep its cores busy one by
one, and would only push one another out of the cache."""

MAPS_PER_BLOCK, MAPS, CLUSTER_MAPS = 14, 30, 16
"""Maps of C channels that an iteration keeps for each I-LKA block and beside them, the columns of
the deformable convolution among them, and maps of K clusters."""


def fit_each(
    images: Tensor,
    settings: NetworkSettings,
    device: Device,
    on_step: OnStep = lambda done, total: None,
) -> Iterator[Fit | None]:
    """Fit an independent network to each image.

    On a GPU, several are fitted at once; if its memory runs out, half as many. On a CPU, several
    are fitted at the same time, each by its own threads.

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        Of roughly unit scale, on the CPU.
    settings : NetworkSettings
    device : Device
        Where to work.
    on_step : callable
        Called with (done, total) images again and again; what it raises ends the fits.

    Yields
    ------
    Fit or None
        For each image the result of `fit`; None if it would raise an error.

    Raises
    ------
    RuntimeError
        If the memory doesn't suffice for one.
    """
    at_once = networks_at_once(images[:1], settings, device)
    if device.type == "cpu" and at_once > 1:
        return fit_in_threads(images, settings, at_once, on_step)
    return fit_in_groups(images, settings, device, at_once, on_step)


def fit_in_groups(
    images: Tensor,
    settings: NetworkSettings,
    device: Device,
    at_once: int,
    on_step: OnStep = lambda done, total: None,
) -> Iterator[Fit | None]:
    """As `fit_each`, for `at_once` images in one go, or fewer where the memory runs out."""
    done = 0
    while done < len(images):
        on_step(done, len(images))
        group = images[done : done + at_once]
        fits = _try(group, settings, device, on_step, (done, len(images)))
        if fits is None:
            at_once = len(group) // 2
            continue
        yield from fits
        done += len(fits)


def _try(
    images: Tensor,
    settings: NetworkSettings,
    device: Device,
    on_step: OnStep,
    progress: tuple[int, int],
) -> list[Fit | None] | None:
    """The fits of a group of images; None where the memory runs out and fewer may fit."""
    try:
        stacks = device.place(images.unsqueeze(1))
        return fit_ensemble(stacks, settings, lambda *iterations: on_step(*progress))
    except RuntimeError as error:  # torchvision's operator doesn't say it by the error's type
        if len(images) == 1 or not out_of_memory(error):
            raise
    # Only here, where the error and with it the tensors of the fit are gone.
    torch.cuda.empty_cache()
    return None


def networks_at_once(image: Tensor, settings: NetworkSettings, device: Device) -> int:
    """How many networks are fitted at the same time.

    Parameters
    ----------
    image : Tensor, (1, C, H, W)
        What one of them is fitted to.
    settings : NetworkSettings
    device : Device
    """
    need = bytes_to_fit(image, settings)
    if device.type == "cpu":
        return max(1, min(torch.get_num_threads(), CPU_BYTES // need))
    if device.type != "cuda":
        return 1
    return max(1, device.usable_bytes() // need)


def bytes_to_fit(image: Tensor, settings: NetworkSettings) -> int:
    """About what a fit of one network to an image takes at its peak."""
    maps = (MAPS_PER_BLOCK * BLOCKS + MAPS) * settings.channels
    pixels = image.shape[2] * image.shape[3]
    return 4 * pixels * (maps + CLUSTER_MAPS * settings.clusters)

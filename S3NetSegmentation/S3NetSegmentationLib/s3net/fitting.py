"""Fitting a network to the images in front of it (paper, sections 3.2 to 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from ..errors import FitError
from ..settings import Settings
from .affine import random_affine
from .network import S3Net
from .repeated import repeated
from .running import PATIENCE, RunningFit, settle_batch_statistics
from .separation import best_split_explains, variance_explained
from .side_by_side import cluster_maps, memory_format, single_network

ATTEMPT_SEED = 1000
"""Between the seeds of two attempts, so that those of neighboring seeds differ."""

MIN_SEPARATION = 0.9
"""A fit that explains less of the intensity than this share of what the best split of the
histogram in two explains has merged what is plainly different."""


@dataclass(frozen=True)
class Fit:
    """A fitted network.

    Attributes
    ----------
    scores : Tensor, (B, K, H, W)
        Of the images that it was fitted to.
    explained : float
        Share of the intensity variance that its cluster map explains, 0 to 1.
    separable : float
        Share that the best threshold explains.
    seed : int
        The seed that it grew from.
    """

    scores: Tensor
    explained: float
    separable: float
    seed: int
    _take_apart: Callable[[], S3Net]

    @cached_property
    def network(self) -> S3Net:
        """In evaluation mode, with the batch statistics of the fitted images.

        Those of many fits side by side, of which only the scores are asked for, need not be made.
        """
        return self._take_apart()

    @property
    def is_merged(self) -> bool:
        """Whether the clusters have merged what is plainly different."""
        return self.explained < MIN_SEPARATION * self.separable


def fit(
    images: Tensor, settings: Settings, step: Callable[[int, int], None] = lambda done, total: None
) -> Fit:
    """Fit one fresh network to images.

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
        Of roughly unit scale, on the device to work on.
    settings : Settings
        Network, losses, optimization, seed.
    step : callable
        Called with (done, total) iterations; what it raises ends the fit.

    Raises
    ------
    FitError
        If every fit diverged or ended in one cluster. Where all merely merged what is
        different, the best of them is returned.
    """
    (found,) = fit_side_by_side(images.unsqueeze(0), settings, step)
    if found is None:
        raise FitError(
            f"The network did not separate anything in this image with {settings.refits + 1} "
            "different seeds; try another seed or a lower learning rate."
        )
    return found


def fit_side_by_side(
    stacks: Tensor, settings: Settings, step: Callable[[int, int], None] = lambda done, total: None
) -> list[Fit | None]:
    """Fit an independent network to each stack of images, all in one go.

    A collapsed or diverged fit is repeated with another seed.

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)
        For each of N networks the B images that it is fitted to.
    settings, step
        As for `fit`.

    Returns
    -------
    list of Fit or None
        For each stack what `fit` gives; None where it raises an error.
    """
    separable = best_split_explains(stacks)
    best: list[Fit | None] = [None] * len(stacks)
    pending = list(range(len(stacks)))
    for attempt in range(settings.refits + 1):
        seed = settings.seed + ATTEMPT_SEED * attempt
        fits = _fit_once(stacks[pending], settings, seed, separable[pending], step)
        for index, fitted in zip(pending, fits, strict=True):
            before = best[index]
            if fitted is not None and (before is None or fitted.explained > before.explained):
                best[index] = fitted
        pending = [index for index in pending if (found := best[index]) is None or found.is_merged]
        if not pending:
            break
    return best


def predict(network: S3Net, images: Tensor) -> Tensor:
    """Scores (B, K, H, W) of images (B, C, H, W), without gradient."""
    with torch.inference_mode():
        return network(images.contiguous(memory_format=memory_format(images.device, 1)))


def _fit_once(
    stacks: Tensor,
    settings: Settings,
    seed: int,
    separable: Tensor,
    step: Callable[[int, int], None],
) -> list[Fit | None]:
    """One fit of each network; None where it diverged or collapsed."""
    running = RunningFit(stacks, settings, seed)
    generator = torch.Generator().manual_seed(seed)
    transforms = torch.stack([random_affine(generator) for _ in range(settings.iterations)])
    with repeated(running.iterate, stacks.device) as iterate:
        for iteration, transform in enumerate(transforms.to(stacks)):
            step(iteration, settings.iterations)
            # The host waits for a GPU as seldom as it can; settled networks don't change.
            may_ask = stacks.device.type == "cpu" or iteration % PATIENCE == 0
            if may_ask and running.best.settled.all():
                break
            running.transform.copy_(transform)
            iterate()
    step(settings.iterations, settings.iterations)
    running.best.restore(running.network)
    settle_batch_statistics(running.network, running.images)
    return _fits(running, stacks, settings, seed, separable)


def _fits(
    running: RunningFit, stacks: Tensor, settings: Settings, seed: int, separable: Tensor
) -> list[Fit | None]:
    """What became of each network; None where it diverged or sees one cluster."""
    networks = len(stacks)
    with torch.inference_mode():
        scores = running.network(running.images)
    labels = cluster_maps(scores, networks)
    explained = variance_explained(stacks, labels, settings.clusters)
    several = labels.flatten(1).min(1).values < labels.flatten(1).max(1).values
    each = zip(
        (several & running.best.exist).tolist(),
        scores.unflatten(1, (networks, -1)).unbind(1),
        explained.tolist(),
        separable.tolist(),
        strict=True,
    )
    return [
        Fit(own, share, best, seed, partial(single_network, running.network, stacks, n, settings))
        if is_good
        else None
        for n, (is_good, own, share, best) in enumerate(each)
    ]

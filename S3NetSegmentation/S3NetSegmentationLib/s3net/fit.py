"""Fitting a network to the images in front of it (paper, sections 3.2 to 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from ..errors import FitError
from .affine_transform import random_affine
from .best_iterate import PATIENCE_ITERATIONS
from .ensemble import cluster_maps, extract_network, memory_format
from .explained_variance import best_split_explains, variance_explained
from .fast.cuda_graph import graphed
from .fit_step import FitState, settle_batch_statistics
from .network import S3Net
from .settings import NetworkSettings

OnStep = Callable[[int, int], None]
"""Called with how many steps are done and how many there are; what it raises ends the work."""

REFITS = 2
"""How often a collapsed or diverged fit is repeated with another seed, at most."""

REFIT_SEED = 1000
"""Between the seeds of two refits, so that those of neighboring seeds differ."""

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
    _extract: Callable[[], S3Net]

    @cached_property
    def network(self) -> S3Net:
        """In evaluation mode, with the batch statistics of the fitted images.

        Made on request, since slice mode needs only the scores of its many fits.
        """
        return self._extract()

    @property
    def is_merged(self) -> bool:
        """Whether the clusters have merged what is plainly different."""
        return self.explained < MIN_SEPARATION * self.separable


def fit(
    images: Tensor,
    settings: NetworkSettings,
    on_step: OnStep = lambda done, total: None,
    refits: int = REFITS,
) -> Fit:
    """Fit one fresh network to images.

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
        Of roughly unit scale, on the device to work on.
    settings : NetworkSettings
    on_step : callable
        Called with (done, total) iterations; what it raises ends the fit.
    refits : int
        How often a collapsed or diverged fit is repeated, at most.

    Raises
    ------
    FitError
        If every fit diverged or ended in one cluster. Where all merely merged what is
        different, the best of them is returned.
    """
    (found,) = fit_ensemble(images.unsqueeze(0), settings, on_step, refits)
    if found is None:
        raise FitError(
            f"The network did not separate anything in this image with {refits + 1} "
            "different seeds; try another seed or a lower learning rate."
        )
    return found


def fit_ensemble(
    stacks: Tensor,
    settings: NetworkSettings,
    on_step: OnStep = lambda done, total: None,
    refits: int = REFITS,
) -> list[Fit | None]:
    """Fit an independent network to each stack of images, all at once.

    A collapsed or diverged fit is repeated with another seed.

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)
        For each of N networks the B images that it is fitted to.
    settings, on_step, refits
        As for `fit`.

    Returns
    -------
    list of Fit or None
        For each stack the result of `fit`; None if it would raise an error.
    """
    separable = best_split_explains(stacks)
    best: list[Fit | None] = [None] * len(stacks)
    pending = list(range(len(stacks)))
    for refit in range(refits + 1):
        seed = settings.seed + REFIT_SEED * refit
        fits = _fit_once(stacks[pending], settings, seed, separable[pending], on_step)
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
    settings: NetworkSettings,
    seed: int,
    separable: Tensor,
    on_step: OnStep,
) -> list[Fit | None]:
    """One fit of each network; None if it diverged or collapsed."""
    state = FitState(stacks, settings, seed)
    generator = torch.Generator().manual_seed(seed)
    transforms = torch.stack([random_affine(generator) for _ in range(settings.iterations)])
    with graphed(state.iterate, stacks.device) as iterate:
        for iteration, transform in enumerate(transforms.to(stacks)):
            on_step(iteration, settings.iterations)
            # The host waits for a GPU as seldom as it can; settled networks don't change.
            may_ask = stacks.device.type == "cpu" or iteration % PATIENCE_ITERATIONS == 0
            if may_ask and state.best.settled.all():
                break
            state.transform.copy_(transform)
            iterate()
    on_step(settings.iterations, settings.iterations)
    state.best.restore(state.network)
    settle_batch_statistics(state.network, state.images)
    return _fits(state, stacks, settings, seed, separable)


def _fits(
    state: FitState, stacks: Tensor, settings: NetworkSettings, seed: int, separable: Tensor
) -> list[Fit | None]:
    """The outcome of each network; None if it diverged or found only one cluster."""
    networks = len(stacks)
    with torch.inference_mode():
        scores = state.network(state.images)
    labels = cluster_maps(scores, networks)
    explained = variance_explained(stacks, labels, settings.clusters)
    has_several = labels.flatten(1).min(1).values < labels.flatten(1).max(1).values
    each = zip(
        (has_several & state.best.has_iterate).tolist(),
        scores.unflatten(1, (networks, -1)).unbind(1),
        explained.tolist(),
        separable.tolist(),
        strict=True,
    )
    return [
        Fit(own, share, best, seed, partial(extract_network, state.network, stacks, n, settings))
        if is_good
        else None
        for n, (is_good, own, share, best) in enumerate(each)
    ]

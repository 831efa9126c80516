"""Fitting a network to the images in front of it (paper, sections 3.2 to 4.1)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import FitError
from ..settings import Settings
from .affine import random_affine, warp_features, warp_labels
from .losses import cross_entropy_loss, joint_loss, spatial_loss
from .network import S3Net

EARLIEST_KEPT = 2
"""Iterations before an iterate may be kept: the first maps are those of a random network."""

LEAST_ITERATIONS = 5
"""Before a fit may end because few clusters are left (the authors' code)."""

OFFSET_GRADIENT = 1.0
"""Largest norm of the gradient of the offset predictor; the deformable part diverges without."""

ATTEMPT_SEED = 1000
"""Between the seeds of two attempts, so that those of neighboring seeds differ."""

PATIENCE = 5
"""Iterations without a better map before a fit ends: past its best, a map only coarsens."""

LEAST_SEPARATION = 0.9
"""A fit that explains less of the intensity than this share of what the best split of the
histogram in two explains has merged what is plainly different."""


@dataclass(frozen=True)
class Fit:
    """A fitted network.

    Attributes
    ----------
    network : S3Net
        In evaluation mode, with the batch statistics of the fitted images.
    explained : float
        Share of the intensity variance that its cluster map explains, 0 to 1.
    separable : float
        Share that the best threshold explains.
    seed : int
        The seed that it grew from.
    """

    network: S3Net
    explained: float
    separable: float
    seed: int

    @property
    def is_merged(self) -> bool:
        """Whether the clusters have merged what is plainly different."""
        return self.explained < LEAST_SEPARATION * self.separable


def fit(
    images: Tensor, settings: Settings, step: Callable[[int, int], None] = lambda done, total: None
) -> Fit:
    """Fit a fresh network to images; a collapsed or diverged fit is repeated with another seed.

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
    images = images.contiguous(memory_format=torch.channels_last)
    separable = best_split_explains(images)
    best = None
    for attempt in range(settings.refits + 1):
        seed = settings.seed + ATTEMPT_SEED * attempt
        fitted = _fit_once(images, settings, seed, separable, step)
        if fitted is not None and (best is None or fitted.explained > best.explained):
            best = fitted
        if best is not None and not best.is_merged:
            return best
    if best is None:
        raise FitError(
            f"The network did not separate anything in this image with {settings.refits + 1} "
            "different seeds; try another seed or a lower learning rate."
        )
    return best


def predict(network: S3Net, images: Tensor) -> Tensor:
    """Scores (B, K, H, W) of images (B, C, H, W), without gradient."""
    with torch.inference_mode():
        return network(images.contiguous(memory_format=torch.channels_last))


def _fit_once(images: Tensor, settings: Settings, seed: int, separable: float, step) -> Fit | None:
    """One fit; None where it diverged or collapsed."""
    network = _fresh_network(images, settings, seed)
    optimizer = _optimizer(network, settings)
    transforms = torch.Generator().manual_seed(seed)
    best_state, best_explained, best_iteration = None, -math.inf, 0
    for iteration in range(settings.iterations):
        step(iteration, settings.iterations)
        features = network.encoder(images)
        scores = network.head(features)
        labels = scores.detach().argmax(1)
        if settings.least_clusters:
            best_state = network.state_dict()
            few = len(labels.unique()) <= settings.least_clusters
            if few and iteration >= LEAST_ITERATIONS:
                break
        elif iteration >= EARLIEST_KEPT or iteration == settings.iterations - 1:
            explained = variance_explained(images, labels)
            if explained > best_explained:
                best_state = copy.deepcopy(network.state_dict())
                best_explained, best_iteration = explained, iteration
            elif iteration >= best_iteration + PATIENCE:
                break
        loss = _loss(network, features, scores, labels, random_affine(transforms), settings)
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.offset_parameters(), OFFSET_GRADIENT)
        optimizer.step()
    step(settings.iterations, settings.iterations)
    if best_state is None:
        return None
    network.load_state_dict(best_state)
    _settle_batch_statistics(network, images)
    labels = predict(network, images).argmax(1)
    if len(labels.unique()) < 2:
        return None
    return Fit(network, variance_explained(images, labels), separable, seed)


def _fresh_network(images: Tensor, settings: Settings, seed: int) -> S3Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = S3Net(
            images.shape[1],
            settings.channels,
            settings.clusters,
            settings.blocks,
            settings.inception,
            settings.deformable,
        )
    return network.to(images.device, memory_format=torch.channels_last).train()


def _optimizer(network: S3Net, settings: Settings) -> torch.optim.Optimizer:
    offsets = network.offset_parameters()
    ids = {id(parameter) for parameter in offsets}
    others = [parameter for parameter in network.parameters() if id(parameter) not in ids]
    groups = [{"params": others}]
    if offsets:
        groups.append({"params": offsets, "lr": settings.learning_rate * settings.offset_rate})
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)


def _loss(network, features, scores, labels, transform, settings: Settings) -> Tensor:
    """The joint loss (paper, equation 7); a term of weight 0 is not computed."""
    weights = {
        "cross_entropy": settings.weight_cross_entropy,
        "affine": settings.weight_affine,
        "spatial": settings.weight_spatial,
    }
    terms = {}
    if weights["cross_entropy"]:
        terms["cross_entropy"] = cross_entropy_loss(scores, labels)
    if weights["affine"]:
        warped = network.auxiliary_head(warp_features(features, transform))
        terms["affine"] = cross_entropy_loss(warped, warp_labels(labels, transform))
    if weights["spatial"]:
        terms["spatial"] = spatial_loss(scores)
    return joint_loss(terms, weights)


def _settle_batch_statistics(network: S3Net, images: Tensor) -> None:
    """Re-estimate the running statistics in one clean pass over the fitted images.

    The running averages gathered during a fit are those of weights that are gone.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network.head(network.encoder(images))
    network.eval()


def variance_explained(images: Tensor, labels: Tensor) -> float:
    """Share of the intensity variance that lies between the clusters (eta squared).

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
    labels : Tensor, (B, H, W)
    """
    values = images.permute(1, 0, 2, 3).flatten(1)
    total = values.var(1, correction=0).sum() * values.shape[1]
    clusters = int(labels.max()) + 1
    sums = values.new_zeros(values.shape[0], clusters)
    sums.index_add_(1, labels.flatten(), values)
    counts = torch.bincount(labels.flatten(), minlength=clusters).clamp(min=1)
    centered = sums / counts - values.mean(1, keepdim=True)
    return float((counts * centered**2).sum() / total)


def best_split_explains(images: Tensor) -> float:
    """Share of the intensity variance that the best threshold explains (Otsu's criterion)."""
    best = 0.0
    for channel in images.unbind(1):
        for threshold in torch.linspace(float(channel.min()), float(channel.max()), 34)[1:-1]:
            labels = (channel > threshold).long()
            best = max(best, variance_explained(images, labels))
    return best

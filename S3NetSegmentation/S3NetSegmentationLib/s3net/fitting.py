"""Fitting a network to the images in front of it (paper, sections 3.2 to 4.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from ..errors import FitError
from ..settings import Settings
from .affine import IDENTITY, random_affine, warp_features, warp_labels
from .losses import cross_entropy_loss, joint_loss, spatial_loss
from .network import S3Net
from .repeated import repeated
from .separation import best_split_explains, variance_explained

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

SEEDING = threading.Lock()
"""Layers draw from torch's one generator, which no other thread may seed meanwhile."""


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
        return self.explained < LEAST_SEPARATION * self.separable


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
        pending = [index for index in pending if best[index] is None or best[index].is_merged]
        if not pending:
            break
    return best


def predict(network: S3Net, images: Tensor) -> Tensor:
    """Scores (B, K, H, W) of images (B, C, H, W), without gradient."""
    with torch.inference_mode():
        return network(images.contiguous(memory_format=_memory_format(images.device, 1)))


def _fit_once(
    stacks: Tensor, settings: Settings, seed: int, separable: Tensor, step
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
    _settle_batch_statistics(running.network, running.images)
    return _fits(running, stacks, settings, seed, separable)


class RunningFit:
    """Networks side by side while they are fitted.

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)
    settings : Settings
    seed : int
        All networks start with the same random parameters.

    Attributes
    ----------
    network : S3Net
    images : Tensor, (B, N * C, H, W)
        The stacks as the network takes them.
    transform : Tensor, (2, 3)
        The affine transform of the next iteration, to be written into.
    best : BestIterates
    """

    def __init__(self, stacks: Tensor, settings: Settings, seed: int):
        self.network = _fresh_networks(stacks, settings, seed)
        images = stacks.transpose(0, 1).flatten(1, 2)
        self.images = images.contiguous(memory_format=_memory_format(stacks.device, len(stacks)))
        self.transform = IDENTITY.to(stacks, copy=True)
        # Where few clusters are the end, the last iterate counts, however early.
        by_count = bool(settings.least_clusters)
        earliest = 0 if by_count else min(EARLIEST_KEPT, settings.iterations - 1)
        self.best = BestIterates(self.network, len(stacks), earliest)
        self._stacks, self._networks = stacks, len(stacks)
        self._settings = settings
        self._optimizer = _optimizer(self.network, settings)

    def iterate(self) -> None:
        """Judge the current iterate and go one step down the losses.

        What it changes, it changes in place, and the host decides nothing on the way.
        """
        labels, losses = self.forward(self.transform)
        clusters, least = self._settings.clusters, self._settings.least_clusters
        if least:
            self.best.keep(self.network)
            few = _present(labels, clusters) <= least
            self.best.settled |= few & (self.best.iteration >= LEAST_ITERATIONS)
        else:
            self.best.offer(self.network, variance_explained(self._stacks, labels, clusters))
        self.best.settled |= ~torch.isfinite(losses)
        self.best.iteration += 1
        self.backward(losses)

    def forward(self, transform: Tensor) -> tuple[Tensor, Tensor]:
        """Cluster maps (N, B, H, W) and losses (N,) of the current iterate."""
        features = self.network.encoder(self.images)
        scores = self.network.head(features)
        labels = _cluster_maps(scores.detach(), self._networks)
        return labels, _losses(self.network, features, scores, labels, transform, self._settings)

    def backward(self, losses: Tensor) -> None:
        """Go one step down the losses."""
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        _clip_offset_gradients(self.network, self._networks)
        self._optimizer.step()


class BestIterates:
    """The iterate of each network whose map explains most, and which networks have settled.

    Everything stays on the device, so that a GPU need not be waited for.

    Parameters
    ----------
    network : S3Net
    networks : int
        How many lie side by side.
    earliest : int
        The first iteration of which the iterate may be kept.

    Attributes
    ----------
    iteration : Tensor
        How many are done.
    settled : Tensor of bool, (networks,)
        Which networks keep what they have.
    """

    def __init__(self, network: S3Net, networks: int, earliest: int):
        any_parameter = next(network.parameters())
        device, dtype = any_parameter.device, any_parameter.dtype
        self.iteration = torch.zeros((), dtype=torch.long, device=device)
        self.settled = torch.zeros(networks, dtype=torch.bool, device=device)
        self._earliest = earliest
        self._explained = torch.full((networks,), -torch.inf, dtype=dtype, device=device)
        self._kept_at = torch.zeros(networks, dtype=torch.long, device=device)
        state = network.state_dict()
        self._state = {name: value.clone() for name, value in state.items() if value.dim()}

    @property
    def exist(self) -> Tensor:
        """Whether an iterate of each network is kept."""
        return self._explained > -torch.inf

    def offer(self, network: S3Net, explained: Tensor) -> None:
        """Keep the current iterate of those networks of which it is the best so far."""
        better = (explained > self._explained) & (self.iteration >= self._earliest) & ~self.settled
        self.settled |= ~better & (self.iteration >= self._kept_at + PATIENCE)
        self._explained.copy_(torch.where(better, explained, self._explained))
        self._kept_at.copy_(torch.where(better, self.iteration, self._kept_at))
        current = network.state_dict()
        for name, kept in self._state.items():
            torch.where(_spread(better, kept), current[name], kept, out=kept)

    def keep(self, network: S3Net) -> None:
        """Keep the current iterate of those networks that have not settled."""
        self.offer(network, self.iteration.expand_as(self._explained).to(self._explained))

    def restore(self, network: S3Net) -> None:
        """Give every network its best iterate."""
        network.load_state_dict(self._state, strict=False)


def _spread(each: Tensor, value: Tensor) -> Tensor:
    """One entry for each network, to be broadcast over a parameter of all of them."""
    shape = [-1] + [1] * (value.dim() - 1)
    return each.repeat_interleave(len(value) // len(each)).view(shape)


def _fits(running, stacks, settings, seed, separable) -> list[Fit | None]:
    """What became of each network; None where it diverged or sees one cluster."""
    networks = len(stacks)
    with torch.inference_mode():
        scores = running.network(running.images)
    labels = _cluster_maps(scores, networks)
    explained = variance_explained(stacks, labels, settings.clusters)
    several = labels.flatten(1).min(1).values < labels.flatten(1).max(1).values
    is_good = (several & running.best.exist).tolist()
    each = scores.unflatten(1, (networks, -1)).unbind(1)
    figures = zip(is_good, each, explained.tolist(), separable.tolist(), strict=True)
    return [
        Fit(*figure, seed, partial(_single, running.network, stacks, index, settings))
        if good
        else None
        for index, (good, *figure) in enumerate(figures)
    ]


def _memory_format(device: torch.device, networks: int) -> torch.memory_format:
    """Channels last is fastest on a CPU; side by side, networks are views channels first."""
    if device.type == "cpu" and networks == 1:
        return torch.channels_last
    return torch.contiguous_format


def _network(inputs: int, settings: Settings, networks: int) -> S3Net:
    return S3Net(
        inputs,
        settings.channels,
        settings.clusters,
        settings.blocks,
        settings.inception,
        settings.deformable,
        networks,
    )


def _fresh_networks(stacks: Tensor, settings: Settings, seed: int) -> S3Net:
    """Networks side by side, all with the same random parameters."""
    networks, inputs = len(stacks), stacks.shape[2]
    with SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(inputs, settings, 1)
    if networks > 1:
        one, network = network.state_dict(), _network(inputs, settings, networks)
        network.load_state_dict(
            {
                name: value.repeat(networks, *[1] * (value.dim() - 1)) if value.dim() else value
                for name, value in one.items()
            }
        )
    network = network.to(stacks.device, stacks.dtype)
    return network.to(memory_format=_memory_format(stacks.device, networks)).train()


def _single(network: S3Net, stacks: Tensor, index: int, settings: Settings) -> S3Net:
    """One of the networks that lie side by side, for itself."""
    networks = len(stacks)
    if networks == 1:
        return network
    single = _network(stacks.shape[2], settings, 1).to(stacks.device, stacks.dtype)
    single.load_state_dict(
        {
            name: value.chunk(networks)[index] if value.dim() else value
            for name, value in network.state_dict().items()
        }
    )
    return single.to(memory_format=_memory_format(stacks.device, 1)).eval()


def _cluster_maps(scores: Tensor, networks: int) -> Tensor:
    """Clusters (N, B, H, W) of the scores (B, N * K, H, W)."""
    return scores.unflatten(1, (networks, -1)).argmax(2).transpose(0, 1)


def _present(labels: Tensor, clusters: int) -> Tensor:
    """How many clusters each of the maps (N, B, H, W) has, (N,)."""
    found = labels.new_zeros(len(labels), clusters)
    return found.scatter_(1, labels.flatten(1), 1).sum(1)


def _optimizer(network: S3Net, settings: Settings) -> torch.optim.Optimizer:
    offsets = network.offset_parameters()
    ids = {id(parameter) for parameter in offsets}
    others = [parameter for parameter in network.parameters() if id(parameter) not in ids]
    groups = [{"params": others}]
    if offsets:
        groups.append({"params": offsets, "lr": settings.learning_rate * settings.offset_rate})
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)


def _losses(network, features, scores, labels, transform, settings: Settings) -> Tensor:
    """The joint loss of each network (paper, equation 7); a term of weight 0 is not computed."""
    networks = len(labels)
    weights = {
        "cross_entropy": settings.weight_cross_entropy,
        "affine": settings.weight_affine,
        "spatial": settings.weight_spatial,
    }

    def by_image(maps: Tensor) -> Tensor:
        # Reshaped for nothing, the gradients of a single image would lose their memory format.
        if networks == 1:
            return maps
        return maps.unflatten(1, (networks, -1)).flatten(0, 1)

    labels = labels.transpose(0, 1).flatten(0, 1)
    terms = {}
    if weights["cross_entropy"]:
        terms["cross_entropy"] = cross_entropy_loss(by_image(scores), labels)
    if weights["affine"]:
        warped = network.auxiliary_head(warp_features(features, transform))
        terms["affine"] = cross_entropy_loss(by_image(warped), warp_labels(labels, transform))
    if weights["spatial"]:
        terms["spatial"] = spatial_loss(by_image(scores))
    return joint_loss(terms, weights).unflatten(0, (-1, networks)).mean(0)


def _clip_offset_gradients(network: S3Net, networks: int) -> None:
    """Scale the gradient of each network's offset predictor to the largest norm, at most."""
    gradients = [parameter.grad for parameter in network.offset_parameters()]
    if not gradients:
        return
    squares = [gradient.unflatten(0, (networks, -1)).flatten(1).square() for gradient in gradients]
    norm = torch.cat(squares, 1).sum(1).sqrt()
    scale = (OFFSET_GRADIENT / (norm + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(_spread(scale, gradient))


def _settle_batch_statistics(network: S3Net, images: Tensor) -> None:
    """Re-estimate the running statistics in one clean pass over the fitted images.

    The running averages gathered during a fit are those of weights that are gone.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = 1.0  # of one pass, nothing is averaged
    with torch.no_grad():
        network.head(network.encoder(images))
    network.eval()

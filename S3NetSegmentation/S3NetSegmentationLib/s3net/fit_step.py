"""One iteration of a fit: cluster maps, losses, and a step of SGD (paper, 3.2 to 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from .affine_transform import IDENTITY, warp_features, warp_labels
from .best_iterate import BestIterates
from .ensemble import broadcast, cluster_maps, memory_format, new_ensemble
from .explained_variance import variance_explained
from .losses import cross_entropy_loss, joint_loss, spatial_loss
from .network import S3Net
from .settings import NetworkSettings

EARLIEST_KEPT = 2
"""Iterations before an iterate may be kept: the first maps are those of a random network."""

MOMENTUM = 0.9
"""Of SGD (paper, section 4.1)."""

OFFSET_RATE = 0.01
"""Learning rate of the predicted offsets, as a share of that of the rest: at the full rate the
fit diverges."""

MAX_OFFSET_GRADIENT = 1.0
"""Largest norm of the gradient of the offset predictor; without it, the offsets diverge."""


class FitState:
    """An ensemble of networks while it is fitted.

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)
    settings : NetworkSettings
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

    def __init__(self, stacks: Tensor, settings: NetworkSettings, seed: int):
        self.network = new_ensemble(stacks, settings, seed)
        images = stacks.transpose(0, 1).flatten(1, 2)
        self.images = images.contiguous(memory_format=memory_format(stacks.device, len(stacks)))
        self.transform = IDENTITY.to(stacks, copy=True)
        earliest = min(EARLIEST_KEPT, settings.iterations - 1)
        self.best = BestIterates(self.network, len(stacks), earliest)
        self._stacks, self._networks = stacks, len(stacks)
        self._settings = settings
        self._descent = Descent(self.network, settings.learning_rate)

    def iterate(self) -> None:
        """Evaluate the current iterate and take one step of gradient descent.

        Everything is changed in place, and the host makes no decision on the way.
        """
        labels, losses = self.forward(self.transform)
        explained = variance_explained(self._stacks, labels, self._settings.clusters)
        self.best.offer(self.network, explained)
        self.best.settled |= ~torch.isfinite(losses)
        self.best.iteration += 1
        self.backward(losses)

    def forward(self, transform: Tensor) -> tuple[Tensor, Tensor]:
        """Cluster maps (N, B, H, W) and losses (N,) of the current iterate."""
        features = self.network.encoder(self.images)
        scores = self.network.head(features)
        labels = cluster_maps(scores.detach(), self._networks)
        return labels, _losses(self.network, features, scores, labels, transform, self._settings)

    def backward(self, losses: Tensor) -> None:
        """Go one step down the losses."""
        self.network.zero_grad(set_to_none=True)
        losses.sum().backward()
        _clip_offset_gradients(self.network, self._networks)
        self._descent.step()


def _losses(
    network: S3Net,
    features: Tensor,
    scores: Tensor,
    labels: Tensor,
    transform: Tensor,
    settings: NetworkSettings,
) -> Tensor:
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


class Descent:
    """SGD with momentum (paper, section 4.1), as `torch.optim.SGD` computes it.

    Making an optimizer of torch loads its compiler, which takes 4 seconds and 150 MB and is not
    used here.

    Parameters
    ----------
    network : S3Net
    learning_rate : float
        Of all parameters but those of the offsets, see `OFFSET_RATE`.
    """

    def __init__(self, network: S3Net, learning_rate: float):
        offsets = {id(parameter) for parameter in network.offset_parameters()}
        self._parameters = list(network.parameters())
        self._velocities = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._rates = [
            learning_rate * (OFFSET_RATE if id(parameter) in offsets else 1)
            for parameter in self._parameters
        ]

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by their gradients."""
        steps = zip(self._parameters, self._velocities, self._rates, strict=True)
        for parameter, velocity, rate in steps:
            # A loss that is left out leaves the parameters of its head without a gradient.
            if parameter.grad is not None:
                velocity.mul_(MOMENTUM).add_(parameter.grad)
                parameter.add_(velocity, alpha=-rate)


def _clip_offset_gradients(network: S3Net, networks: int) -> None:
    """Scale the gradient of each network's offset predictor to the largest norm, at most."""
    parameters = network.offset_parameters()
    # The affine term alone does not depend on them, so they have no gradient then.
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    squares = [gradient.unflatten(0, (networks, -1)).flatten(1).square() for gradient in gradients]
    norm = torch.cat(squares, 1).sum(1).sqrt()
    scale = (MAX_OFFSET_GRADIENT / (norm + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(broadcast(scale, gradient))


def settle_batch_statistics(network: S3Net, images: Tensor) -> None:
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

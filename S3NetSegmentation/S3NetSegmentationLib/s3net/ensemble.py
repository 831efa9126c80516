"""An ensemble: independent networks side by side in one, made alike and taken apart."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from .network import S3Net
from .settings import NetworkSettings

_RNG_LOCK = threading.Lock()
"""Layers draw from torch's global generator, which no other thread may seed meanwhile."""


def new_ensemble(stacks: Tensor, settings: NetworkSettings, seed: int) -> S3Net:
    """Networks side by side, all with the same random parameters.

    Parameters
    ----------
    stacks : Tensor, (N, B, C, H, W)
        What the N networks are fitted to.
    settings : NetworkSettings
    seed : int
        Of the parameters.

    Returns
    -------
    S3Net
        On the device of the stacks, in training mode.
    """
    networks, inputs = len(stacks), stacks.shape[2]
    network = _network(inputs, settings, 1, seed)
    if networks > 1:
        one, network = network.state_dict(), _network(inputs, settings, networks, seed)
        network.load_state_dict(
            {
                name: value.repeat(networks, *[1] * (value.dim() - 1)) if value.dim() else value
                for name, value in one.items()
            }
        )
    network = network.to(stacks.device, stacks.dtype)
    return network.to(memory_format=memory_format(stacks.device, networks)).train()


def extract_network(
    ensemble: S3Net, stacks: Tensor, index: int, settings: NetworkSettings
) -> S3Net:
    """One network of an ensemble.

    Parameters
    ----------
    ensemble : S3Net
        From `new_ensemble`.
    stacks : Tensor, (N, B, C, H, W)
    index : int
        Which one, from 0.
    settings : NetworkSettings

    Returns
    -------
    S3Net
        In evaluation mode.
    """
    networks = len(stacks)
    if networks == 1:
        return ensemble
    single = _network(stacks.shape[2], settings, 1, 0).to(stacks.device, stacks.dtype)
    single.load_state_dict(
        {
            name: value.chunk(networks)[index] if value.dim() else value
            for name, value in ensemble.state_dict().items()
        }
    )
    return single.to(memory_format=memory_format(stacks.device, 1)).eval()


def _network(inputs: int, settings: NetworkSettings, networks: int, seed: int) -> S3Net:
    with _RNG_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return S3Net(
            inputs,
            settings.channels,
            settings.clusters,
            inception=settings.inception,
            deformable=settings.deformable,
            networks=networks,
        )


def memory_format(device: torch.device, networks: int) -> torch.memory_format:
    """Channels last is fastest on a CPU; the networks of an ensemble are views channels first."""
    if device.type == "cpu" and networks == 1:
        return torch.channels_last
    return torch.contiguous_format


def cluster_maps(scores: Tensor, networks: int) -> Tensor:
    """Clusters (N, B, H, W) of the scores (B, N * K, H, W)."""
    return scores.unflatten(1, (networks, -1)).argmax(2).transpose(0, 1)


def broadcast(each: Tensor, value: Tensor) -> Tensor:
    """One entry for each network, in the shape that broadcasts over a parameter of all of them."""
    shape = [-1] + [1] * (value.dim() - 1)
    return each.repeat_interleave(len(value) // len(each)).view(shape)

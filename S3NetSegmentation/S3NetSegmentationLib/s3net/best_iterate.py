"""The best iterate of each network in an ensemble, and which networks are done."""

from __future__ import annotations

import torch
from torch import Tensor

from .ensemble import broadcast
from .network import S3Net

PATIENCE_ITERATIONS = 5
"""Iterations without a better map before a fit ends: past its best, a map only coarsens."""


class BestIterates:
    """The iterate of each network whose map explains most, and which networks are settled.

    Everything stays on the device, so the host never waits for a GPU.

    Parameters
    ----------
    network : S3Net
    networks : int
        How many the ensemble has.
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
    def has_iterate(self) -> Tensor:
        """Whether an iterate of each network is kept."""
        return self._explained > -torch.inf

    def offer(self, network: S3Net, explained: Tensor) -> None:
        """Keep the current iterate of those networks of which it is the best so far."""
        better = (explained > self._explained) & (self.iteration >= self._earliest) & ~self.settled
        self.settled |= ~better & (self.iteration >= self._kept_at + PATIENCE_ITERATIONS)
        self._explained.copy_(torch.where(better, explained, self._explained))
        self._kept_at.copy_(torch.where(better, self.iteration, self._kept_at))
        current = network.state_dict()
        for name, kept in self._state.items():
            torch.where(broadcast(better, kept), current[name], kept, out=kept)

    def restore(self, network: S3Net) -> None:
        """Give every network its best iterate."""
        network.load_state_dict(self._state, strict=False)

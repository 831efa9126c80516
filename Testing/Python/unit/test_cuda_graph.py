"""An iteration that is recorded once and repeated is the same as one that is done anew."""

from dataclasses import replace

import pytest
import torch
from S3NetSegmentationLib.s3net.affine_transform import random_affine
from S3NetSegmentationLib.s3net.fast.cuda_graph import WARM_UP, graphed
from S3NetSegmentationLib.s3net.fit_step import FitState
from S3NetSegmentationLib.settings import Settings
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SMALL = Settings(channels=6, clusters=7)
ITERATIONS = 14


class Recording(TorchDispatchMode):
    """What a graph of CUDA is, on any device: operations, and where their operands lie.

    Whatever else the host had in hand when it was recorded, it has again each time.
    """

    def __init__(self):
        super().__init__()
        self._operations = []

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        options = options or {}
        results = operation(*arguments, **options)
        assert operation is not torch.ops.aten._local_scalar_dense.default, "the host waits"
        self._operations.append((operation, arguments, options, results))
        return results

    @torch.no_grad()
    def replay(self):
        for operation, arguments, options, results in self._operations:
            again = operation(*arguments, **options)
            for old, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old is not new:
                    old.copy_(new)


def disks(networks):
    """For each network two pictures of disks, (networks, 2, 1, 24, 30)."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(30.0), indexing="ij")
    radii = torch.arange(4.0, 4 + 2 * networks).view(-1, 1, 1)
    noise = torch.randn(networks, 2, 24, 30, generator=torch.Generator().manual_seed(0))
    images = torch.where(torch.hypot(y - 12, x - 12) < radii, -1.0, 0.5)
    return (images.view(networks, 2, 24, 30) + 0.1 * noise).unsqueeze(2)


def run(fit_state, iterate):
    generator = torch.Generator().manual_seed(3)
    for _ in range(ITERATIONS):
        fit_state.transform.copy_(random_affine(generator))
        iterate()


def state(fit_state):
    """All that a fit has come to; its network is the best iterate then."""
    network, best = fit_state.network, fit_state.best
    last = {f"last {name}": value.clone() for name, value in network.state_dict().items()}
    best.restore(network)
    return {
        **last,
        **network.state_dict(),
        "iteration": best.iteration,
        "settled": best.settled,
    }


@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("change", [{}, {"deformable": False}])
def test_recorded_once_and_repeated_it_is_the_same_fit(networks, change):
    settings, stacks = replace(SMALL, **change), disks(networks)
    anew, repeating = (FitState(stacks, settings, 0) for _ in range(2))
    run(anew, anew.iterate)

    recording, calls = Recording(), []

    def iterate():
        calls.append(len(calls))
        if len(calls) <= WARM_UP:
            repeating.iterate()
        elif len(calls) == WARM_UP + 1:
            with recording:
                repeating.iterate()
        else:
            recording.replay()

    run(repeating, iterate)
    expected = state(anew)
    for name, value in state(repeating).items():
        assert torch.equal(value, expected[name]), name
    assert int(repeating.best.iteration) == ITERATIONS


def test_on_the_cpu_there_is_nothing_to_record():
    fit_state = FitState(disks(1), SMALL, 0)
    with graphed(fit_state.iterate, torch.device("cpu")) as iterate:
        assert iterate == fit_state.iterate

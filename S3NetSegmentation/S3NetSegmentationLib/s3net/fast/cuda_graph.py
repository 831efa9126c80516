"""An iteration as a CUDA graph.

An iteration launches a thousand small kernels. For small images, launching them takes longer than
running them. CUDA can record them as a graph and replay it with a single launch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch.torch_version import TorchVersion

WARM_UP = 3
"""Times the work is done kernel by kernel first, in which libraries set themselves up."""


@contextmanager
def graphed(work: Callable[[], None], device: torch.device) -> Iterator[Callable[[], None]]:
    """Work to be repeated; after a few times a CUDA graph where the GPU would wait for the host.

    Parameters
    ----------
    work : callable
        Its inputs and outputs are tensors that stay in place, and it makes no decision by their
        values. Everything else keeps the value that it has when recorded.
    device : torch.device

    Yields
    ------
    callable
    """
    if device.type != "cuda" or not operators_follow_streams():
        yield work
        return
    replayed = _Graphed(work, device)
    try:
        yield replayed
    finally:
        replayed.close()


def operators_follow_streams() -> bool:
    """Whether torchvision's operators run on the stream that torch works on.

    Before 0.29, its deformable convolution runs on the default stream whatever the current one.
    Work on another stream does not wait for it, and a graph lacks it.
    """
    from torchvision import __version__

    return TorchVersion(__version__) >= "0.29"


@lru_cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream for the work, since nothing can be recorded on the default stream.

    All fits share one, because the matrix library keeps some memory for each stream.
    """
    return torch.cuda.Stream(device)


class _Graphed:
    """Work that is recorded after a warm-up; where it can't be, it is done kernel by kernel."""

    def __init__(self, work: Callable[[], None], device: torch.device):
        self._work = work
        self._stream = _side_stream(device)
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                if self._graph is None:
                    self._launch_each()
                else:
                    self._graph.replay()
        finally:
            # Where the memory ran out, too: what was handed out before still uses the rest of it.
            current.wait_stream(self._stream)

    def _launch_each(self) -> None:
        start = time.perf_counter()
        self._work()
        self._calls += 1
        if self._calls == WARM_UP:
            handed_out = time.perf_counter()
            self._stream.synchronize()
            # Where most of the time goes by in the GPU, a graph would speed up nothing, and it has
            # memory of its own.
            if time.perf_counter() - handed_out < handed_out - start:
                self._graph = self._record()

    def _record(self) -> torch.cuda.CUDAGraph | None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._work()
        except RuntimeError:  # for lack of memory, or of support by an operator or the driver
            return None
        return graph

    def close(self) -> None:
        """Give the memory of the graph back."""
        if self._graph is not None:
            self._stream.synchronize()
            self._graph = None
            torch.cuda.empty_cache()

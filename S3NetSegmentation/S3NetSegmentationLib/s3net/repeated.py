"""The same work again and again, which a GPU does without being told each time.

An iteration is a thousand small pieces of work. Where the images are small, to hand them to a GPU
one by one takes longer than to do them. CUDA can record them as a graph and repeat it at a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch.torch_version import TorchVersion

WARM_UP = 3
"""Times the work is done piece by piece first: libraries set themselves up, and the optimizer
makes its tensors."""


@contextmanager
def repeated(work: Callable[[], None], device: torch.device) -> Iterator[Callable[[], None]]:
    """The same work, quicker after a few times where a CUDA GPU would wait for the host.

    Parameters
    ----------
    work : callable
        What it reads and what it leaves behind are tensors that stay where they are, and it
        decides nothing by their values. Whatever else it sees stays as it is when recorded.
    device : torch.device

    Yields
    ------
    callable
    """
    if device.type != "cuda" or not operators_follow_streams():
        yield work
        return
    recorded = _Recorded(work, device)
    try:
        yield recorded
    finally:
        recorded.close()


def operators_follow_streams() -> bool:
    """Whether torchvision's operators run on the stream that torch works on.

    Before 0.29, its deformable convolution runs on the default stream whatever the current one.
    Work on another stream does not wait for it, and a graph lacks it.
    """
    from torchvision import __version__

    return TorchVersion(__version__) >= "0.29"


@lru_cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Where the work is done, as on the default stream nothing can be recorded.

    One for all fits: on each that was used, the library for matrices holds on to some memory.
    """
    return torch.cuda.Stream(device)


class _Recorded:
    """Work that is recorded after a warm-up; where it can't be, it is done piece by piece."""

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
                    self._do_piece_by_piece()
                else:
                    self._graph.replay()
        finally:
            # Where the memory ran out, too: what was handed out before still uses the rest of it.
            current.wait_stream(self._stream)

    def _do_piece_by_piece(self) -> None:
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

"""The same work again and again, which a GPU does without being told each time.

An iteration is some thousand small pieces of work, and to hand them to a fast GPU one by one takes
longer than to do them. CUDA records them once, as a graph, and repeats them at a single word.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

WARM_UP = 3
"""Times the work is done piece by piece first: libraries set themselves up, and the optimizer
makes its tensors."""


def repeated(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """The same work, quicker the more often it is called where the device is a CUDA GPU.

    Parameters
    ----------
    work : callable
        What it reads and what it leaves behind are tensors that stay where they are, and it
        decides nothing by their values. Whatever else it sees is as it was when recorded.
    device : torch.device
    """
    return _Recorded(work, device) if device.type == "cuda" else work


class _Recorded:
    """Work that is recorded after a warm-up; where it can't be, it is done piece by piece."""

    def __init__(self, work: Callable[[], None], device: torch.device):
        self._work = work
        # Not on the default stream, on which nothing can be recorded.
        self._stream = torch.cuda.Stream(device)
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            if self._calls == WARM_UP:
                self._graph = self._record()
            self._calls += 1
            if self._graph is None:
                self._work()
            else:
                self._graph.replay()
        current.wait_stream(self._stream)

    def _record(self) -> torch.cuda.CUDAGraph | None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._work()
        except RuntimeError:  # for lack of memory, or of support by an operator or the driver
            return None
        return graph

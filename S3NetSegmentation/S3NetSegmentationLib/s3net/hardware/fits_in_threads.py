"""Small fits in threads of a CPU.

A network for a single slice is too small to keep several cores busy: after each of a thousand
small operations they wait for one another. Fits that share nothing don't.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from itertools import islice
from threading import Event

import torch
from torch import Tensor

from ..fit import Fit, OnStep, fit_ensemble
from ..settings import NetworkSettings

POLL_SECONDS = 0.1
"""Interval at which progress is reported and cancellation checked while no fit ends."""


def fit_in_threads(
    images: Tensor, settings: NetworkSettings, at_once: int, on_step: OnStep
) -> Iterator[Fit | None]:
    """Fit an independent network to each image, several at the same time.

    They share the threads that torch has now.

    Parameters
    ----------
    images, settings, on_step
        As for `parallel_fits.fit_each`.
    at_once : int
        How many fits.

    Yields
    ------
    Fit or None
        For each image the result of `fit`; None if it would raise an error.
    """
    threads = torch.get_num_threads()
    stop = Event()

    def fit(image: Tensor) -> Fit | None:
        (found,) = fit_ensemble(image.unsqueeze(1), settings, check_stop)
        return found

    def check_stop(done: int, total: int) -> None:
        if stop.is_set():
            raise CancelledError

    pool = ThreadPoolExecutor(
        at_once, initializer=torch.set_num_threads, initargs=(max(1, threads // at_once),)
    )
    rest = iter(images.split(1))
    # What has ended waits for its turn; more than a few would take memory.
    pending = deque(pool.submit(fit, image) for image in islice(rest, 2 * at_once))
    done = 0
    try:
        while pending:
            on_step(done, len(images))
            if _has_ended(pending[0]):
                ended = pending.popleft()
                pending.extend(pool.submit(fit, image) for image in islice(rest, 1))
                yield ended.result()
                done += 1
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what a thread sets counts for those that start later


def _has_ended(future: Future) -> bool:
    return bool(wait([future], POLL_SECONDS).done)

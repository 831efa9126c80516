"""Processes that wait for another task, because it takes seconds to start one and load torch.

Like every process of a job, they end with their parent at the latest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from .process import WorkerProcess
from .protocol import Task

IDLE_SECONDS = 300.0
"""How long a process is kept for another task. It holds some 370 MB."""

_lock = threading.Lock()
_idle: dict[WorkerProcess, threading.Timer] = {}
"""Never more than have worked at the same time."""


def process_for(
    task: Task, folder: Path | None = None, threads: int | None = None
) -> WorkerProcess:
    """A process that does a task, as for `WorkerProcess`: an idle one if there is any."""
    while process := _take(lambda each: each.suits(threads)):
        if process.begin(task, folder):
            return process
        process.stop()  # it was killed for lack of memory, say
    return WorkerProcess(task, folder, threads)


def keep(process: WorkerProcess) -> None:
    """Keep a process that has been released for another task, but not for ever."""
    timer = threading.Timer(IDLE_SECONDS, _end, [process])
    timer.daemon = True
    with _lock:
        _idle[process] = timer
    timer.start()


def end_idle() -> None:
    """End all idle processes now."""
    while process := _take(lambda each: True):
        process.stop()


def _end(process: WorkerProcess) -> None:
    if _take(lambda each: each is process):
        process.stop()


def _take(wanted: Callable[[WorkerProcess], bool]) -> WorkerProcess | None:
    with _lock:
        process = next(filter(wanted, _idle), None)
        if process:
            _idle.pop(process).cancel()
        return process

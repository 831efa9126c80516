"""Run the scans of a batch on this machine or on a Dask cluster, with one interface."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pkgutil import resolve_name
from queue import SimpleQueue
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import InputError
from ..jobs.idle import end_idle
from ..progress import Progress
from .attempts import run_scan
from .records import ScanTask

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 20
"""Time to wait for a scheduler's answer, and for its first worker; not measured."""

ADDRESS = re.compile(r"(\w+://)?[^\s/]+:\d{1,5}/?")
"""Protocol, machine, and port of a scheduler."""

Submit = Callable[[ScanTask], Future]
"""Starts a scan when there is room; the future yields its record."""

OnScanProgress = Callable[[str, Progress], None]
"""Receives a scan's name and progress, from any thread."""


@contextmanager
def on_this_machine(jobs: int, on_scan_progress: OnScanProgress) -> Iterator[Submit]:
    """Run scans here.

    Parameters
    ----------
    jobs : int
        How many run at once; they share the cores, and each uses its own GPU.
    on_scan_progress : callable
    """
    threads = max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None
    pool = ThreadPoolExecutor(jobs)
    lanes: SimpleQueue[int] = SimpleQueue()
    for lane in range(jobs):
        lanes.put(lane)

    def run(task: ScanTask) -> dict:
        lane = lanes.get()
        try:
            return run_scan(
                replace(task, threads=threads, lane=lane), partial(on_scan_progress, task.name)
            )
        finally:
            lanes.put(lane)

    try:
        yield lambda task: pool.submit(run, task)
    finally:
        pool.shutdown(cancel_futures=True)
        end_idle()


@contextmanager
def on_cluster(address: str, on_scan_progress: OnScanProgress) -> Iterator[Submit]:
    """Run scans on the workers of a Dask scheduler, which see the same files.

    If a worker is lost, Dask gives its scans to another one.

    Parameters
    ----------
    address : str
        Address of the scheduler, for example ``"tcp://node1:8786"``.
    on_scan_progress : callable

    Raises
    ------
    InputError
        If dask.distributed is not installed, the scheduler does not answer or has no workers, or
        it or a worker has another version of this program.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "A cluster needs Dask; install it with: pip install distributed"
        ) from error
    try:
        if not ADDRESS.fullmatch(address):  # Dask would look for it forever
            raise ValueError
        # Check first: a client that found no scheduler can block a later one when it is deleted.
        with ThreadPoolExecutor(1) as thread:  # the caller's thread may run an event loop
            thread.submit(_identify, address).result()
        client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except Exception as error:  # Dask raises many kinds of errors without one
        raise InputError(
            f"There is no Dask scheduler at '{address}'; start one and give its address, like "
            "tcp://node1:8786."
        ) from error
    # It would print tracebacks when a connection is lost, which the records report in a sentence.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    topic = f"s3net-{uuid.uuid4().hex}"

    def on_event(event: tuple[float, tuple[str, dict]]) -> None:
        name, progress = event[1]
        on_scan_progress(name, Progress(**progress))

    with client:
        _wait_for_a_worker(client, address)
        _check_versions(client)
        client.subscribe_topic(topic, on_event)
        executor = client.get_executor(pure=False)
        yield lambda task: executor.submit(_run_on_worker, task, topic)
        executor.shutdown(wait=False)


def _identify(address: str) -> None:
    """Ask a scheduler for its identity."""
    from distributed import rpc

    async def ask() -> None:
        async with rpc(address, timeout=ANSWER_SECONDS) as scheduler:
            await scheduler.identity()

    asyncio.run(asyncio.wait_for(ask(), ANSWER_SECONDS))


def _wait_for_a_worker(client: Client, address: str) -> None:
    """Refuse a scheduler without workers; the batch would wait forever."""
    from distributed import TimeoutError as NoWorker

    try:
        client.wait_for_workers(1, timeout=ANSWER_SECONDS)
    except NoWorker as error:
        raise InputError(
            f"The Dask scheduler at '{address}' has no workers; start one on each machine with: "
            f"dask worker {address} --nthreads 1"
        ) from error


def _check_versions(client: Client) -> None:
    """Refuse machines with another version of this program, or without it."""
    name = f"{__package__.partition('.')[0]}:__version__"
    try:
        found = {client.run_on_scheduler(resolve_name, name)}
        found.update(client.run(resolve_name, name).values())
    except ImportError:
        found = {None}
    if found != {__version__}:
        raise InputError(
            "The Dask scheduler and its workers need this version of the program; install "
            f"s3net {__version__} where they run."
        )


def _run_on_worker(task: ScanTask, topic: str) -> dict:
    from distributed import get_worker

    worker = get_worker()
    try:
        return run_scan(task, lambda done: worker.log_event(topic, (task.name, asdict(done))))
    finally:
        end_idle()  # others may need the memory of this machine

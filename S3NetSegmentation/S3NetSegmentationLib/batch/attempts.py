"""Start and watch the process of one scan of a batch, and retry it."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from ..errors import S3NetError
from ..jobs.idle import end_idle
from ..jobs.job import Job, JobDied, JobFailed, OnProgress, wait_for
from ..jobs.protocol import write_job
from ..progress import Progress
from .one_scan import describe_job, segment_scan
from .records import GONE, UNFINISHED, ScanTask, is_running, publish
from .words import FAILED

MAX_ATTEMPTS = 3
"""Attempts for a scan whose process was killed or crashed: one retry for bad luck, another for a
machine short of memory."""

MAX_SILENCE_SECONDS = 1800.0
"""A process without progress for this long counts as hung: the longest silence is the loading of a
scan, minutes on a slow network drive. Not measured."""


class _Died(Exception):
    """The process ended without a message, or hung; another attempt may help."""


def run_scan(task: ScanTask, on_progress: OnProgress = lambda progress: None) -> dict:
    """Segment one scan in another process and put its outputs into place.

    After a crash, a kill, or a hang, the scan is started again, up to `MAX_ATTEMPTS` times. It
    stops when the folder of the run vanishes.

    Parameters
    ----------
    task : ScanTask
    on_progress : callable, optional
        Receives the scan's `Progress`.

    Returns
    -------
    dict
        The scan's record. The record of a failure is not written yet.
    """
    start = time.monotonic()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return _attempt(task, attempt, on_progress)
        except _Died as died:
            reason = str(died)
            end_idle()  # it may have been for lack of memory, which they hold
        except JobFailed as error:
            return _failed(task, str(error), attempt, start, details=error.details)
        except S3NetError as error:
            return _failed(task, str(error), attempt, start)
        except OSError as error:
            reason = (
                f"The output folder '{task.output}' can't be written to ({error.strerror}); check "
                "that it is still there, its path is not too long, and its disk is not full."
            )
            return _failed(task, reason, attempt, start)
    return _failed(task, f"{reason} (tried {MAX_ATTEMPTS} times).", MAX_ATTEMPTS, start)


def _attempt(task: ScanTask, attempt: int, on_progress: OnProgress) -> dict:
    start = time.monotonic()
    folder = task.output / UNFINISHED / task.run / f"{task.name}-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except FileNotFoundError as error:
        if is_running(task):  # the path is too long for Windows
            raise
        raise S3NetError(GONE) from error
    try:
        write_job(folder, describe_job(task))
        outcome = _watch(task, folder, on_progress)
        outcome["warnings"] = [*task.notes, *outcome.get("warnings", ())]
        record = task.record(
            outcome.pop("status"),
            **_without_paths(outcome, task),
            attempts=attempt,
            seconds=round(time.monotonic() - start, 2),
        )
        publish(task, record, folder)
        return record
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(task: ScanTask, folder: Path, on_progress: OnProgress) -> dict:
    """Wait for the result of a scan's process.

    Raises
    ------
    JobFailed
        If it reports why the scan failed.
    S3NetError
        If the folder is gone.
    _Died
        If it reports nothing.
    """
    last = time.monotonic()

    def note(progress: Progress) -> None:
        nonlocal last
        last = time.monotonic()
        on_progress(progress)

    def check() -> None:
        if not folder.is_dir():
            raise S3NetError(GONE)
        if time.monotonic() - last > MAX_SILENCE_SECONDS:
            raise _Died("The process of this scan made no progress for a long time")

    job = Job(segment_scan, folder, threads=task.threads)
    try:
        return wait_for(job, on_progress=note, on_idle=check)
    except JobDied as died:
        raise _Died(f"The process of this scan ended unexpectedly {died.reason}") from died
    except JobFailed:
        check()  # without its folder, the process can't report what is wrong
        raise


def _failed(task: ScanTask, reason: str, attempts: int, start: float, details: str = "") -> dict:
    return task.record(
        FAILED,
        error=_without_paths(reason, task),
        details=_without_paths(details, task),
        attempts=attempts,
        seconds=round(time.monotonic() - start, 2),
    )


def _without_paths(value: Any, task: ScanTask) -> Any:
    """Replace paths and file names by the scan's name, unless they are not private.

    They often reveal who the patient is.
    """
    if not task.private:
        return value
    if isinstance(value, dict):
        return {key: _without_paths(each, task) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_paths(each, task) for each in value]
    if not isinstance(value, str):
        return value
    for path in task.paths:
        value = value.replace(f"'{path.name}'", f"'{task.name}'")
        # On Windows, Python's messages double the backslashes, and ITK's use slashes.
        for spelled in (str(path), repr(str(path))[1:-1], path.as_posix()):
            value = value.replace(spelled, task.name)
    return value

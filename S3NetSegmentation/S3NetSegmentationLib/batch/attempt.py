"""One scan of a batch, from the batch's side: its process is started, watched and tried again."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import S3NetError
from ..process import WorkerProcess
from ..progress import Progress
from ..worker import JOB
from .records import FAILED, GONE, UNFINISHED, Task, is_running, publish
from .work import describe_job

ATTEMPTS = 3
"""How often a scan is begun whose process was killed or crashed."""

SILENCE = 1800.0
"""Seconds without progress after which a process counts as hanging."""


class _Failed(S3NetError):
    """The process said why it failed."""

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.details = details


class _Died(Exception):
    """The process ended without a word."""


def run_scan(task: Task, heard: Callable[[Progress], None] = lambda progress: None) -> dict:
    """Segment one scan in a process of its own and put its outputs into place.

    A crash, a kill or a hang costs nothing but the time: the scan is begun again, at most
    `ATTEMPTS` times. When the folder of the run vanishes, it stops.

    Parameters
    ----------
    task : Task
    heard : callable, optional
        Receives the scan's `Progress`.

    Returns
    -------
    dict
        The scan's record. That of a failure is not yet written.
    """
    start = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(task, attempt, heard)
        except _Died as died:
            reason = str(died)
        except _Failed as error:
            return _failed(task, str(error), attempt, start, details=error.details)
        except S3NetError as error:
            return _failed(task, str(error), attempt, start)
        except OSError as error:
            reason = (
                f"The output folder '{task.output}' can't be written to ({error.strerror}); check "
                "that it is still there, its path not too long, and its disk not full."
            )
            return _failed(task, reason, attempt, start)
    return _failed(task, f"{reason} (tried {ATTEMPTS} times).", ATTEMPTS, start)


def _attempt(task: Task, attempt: int, heard: Callable[[Progress], None]) -> dict:
    start = time.monotonic()
    folder = task.output / UNFINISHED / task.run / f"{task.name}-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except FileNotFoundError as error:
        if is_running(task):  # the path is too long for Windows
            raise
        raise S3NetError(GONE) from error
    try:
        job = describe_job(task)
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        outcome = _watch(task, folder, heard)
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


def _watch(task: Task, folder: Path, heard: Callable[[Progress], None]) -> dict:
    """What the process of a scan says at its end.

    Raises
    ------
    _Failed
        If it says why the scan failed.
    S3NetError
        If the folder is gone.
    _Died
        If it says nothing.
    """
    process = WorkerProcess("--scan", str(folder), threads=task.threads)
    last_heard = time.monotonic()
    try:
        while process.running:
            for message in process.messages():
                event = message.pop("event")
                if event == "progress":
                    last_heard = time.monotonic()
                    heard(Progress(**message))
                elif event == "failed":
                    raise _Failed(message["message"], message["details"])
                elif event == "finished":
                    return message["outcome"]
            if not folder.is_dir():
                raise S3NetError(GONE)
            if time.monotonic() - last_heard > SILENCE:
                raise _Died("The process of this scan did nothing for a long time")
            time.sleep(0.05)
        raise _Died(
            f"The process of this scan ended unexpectedly (code {process.exit_code}), most likely "
            "for lack of memory"
        )
    finally:
        process.stop()


def _failed(task: Task, reason: str, attempts: int, start: float, details: str = "") -> dict:
    return task.record(
        FAILED,
        error=_without_paths(reason, task),
        details=_without_paths(details, task),
        attempts=attempts,
        seconds=round(time.monotonic() - start, 2),
    )


def _without_paths(value: Any, task: Task) -> Any:
    """The same with the scan's name instead of paths and file names, unless they are no secret.

    They often tell who the patient is.
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
        # Python's errors double the backslashes of Windows, and ITK's turn them round.
        for spelled in (str(path), repr(str(path))[1:-1], path.as_posix()):
            value = value.replace(spelled, task.name)
    return value

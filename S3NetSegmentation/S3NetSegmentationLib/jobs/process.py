"""A child process with the same Python, whose messages are read without ever waiting."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..io.files import new_temporary_folder
from .protocol import TEMPORARY, Log, Message, Task, parse

LIBRARY = Path(__file__).resolve().parents[2]
"""The folder that holds the package S3NetSegmentationLib."""

LAST_WORDS = 1.0
"""Seconds to wait for what a stopped process still has to say."""


class WorkerProcess:
    """``python -m S3NetSegmentationLib.jobs.worker TASK [FOLDER]`` in the background.

    Its temporary files lie in a folder of its own, which is gone however it ends.

    Parameters
    ----------
    task : Task
        What it does.
    folder : Path, optional
        The folder of the job.
    threads : int, optional
        How many cores it may use; default: all.
    """

    def __init__(self, task: Task, folder: Path | None = None, threads: int | None = None):
        # PythonSlicer is Slicer's own Python without the application; outside Slicer there is
        # only the Python that runs this.
        python = shutil.which("PythonSlicer") or sys.executable
        paths = [str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])]
        cores = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        arguments = [f"{task.__module__}:{task.__qualname__}"]
        arguments += [] if folder is None else [str(folder)]
        self._temporary = new_temporary_folder()
        self._process = subprocess.Popen(
            [python, "-m", "S3NetSegmentationLib.jobs.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                **cores,
                TEMPORARY: self._temporary.name,
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONUTF8": "1",
            },
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            start_new_session=True,
        )
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, read), daemon=True)
            for stream, read in ((self._process.stdout, parse), (self._process.stderr, _log))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it still runs, or has said something that was not yet read."""
        ended = self._process.poll() is not None
        return not ended or any(r.is_alive() for r in self._readers) or not self._messages.empty()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return self._process.poll()

    def messages(self) -> list[Message]:
        """What it has said since the last call; never waits."""
        said = []
        while not self._messages.empty():
            said.append(self._messages.get())
        return said

    def stop(self) -> None:
        """End it now, if it still runs, and let go of everything."""
        # PythonSlicer is a launcher: the worker is a child of it, which ends with its group, or,
        # where there are no process groups, with its standard input. That comes last: who finds it
        # closed takes the parent for dead, and removes what it may still need.
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None  # it is a pipe
        self._process.stdin.close()
        # On Windows the worker itself may be about to end for a while, and removes its files then.
        for reader in self._readers:
            reader.join(LAST_WORDS)
        self._temporary.cleanup()

    def _read(self, stream: IO[bytes], read: Callable[[str], Message]) -> None:
        with stream:
            for line in stream:
                self._messages.put(read(line.decode("utf-8", "replace")))


def _log(line: str) -> Log:
    return Log(line.rstrip())

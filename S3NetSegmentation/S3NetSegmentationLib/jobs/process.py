"""A child process with the same Python, whose messages are read without blocking."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..io.files import new_temporary_folder
from .protocol import END_OF_LOG, Began, Log, Message, Task, arguments, parse

LIBRARY = Path(__file__).resolve().parents[2]
"""The folder that contains the package S3NetSegmentationLib."""

LAST_WORDS = 1.0
"""Seconds to wait for the last messages about a task that has ended."""

ANSWER_SECONDS = 5.0
"""Seconds to wait until an idle process takes up a task; a new one needs as long to start."""


class WorkerProcess:
    """``python -m S3NetSegmentationLib.jobs.worker`` in the background.

    The temporary files of a task are in a separate folder, which is removed however it ends.

    Parameters
    ----------
    task : Task
        The function to call.
    folder : Path, optional
        The folder of the job.
    threads : int, optional
        Number of cores it may use; default: all.
    """

    def __init__(self, task: Task, folder: Path | None = None, threads: int | None = None):
        self._surroundings = python, environment, _ = _surroundings(threads)
        self._temporary = new_temporary_folder()
        told = arguments(task, self._temporary.name, folder)
        self._process = subprocess.Popen(
            [python, "-m", "S3NetSegmentationLib.jobs.worker", *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            start_new_session=True,
        )
        assert self._process.stdin is not None  # it is a pipe
        self._lifeline = self._process.stdin
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._all_logged = threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, read), daemon=True)
            for stream, read in ((self._process.stdout, parse), (self._process.stderr, _log))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it still runs, or has sent something that was not read yet."""
        ended = self._process.poll() is not None
        return not ended or any(r.is_alive() for r in self._readers) or not self._messages.empty()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def messages(self) -> list[Message]:
        """The messages since the last call; never blocks."""
        said = []
        while not self._messages.empty():
            said.append(self._messages.get())
        return said

    def suits(self, threads: int | None) -> bool:
        """Whether a process started now would not differ from this one."""
        return self._surroundings == _surroundings(threads)

    def begin(self, task: Task, folder: Path | None = None) -> bool:
        """Give it another task, after `release`; false, if it does not take it up."""
        try:
            self._temporary = new_temporary_folder()
            told = json.dumps(arguments(task, self._temporary.name, folder)) + "\n"
            os.write(self._lifeline.fileno(), told.encode())
        except OSError:  # it has ended
            return False
        end = time.monotonic() + ANSWER_SECONDS
        while self.is_running and time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                if self._messages.get(timeout=0.05) == Began():
                    return True
        return False

    def release(self) -> None:
        """Wait for the log of a task that has ended, and remove its temporary files."""
        self._all_logged.wait(LAST_WORDS)
        self._all_logged.clear()
        self._temporary.cleanup()

    def stop(self) -> None:
        """End it now, if it still runs, and release all resources."""
        # PythonSlicer is a launcher: the worker is its child, which ends with its process group or,
        # on systems without groups, when its standard input closes. Closing comes last: a worker
        # that finds it closed takes its parent for dead, and removes files that may be needed.
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._lifeline.close()
        # On Windows, the worker itself may take a while to end, and then removes its files.
        for reader in self._readers:
            reader.join(LAST_WORDS)
        self._temporary.cleanup()

    def _read(self, stream: IO[bytes], read: Callable[[str], Message]) -> None:
        with stream:
            for line in stream:
                text = line.decode("utf-8", "replace")
                said = text.removesuffix(END_OF_LOG)
                if said:
                    self._messages.put(read(said))
                if said != text:
                    self._all_logged.set()


def _log(line: str) -> Log:
    return Log(line.rstrip())


def _surroundings(threads: int | None) -> tuple[str, dict[str, str], int]:
    """The Python and the environment of a process, and who starts it, which a fork of it is not."""
    # PythonSlicer is Slicer's Python without the application; outside Slicer, there is only the
    # Python that runs this.
    python = shutil.which("PythonSlicer") or sys.executable
    paths = [str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])]
    cores = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    more = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    return python, {**os.environ, **cores, **more}, os.getpid()

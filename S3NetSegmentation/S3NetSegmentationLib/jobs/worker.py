"""The child process: tasks in, lines of JSON out.

``python -m S3NetSegmentationLib.jobs.worker TASK TEMPORARY [FOLDER]`` calls a function, given as
``module:function``, on the folder of a job; its temporary files belong in the folder TEMPORARY.
Further tasks come from standard input, one after another, each as a line with a list of the same
arguments. After an unexpected error, which may have done damage, the process ends, and so it does
after it has used a GPU, whose memory it would hold.

It ends with its parent: when its standard input closes, it removes the job's folder and its own
temporary folder, and stops.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from pkgutil import resolve_name
from queue import SimpleQueue

from ..errors import S3NetError, fault_of_the_machine
from .process_setup import give_memory_back, prepare_process
from .protocol import END_OF_LOG, Began, Failed, Finished, Sent, serialize

MAX_CLEANING_SECONDS = 10.0
"""Seconds that the main thread waits, at most, while the other one removes the folders of a parent
that is gone."""


def main(argv: list[str] | None = None) -> int:
    """Do tasks and report on standard output, one message of the protocol per line.

    Parameters
    ----------
    argv : list of str, optional
        The first task, the folder for its temporary files, and the folder of the job if it has one.

    Returns
    -------
    int
        0 if all went well.
    """
    prepare_process()
    send = _channel()
    inbox = _Inbox(sys.argv[1:] if argv is None else argv)
    while True:
        task, tempfile.tempdir, *job = inbox.get()
        send(Began())
        outcome = _do(task, map(Path, job), send)
        inbox.unfinished = inbox.unfinished[:1]  # the job's folder now belongs to the parent
        send(outcome)
        if not outcome.reusable:
            return int(isinstance(outcome, Failed))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.write(2, END_OF_LOG.encode())
        give_memory_back()


def _do(task: str, job: Iterable[Path], send: Callable[[Sent], None]) -> Finished | Failed:
    try:
        # By name, so this package does not import the code that does the work.
        result = resolve_name(task)(*job, on_progress=send)
        finished = Finished(result, reusable=not _has_used_a_gpu())
        serialize(finished)  # what can't be sent is an error of the task, too
        return finished
    except S3NetError as error:
        return Failed(str(error), "", reusable=not _has_used_a_gpu())
    except Exception as error:  # the user gets a sentence, the log the rest
        return Failed(_sentence(error), traceback.format_exc())


def _has_used_a_gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def _sentence(error: Exception) -> str:
    """One sentence for the user about an unexpected error."""
    sentence = fault_of_the_machine(error)
    if sentence:
        return sentence
    if isinstance(error, OSError):
        return (
            f"The folder for temporary files can't be used ({error.strerror or error}); "
            "make room there, or choose another one in the application settings."
        )
    if isinstance(error, ImportError):
        return (
            f"Python can't load what the segmentation needs ({error.name or error}); install "
            "PyTorch again, and on Windows the Microsoft Visual C++ Redistributable."
        )
    return (
        f"The segmentation failed unexpectedly ({type(error).__name__}); "
        "please report it with the log."
    )


def _channel() -> Callable[[Sent], None]:
    """A function that sends a message; whatever else is printed goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)

    def send(message: Sent) -> None:
        try:
            stream.write(serialize(message) + "\n")
            stream.flush()
        except OSError:  # the parent is gone, so the other thread cleans up and ends the process
            time.sleep(MAX_CLEANING_SECONDS)
            raise

    return send


def _lifeline() -> int:
    """The pipe from the parent, which is no longer standard input.

    On Windows, loading a library queries standard input, and would wait for the thread that reads
    from it.
    """
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


class _Inbox(SimpleQueue):
    """The arguments of each task, and the folders to remove when the parent ends."""

    def __init__(self, first: list[str]):
        self._accept(first)
        threading.Thread(target=self._listen, args=(_lifeline(),), daemon=True).start()

    def _accept(self, arguments: list[str]) -> None:
        self.unfinished = [Path(folder) for folder in arguments[1:]]
        self.put(arguments)

    def _listen(self, pipe: int) -> None:
        # Not through a buffered file, whose lock would be held when the interpreter ends.
        line = b""
        while received := os.read(pipe, 4096):
            line += received
            if line.endswith(b"\n"):  # the next one is sent when this task has ended
                self._accept(json.loads(line))
                line = b""
        # The other thread may still be writing there; once a folder is gone, it can't. On Windows,
        # an open file can't be removed.
        for _ in range(10):
            for folder in self.unfinished:
                shutil.rmtree(folder, ignore_errors=True)
            if not any(folder.exists() for folder in self.unfinished):
                break
            time.sleep(0.05)
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

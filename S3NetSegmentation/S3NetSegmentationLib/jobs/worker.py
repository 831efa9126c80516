"""The child process: one task in, lines of JSON out.

``python -m S3NetSegmentationLib.jobs.worker TASK [FOLDER]`` calls a function, given as
``module:function``, on the folder of a job. It ends with its parent: when its standard input
closes, it removes the job's folder and its own temporary folder, and stops.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from ..errors import S3NetError, fault_of_the_machine
from .process_setup import prepare_process
from .protocol import TEMPORARY, Failed, Finished, Sent, serialize


def main(argv: list[str] | None = None) -> int:
    """Do the task and report on standard output, one message of the protocol per line.

    Parameters
    ----------
    argv : list of str, optional
        The task, and the folder of the job if it has one.

    Returns
    -------
    int
        0 if all went well.
    """
    prepare_process()
    task, *folders = sys.argv[1:] if argv is None else argv
    job = [Path(folder) for folder in folders]
    tempfile.tempdir = os.environ.get(TEMPORARY)
    own = [Path(tempfile.tempdir)] if tempfile.tempdir else []
    unfinished = [*job, *own]
    send = _channel()
    threading.Thread(target=_stop_with_parent, args=(_lifeline(), unfinished), daemon=True).start()
    try:
        # By name, so this package does not import the code that does the work.
        result = resolve_name(task)(*job, on_progress=send)
        unfinished[:] = own  # the job's folder now belongs to the parent
        send(Finished(result))
    except S3NetError as error:
        send(Failed(str(error), ""))
        return 1
    except Exception as error:  # the user gets a sentence, the log the rest
        send(Failed(_sentence(error), traceback.format_exc()))
        return 1
    return 0


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
        stream.write(serialize(message) + "\n")
        stream.flush()

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


def _stop_with_parent(pipe: int, folders: list[Path]) -> None:
    # Not through a buffered file, whose lock would be held when the interpreter ends.
    while os.read(pipe, 1):
        pass
    # The other thread may still be writing there; once a folder is gone, it can't. On Windows, an
    # open file can't be removed.
    for _ in range(10):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if not any(folder.exists() for folder in folders):
            break
        time.sleep(0.05)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

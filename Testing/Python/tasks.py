"""Tasks for child processes of tests."""

import atexit
import os
import shutil
import sys
import tempfile
import time
from types import SimpleNamespace

import numpy as np
from S3NetSegmentationLib.errors import InputError


def leave_slowly(folder, on_progress):
    """Finish, and take a while to end, as torch does where its drivers have much to unload."""
    (folder / "result").touch()
    atexit.register(time.sleep, 1)


def say(folder, on_progress):
    """Print something beside the messages."""
    print("one", flush=True)
    return {"said": ["one"]}


def wait_for_ever(folder, on_progress):
    """Never end."""
    time.sleep(600)


def lose_folder(folder, on_progress):
    """Fail because the job's folder is gone."""
    shutil.rmtree(folder)
    raise InputError("The output can't be written.")


def tell(folder, on_progress):
    """Which process does it, and where its temporary files are."""
    temporary = tempfile.mkdtemp()
    print(f"in {temporary}")
    return {"pid": os.getpid(), "temporary": temporary}


def refuse(folder, on_progress):
    """Fail as expected."""
    raise InputError("There is no body.")


def fail(folder, on_progress):
    """Fail unexpectedly."""
    raise ZeroDivisionError


def crash(folder, on_progress):
    """End the process, as a library does that finds its memory damaged."""
    os.abort()


def use_a_gpu(folder, on_progress):
    """Leave behind what tells that a GPU was used, on any machine."""
    sys.modules["torch"] = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))


def take_memory(folder, on_progress):
    """Need 400 MB for a moment, in pieces, of which the last one stays."""
    pieces = [np.ones(2**20) for _ in range(50)]
    sys.modules[__name__].kept = pieces.pop()

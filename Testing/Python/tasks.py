"""Tasks for child processes of tests."""

import atexit
import shutil
import time

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

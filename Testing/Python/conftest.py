"""For every test."""

import os
import sys
from pathlib import Path

import pytest

# The networks of the tests are so small that threads would mostly wait for each other, above all
# on a busy machine; before torch is imported, here and in the processes that the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Make a PythonSlicer of shell lines, as Slicer's is a launcher of the real Python.

    The function that it gives takes the lines, and returns the file to which they may write a
    process id.
    """

    def make(lines: str) -> Path:
        folder, pid = tmp_path / "bin", tmp_path / "pid"
        folder.mkdir()
        script = folder / "PythonSlicer"
        script.write_text(lines.format(python=f'"{sys.executable}" "$@"', pid=f'"{pid}"'))
        script.write_text("#!/bin/sh\n" + script.read_text() + "\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        return pid

    return make


@pytest.fixture(autouse=True)
def no_idle_process():
    """No test finds a process that another one has left, and none fills the memory."""
    yield
    from S3NetSegmentationLib.jobs.idle import end_idle

    end_idle()

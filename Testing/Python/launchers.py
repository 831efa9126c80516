"""Looks at the processes that the fixture `launcher` starts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

needs_posix = pytest.mark.skipif(os.name != "posix", reason="the launcher is a shell script")

TELLS_ITS_PID = "echo $$ > {pid}\nexec {python}"
"""Shell lines of a launcher."""


def pid_in(file: Path) -> int:
    """The process id that a launcher writes to a file."""
    assert until(lambda: file.exists() and file.read_text().strip(), 60)
    return int(file.read_text())


def until(condition, seconds: float = 30) -> bool:
    """Wait for a condition; whether it came true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def is_running(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Nobody may be there to collect an orphan that has ended.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"

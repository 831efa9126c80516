"""Files that another program has open, so that the system refuses to write to them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_programs = pytest.mark.skipif(
    sys.platform != "linux", reason="Linux refuses to write to a program that runs"
)


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """A file at `path` that can't be written to meanwhile."""
    shutil.copy(shutil.which("sleep"), path)
    with subprocess.Popen([path, "60"]) as running:
        yield
        running.kill()

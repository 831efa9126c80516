"""Files below a folder, whatever the folder is like."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def files_below(
    folder: Path,
    unreadable: Callable[[Path], None] = lambda path: None,
    without: Path | None = None,
) -> Iterator[Path]:
    """Every regular file below a folder, in a fixed order.

    Links are followed, and no folder is entered twice, so loops end. Pipes, sockets and devices,
    which reading would wait for, are left out.

    Parameters
    ----------
    folder : Path
    unreadable : callable, optional
        Called with each folder that can't be listed.
    without : Path, optional
        A folder that is not entered.
    """
    seen: set[tuple[int, int]] = set()
    if without is not None and without.is_dir():
        seen.add(_identity(without))
    waiting = [Path(folder)]
    while waiting:
        current = waiting.pop()
        try:
            if _identity(current) in seen:
                continue
            seen.add(_identity(current))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
            folders = [entry for entry in entries if entry.is_dir()]
            files = [entry for entry in entries if entry.is_file()]
        except OSError:
            unreadable(current)
            continue
        waiting += [Path(entry.path) for entry in reversed(folders)]
        yield from (Path(entry.path) for entry in files)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino

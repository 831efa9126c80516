"""Files below a folder, whatever the folder is like."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError


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
        except OSError:
            unreadable(current)
            continue
        paths = [Path(entry.path) for entry in entries]
        waiting += [path for path in reversed(paths) if path.is_dir()]
        yield from (path for path in paths if path.is_file())


def check_name(path: Path) -> None:
    """Refuse a path that is no text; ITK would end the whole process over it.

    Raises
    ------
    InputError
        If a name in the path holds bytes that are no characters.
    """
    try:
        str(path).encode()
    except UnicodeError as error:
        raise InputError(
            "The name of a file or folder is no valid text on this computer; rename it."
        ) from error


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino

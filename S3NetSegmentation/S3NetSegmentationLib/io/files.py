"""Files and folders, whatever the system and other programs make of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Waits for a program that has a file open, 1.55 seconds in all; a virus
scanner looks at a new file for less. Not measured."""


def files_below(
    folder: Path,
    on_unreadable: Callable[[Path], None] = lambda path: None,
    without: Path | None = None,
) -> Iterator[Path]:
    """Every regular file below a folder, in a fixed order.

    Links are followed, and no folder is entered twice, so loops end. Pipes, sockets and devices,
    which reading would wait for, are left out, as are links that lead nowhere.

    Parameters
    ----------
    folder : Path
    on_unreadable : callable, optional
        Called with each folder that can't be listed, and each link that leads nowhere.
    without : Path, optional
        A folder that is not entered.
    """
    seen: set[tuple] = set()
    if without is not None and without.is_dir():
        seen.add(identity(without))
    waiting = [Path(folder)]
    while waiting:
        current = waiting.pop()
        try:
            if identity(current) in seen:
                continue
            seen.add(identity(current))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            on_unreadable(current)
            continue
        # An entry knows what it is even where its path is too long for Windows to open it.
        waiting += [Path(entry.path) for entry in reversed(entries) if _passes(entry.is_dir)]
        for entry in entries:
            if _passes(entry.is_file):
                yield Path(entry.path)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                on_unreadable(Path(entry.path))


def retry_on_permission_error(act: Callable[[], None]) -> None:
    """Do what Windows refuses while another program has the file open.

    Virus scanners and programs that synchronize folders look at every new file for a moment.

    Raises
    ------
    OSError
        If it is refused for longer.
    """
    for seconds in RETRY_SECONDS:
        try:
            return act()
        except PermissionError:
            time.sleep(seconds)
    return act()


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
            "The name of a file or folder has characters that this system cannot use; rename it."
        ) from error


def identity(folder: Path) -> tuple:
    """What tells a folder from every other one, whatever links lead to it.

    Raises
    ------
    OSError
        If there is no such folder.
    """
    status = folder.stat()
    if status.st_ino:
        return status.st_dev, status.st_ino
    # Some network drives on Windows give no numbers.
    return (os.path.normcase(os.path.realpath(folder)),)


def _passes(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:  # a link in a loop
        return False

"""Files and folders, whatever the system and other programs make of them."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, S3NetError

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Waits for a program that has a file open, 1.55 seconds in all; a virus
scanner looks at a new file for less. Not measured."""

OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.EIO, errno.ETIMEDOUT)
"""Errors that say nothing of what is in a file."""


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


def new_temporary_folder(parent: str | None = None) -> tempfile.TemporaryDirectory[str]:
    """A folder of our own, by default where the system wants temporary files; no check of errors.

    On Windows, a file in it that another process still holds is left behind.
    """
    return tempfile.TemporaryDirectory(prefix="s3net-", dir=parent, ignore_cleanup_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files that is gone at the end.

    Raises
    ------
    S3NetError
        If it can't be made, or an error of the system says that it can't be written to.
    """
    try:
        with new_temporary_folder() as folder:
            yield Path(folder)
    except OSError as error:
        raise S3NetError(
            f"The folder for temporary files can't be used ({error.strerror or error}); make room "
            "there, or name another one in the environment variable TMPDIR (on Windows: TEMP)."
        ) from error


def check_readable(path: Path) -> None:
    """Refuse a file or a folder that is there but can't be opened.

    Raises
    ------
    InputError
    """
    try:
        if path.is_dir():
            os.scandir(path).close()
        elif path.is_file():
            path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error) from error


def out_of_reach(path: Path, error: BaseException) -> InputError | None:
    """What to tell the user where the system or the disk fails; None of any other error."""
    if isinstance(error, OSError) and error.errno in OUT_OF_REACH:
        return unreadable(path, error)
    return None


def unreadable(path: Path, error: OSError) -> InputError:
    """What to tell the user of a file or a folder that the system does not let be read."""
    if isinstance(error, PermissionError):
        return InputError(
            f"You may not read '{path}'; get permission for it, or close it where it is open in "
            "another program."
        )
    return InputError(
        f"'{path}' can't be read ({error.strerror or error}); check the disk or the network."
    )


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

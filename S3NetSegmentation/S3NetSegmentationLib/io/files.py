"""Files and folders: search, temporary folders, and what the system refuses."""

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
"""Waits for another program to close a file, 1.55 seconds in all; a virus scanner needs less for a
new file. Not measured."""

OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.EIO, errno.ETIMEDOUT)
"""Errors that say nothing about the content of a file."""


def files_below(
    folder: Path,
    on_unreadable: Callable[[Path], None] = lambda path: None,
    without: Path | None = None,
) -> Iterator[Path]:
    """Every regular file below a folder, in a fixed order.

    Links are followed, and no folder is entered twice, so loops end. Broken links are left out, and
    so are pipes, sockets, and devices, because reading them could block.

    Parameters
    ----------
    folder : Path
    on_unreadable : callable, optional
        Called with each folder that can't be listed, and each broken link.
    without : Path, optional
        A folder to leave out.
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
        # An entry knows its type even if its path is too long for Windows to open it.
        waiting += [Path(entry.path) for entry in reversed(entries) if _passes(entry.is_dir)]
        for entry in entries:
            if _passes(entry.is_file):
                yield Path(entry.path)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                on_unreadable(Path(entry.path))


def retry_on_permission_error(act: Callable[[], None]) -> None:
    """Do something that Windows refuses while another program has the file open.

    Virus scanners and programs that synchronize folders open every new file for a moment.

    Raises
    ------
    OSError
        If it is still refused after all retries.
    """
    for seconds in RETRY_SECONDS:
        try:
            return act()
        except PermissionError:
            time.sleep(seconds)
    return act()


def new_temporary_folder(parent: str | None = None) -> tempfile.TemporaryDirectory[str]:
    """A new temporary folder, by default where the system puts them; errors are not translated.

    On Windows, a file that another process still has open is left behind.
    """
    return tempfile.TemporaryDirectory(prefix="s3net-", dir=parent, ignore_cleanup_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files, removed at the end.

    Raises
    ------
    S3NetError
        If it can't be created, or the system reports an error while it is in use.
    """
    try:
        with new_temporary_folder() as folder:
            yield Path(folder)
    except OSError as error:
        raise S3NetError(
            f"The folder for temporary files can't be used ({error.strerror or error}); make room "
            "there, or set the environment variable TMPDIR (on Windows: TEMP) to another one."
        ) from error


def check_readable(path: Path) -> None:
    """Refuse a file or folder that exists but can't be opened.

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
    """The message for a failure of the system or the disk; None for any other error."""
    if isinstance(error, OSError) and error.errno in OUT_OF_REACH:
        return unreadable(path, error)
    return None


def unreadable(path: Path, error: OSError) -> InputError:
    """The message for a file or folder that the system can't or won't read."""
    if isinstance(error, PermissionError):
        return InputError(
            f"You may not read '{path}'; ask for permission, or close it if it is open in another "
            "program."
        )
    return InputError(
        f"'{path}' can't be read ({error.strerror or error}); check the disk or the network."
    )


def check_name(path: Path) -> None:
    """Refuse a path that is not valid text; ITK would abort the whole process.

    Raises
    ------
    InputError
        If a name in the path contains bytes that are not characters.
    """
    try:
        str(path).encode()
    except UnicodeError as error:
        raise InputError(
            "The name of a file or folder has characters that this system cannot use; rename it."
        ) from error


def identity(folder: Path) -> tuple:
    """A value that identifies a folder or file, whatever links lead to it.

    Raises
    ------
    OSError
        If it does not exist.
    """
    status = folder.stat()
    if status.st_ino:
        return status.st_dev, status.st_ino
    # Some network drives on Windows have no such numbers.
    return (os.path.normcase(os.path.realpath(folder)),)


def _passes(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:  # a link in a loop
        return False

"""Find the scans below a folder or in a list."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.dicom import Series, find_series, read_header
from ..io.files import check_readable, files_below, identity
from ..io.formats import SEG_NRRD, VOLUME_SUFFIXES
from ..io.read import is_eight_bit, voxel_files

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text that a spreadsheet would take for a formula."""

MAX_LIST_BYTES = 2**28
"""Limit for a list of paths, enough for millions."""


NOT_THERE = "there is no such file or folder"
"""Why a line of a list is skipped."""


@dataclass(frozen=True)
class FoundScan:
    """A scan that can be segmented.

    Attributes
    ----------
    key : str
        What identifies it as long as the input stays the same: the SeriesInstanceUID (with the
        number of the acquisition, if there are several), or the path of its file.
    place : str
        Path of its file or of its series' folder, relative to the input.
    uid : str
        SeriesInstanceUID; empty for formats other than DICOM.
    paths : tuple of Path
        The files to read.
    notes : tuple of str
        Sentences to show with its result.
    """

    key: str
    place: str
    uid: str
    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def state(self) -> list[tuple[str, int, int]]:
        """Name, size, and modification time of every file; differs after the scan has changed."""
        return [_state(file) for path in self.paths for file in voxel_files(path)]


@dataclass(frozen=True)
class Skipped:
    """A file or series that can't be segmented, and why."""

    place: str
    reason: str


def find_scans(
    source: Path, output: Path, on_file: Callable[[int], None] = lambda count: None
) -> tuple[list[FoundScan], list[Skipped]]:
    """Find every CT series and every NIfTI, NRRD, and MetaImage volume.

    Parameters
    ----------
    source : Path
        A folder, one scan, or a text file with the path of a file or folder on each line.
    output : Path
        Folder to leave out.
    on_file : callable, optional
        Called from time to time with the number of files examined; may raise to stop.

    Returns
    -------
    list of FoundScan
        In a fixed order.
    list of Skipped
        What looked like a scan but isn't one.

    Raises
    ------
    InputError
        If `source` can't be read or is the output folder itself.
    """
    root, files, skipped = _files(source, output, on_file)
    volumes = [path for path in files if path.name.lower().endswith(VOLUME_SUFFIXES)]
    others = [path for path in files if not path.name.lower().endswith(VOLUME_SUFFIXES)]
    scans = []

    def on_damaged(path: Path) -> None:
        skipped.append(Skipped(_place(path, root), _damage(path)))

    for path in _counted(volumes, on_file):
        place = _place(path, root)
        reason = _no_scan(path)
        if reason:
            skipped.append(Skipped(place, reason))
        else:
            scans.append(FoundScan(place, place, "", (path,)))
    for series in find_series(_counted(others, on_file, len(volumes)), on_damaged):
        place = _place(_folder(series), root)
        if series.is_ct:
            key = series.uid if series.parts == 1 else f"{series.uid}#{series.part}"
            scans.append(FoundScan(key, place, series.uid, series.paths, series.notes))
        else:
            skipped.append(Skipped(place, f"no CT slices ({series})"))
    return scans, skipped


def _damage(path: Path) -> str:
    try:
        check_readable(path)
    except InputError:
        return "the file can't be read"
    return "a damaged or empty DICOM file"


def _counted(
    paths: Iterable[Path], on_file: Callable[[int], None], before: int = 0
) -> Iterator[Path]:
    for count, path in enumerate(paths, start=before):
        if count % 50 == 0:
            on_file(count)
        yield path


def _state(file: Path) -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError:
        return file.name, -1, -1
    return file.name, status.st_size, status.st_mtime_ns


def _files(
    source: Path, output: Path, on_file: Callable[[int], None]
) -> tuple[Path, list[Path], list[Skipped]]:
    """The folder that paths are relative to, all files, and the unreadable ones."""
    skipped: list[Skipped] = []

    def on_unreadable(folder: Path) -> None:
        reason = "a link that leads nowhere" if folder.is_symlink() else "the folder can't be read"
        skipped.append(Skipped(_place(folder, root), reason))

    check_readable(source)
    if source.is_dir():
        root = source
        if output.is_dir() and identity(output) == identity(root):
            raise InputError("The output folder is the input folder; choose another one.")
        return root, list(_counted(files_below(source, on_unreadable, output), on_file)), skipped
    root = source.parent
    if _is_scan(source):
        return root, [source], skipped
    found: dict[Path, None] = {}
    for path in _listed(source):
        if os.path.isdir(path):  # which accepts names that are too long, too
            below = files_below(path, on_unreadable, output)
            found.update(dict.fromkeys(_counted(below, on_file, len(found))))
        elif os.path.isfile(path):
            found[path] = None
        else:
            skipped.append(Skipped(_place(path, root), NOT_THERE))
    return root, list(found), skipped


def _is_scan(path: Path) -> bool:
    """Whether a file is a scan by itself, or claims to be one."""
    return path.is_file() and (
        path.name.lower().endswith(VOLUME_SUFFIXES) or read_header(path) is not None
    )


def _listed(source: Path) -> list[Path]:
    """The paths in a list; relative ones start at the list's folder.

    Any text could be taken for a list, and a line for the whole disk, so most lines must exist as
    paths, and none may be the root of a disk.
    """
    if not source.exists():
        raise InputError(f"There is no folder or list of scans '{source}'.")
    try:
        lines = _text(_content(source)).splitlines()
        paths = [source.parent / _without_quotes(line.strip()) for line in lines if line.strip()]
        there = sum(os.path.lexists(path) for path in paths)
        if 2 * there < max(len(paths), 1) or any(path.parent == path for path in paths):
            raise ValueError
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{source}' is neither a folder, a scan, nor a list with the path of a file or folder "
            "on each line."
        ) from error
    return paths


def _content(source: Path) -> bytes:
    """The bytes of a list.

    Raises
    ------
    ValueError
        If it is not a file, or too large.
    """
    if not source.is_file() or source.stat().st_size > MAX_LIST_BYTES:
        raise ValueError
    return source.read_bytes()


def _text(content: bytes) -> str:
    """Decode a list; Windows writes UTF-16 with a byte order mark, or the local encoding."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("mbcs" if os.name == "nt" else "utf-8", "surrogateescape")


def _without_quotes(line: str) -> str:
    """A path without the quotes that Windows adds when a path is copied."""
    quoted = len(line) > 1 and line[0] == line[-1] == '"'
    return line[1:-1] if quoted else line


def _no_scan(path: Path) -> str | None:
    """Why a volume is not a scan; None if it may be one."""
    if path.name.startswith("._"):
        return "a helper file of macOS"
    if path.name.lower().endswith(SEG_NRRD):
        return "a segmentation"
    if is_eight_bit(path):
        return "8-bit voxels, so a label map or a picture, not CT"
    return None


def _folder(series: Series) -> Path:
    """The common folder of a series' files; the first file's folder if they are on two drives."""
    folders = [path.parent for path in series.paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        return folders[0]


def _place(path: Path, root: Path) -> str:
    """A path relative to a folder, written so that no spreadsheet takes it for a formula."""
    try:
        place = path.relative_to(root).as_posix()
    except ValueError:
        place = path.as_posix()
    return f"./{place}" if place.startswith(FORMULA) else place

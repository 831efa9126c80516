"""The record of each scan of a batch on disk, from which an interrupted batch resumes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from .. import __version__
from ..errors import InputError
from ..io.files import retry_on_permission_error
from ..io.formats import JPEG
from ..io.write import remove_temporary, write_json
from ..settings import Settings
from .find import FoundScan
from .record_check import is_record
from .words import FAILED, FORMATS, STATUSES

RECORDS, UNFINISHED = "records", ".s3net"
"""Folders in the output folder; the second one is removed with all its content."""

OWNER_ALONE = 0o700
"""Mode of these folders, because they contain overviews of patients."""

RESULTS, REPORT = "results.csv", "report.html"
"""The files about all scans, for people."""

GONE = (
    "The folder of unfinished work is gone: the output folder was removed or another batch was "
    "started on it. Run the batch again."
)

OVERVIEW = JPEG
"""Extension of the overview of a scan in the report."""

MAX_RECORD_BYTES = 2**24
"""Far more than a record has: 200 kB for a scan with 10,000 slices."""


@dataclass(frozen=True)
class ScanTask:
    """All that is needed to segment one scan of a batch, on this machine or another.

    Attributes
    ----------
    name : str
        Name of its outputs, without extension.
    paths : tuple of Path
        The scan's files.
    notes : tuple of str
        Sentences to show with its result.
    output : Path
        The output folder.
    run : str
        Name of this run's folder for unfinished work.
    settings : Settings
    formats : tuple of str
        Extensions of the outputs.
    fingerprint : str
        Changes with the scan, the settings, and the program's version.
    private : bool
        Whether paths of the input must not be shown.
    threads : int or None
        Number of cores to use; None for all.
    lane : int
        Number among the scans that run at once on a machine; each uses its own GPU.
    """

    name: str
    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    output: Path
    run: str
    settings: Settings
    formats: tuple[str, ...]
    fingerprint: str
    private: bool = True
    threads: int | None = None
    lane: int = 0

    @property
    def record_path(self) -> Path:
        """Path of its record."""
        return self.output / RECORDS / f"{self.name}.json"

    @property
    def overview_path(self) -> Path:
        """Path of its overview."""
        return self.output / RECORDS / f"{self.name}{OVERVIEW}"

    @property
    def outputs(self) -> list[Path]:
        """Paths of all files that are written for it."""
        return [
            *(self.output / f"{self.name}{suffix}" for suffix in self.formats),
            self.record_path,
            self.overview_path,
        ]

    def record(self, status: str, **more: object) -> dict:
        """A record of the scan with the entries that every record has.

        Parameters
        ----------
        status : str
            `DONE`, `NO_LUNGS`, `FAILED` or `SKIPPED`.
        **more
            Further entries.
        """
        return {
            "name": self.name,
            "status": status,
            "error": "",
            "warnings": [],
            "files": [],
            "fingerprint": self.fingerprint,
            "formats": list(self.formats),
            **more,
        }


def fingerprint(scan: FoundScan, settings: Settings) -> str:
    """A hash of the state of the scan's files, the settings, and the program's version."""
    content = [__version__, asdict(settings), scan.state()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_record(task: ScanTask) -> dict | None:
    """Read the scan's record; None if there is none, or it is not valid."""
    path = task.record_path
    try:
        if not path.is_file() or path.stat().st_size > MAX_RECORD_BYTES:
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    files = [f"{task.name}{suffix}" for suffix in FORMATS]
    return record if is_record(record, task.name, STATUSES, files) else None


def has_damaged_record(task: ScanTask) -> bool:
    """Whether the file of the scan's record exists but is not a valid record."""
    return os.path.lexists(task.record_path) and read_record(task) is None


def is_finished(task: ScanTask, record: dict) -> bool:
    """Whether the record is up to date: same input, same settings, outputs still there."""
    return (
        record["status"] != FAILED
        and record["fingerprint"] == task.fingerprint
        and set(task.formats) <= set(record["formats"])
        and all((task.output / name).is_file() for name in record["files"])
    )


def publish(task: ScanTask, record: dict, folder: Path | None = None) -> None:
    """Put the outputs of a scan into place, and its record last.

    Every step moves a file out of the run's folder or into it, so it happens completely or not at
    all, and once another batch has removed that folder, nothing can be changed any more. If the
    process is killed in between, the scan counts as not done, and its record names the files that
    the next run replaces.

    Parameters
    ----------
    task : ScanTask
    record : dict
        Its entry ``"files"`` names the outputs.
    folder : Path, optional
        Contains the outputs and an overview; not needed if there are none.

    Raises
    ------
    InputError
        If the output folder can't be written to, or the run has been removed: then the scan
        belongs to another batch.
    """
    if not is_running(task):
        raise InputError(GONE)
    run = task.output / UNFINISHED / task.run
    made = folder or run
    before = read_record(task) or task.record(FAILED)
    old, new = ({task.output / name for name in each["files"]} for each in (before, record))
    both = sorted(path.name for path in old | new)
    try:
        task.record_path.parent.mkdir(OWNER_ALONE, exist_ok=True)
        _move_record({**record, "fingerprint": "", "files": both}, run, task)
        for path in (*(old - new), task.overview_path):
            _take_away(path, run)
        for place in new:
            _move(made / place.name, place)
        if (made / task.overview_path.name).is_file():
            _move(made / task.overview_path.name, task.overview_path)
        _move_record(record, run, task)
    except (OSError, InputError) as error:
        # Outputs without a record must not stay.
        with contextlib.suppress(OSError):
            for path in (*(old | new), task.overview_path, task.record_path):
                _take_away(path, run)
        if not is_running(task):
            raise InputError(GONE) from error
        raise InputError(
            f"The output folder '{task.output}' can't be written to; check that it is still "
            "there, its disk is not full, and none of its files is open in another program."
        ) from error


def _move(made: Path, place: Path) -> None:
    retry_on_permission_error(partial(os.replace, made, place))


def _move_record(record: dict, run: Path, task: ScanTask) -> None:
    """Write a record in the run's folder, and move it into place."""
    made = run / f"{uuid.uuid4().hex}.json"
    write_json(made, record)
    _move(made, task.record_path)


def _take_away(path: Path, run: Path) -> None:
    """Move a file, if there is one, into the run's folder, with which it is removed."""
    if os.path.lexists(path):
        _move(path, run / uuid.uuid4().hex)


def begin_run(output: Path, run: str) -> None:
    """Create the folder of a run, and remove what killed runs have left behind.

    Raises
    ------
    InputError
        If the output folder can't be written to.
    """
    unfinished = output / UNFINISHED
    for other in unfinished.glob("*"):
        # Renamed first, so whatever still runs can't write to a half-removed folder.
        with contextlib.suppress(OSError):
            other.rename(unfinished / uuid.uuid4().hex)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for folder in (output, output / RECORDS):
            remove_temporary(folder)
        unfinished.mkdir(OWNER_ALONE, parents=True, exist_ok=True)
        (unfinished / run).mkdir()
    except OSError as error:
        raise InputError(
            f"The output folder '{output}' can't be written to; check that its disk is not full."
        ) from error


def is_running(task: ScanTask) -> bool:
    """Whether the folder of the task's run still exists; a later batch removes it."""
    return os.path.isdir(task.output / UNFINISHED / task.run)


def stop_run(output: Path, run: str) -> None:
    """Remove the folder of a run; its scans stop when they notice."""
    shutil.rmtree(output / UNFINISHED / run, ignore_errors=True)
    with contextlib.suppress(OSError):
        (output / UNFINISHED).rmdir()

"""What is known of each scan of a batch, on disk: the truth that a batch goes on from."""

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
"""Folders in the output folder; the latter is removed with all that it holds."""

OWNER_ALONE = 0o700
"""The mode of these folders, for they hold overviews of patients."""

RESULTS, REPORT = "results.csv", "report.html"
"""What is known of all scans together, for people."""

GONE = (
    "The folder of unfinished work is gone: the output folder was removed or another batch was "
    "started on it. Run the batch again."
)

OVERVIEW = JPEG
"""Of the overview of a scan in the report."""

MAX_RECORD_BYTES = 2**24
"""Far more than a record has; one of a scan with 10,000 slices has 200 kB."""


@dataclass(frozen=True)
class ScanTask:
    """All that it takes to segment one scan of a batch, on this machine or another.

    Attributes
    ----------
    name : str
        What its outputs are called.
    paths : tuple of Path
        The scan's files.
    notes : tuple of str
        Sentences that belong to its result.
    output : Path
        The output folder.
    run : str
        Name of this run's folder among those of unfinished work.
    settings : Settings
    formats : tuple of str
        Extensions of the outputs.
    fingerprint : str
        Changes with the scan, the settings and the program's version.
    private : bool
        Whether paths of the input must not be named.
    threads : int or None
        Cores to use; None for all.
    lane : int
        Number among the scans that run at once on a machine; each takes a GPU of its own.
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
        """Where its record is."""
        return self.output / RECORDS / f"{self.name}.json"

    @property
    def overview_path(self) -> Path:
        """Where its overview is."""
        return self.output / RECORDS / f"{self.name}{OVERVIEW}"

    @property
    def outputs(self) -> list[Path]:
        """All that is written for it."""
        return [
            *(self.output / f"{self.name}{suffix}" for suffix in self.formats),
            self.record_path,
            self.overview_path,
        ]

    def record(self, status: str, **more: object) -> dict:
        """A record of the scan with what is always in it.

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
    """Text that changes with the scan's files, the settings and the program's version."""
    content = [__version__, asdict(settings), scan.state()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_record(task: ScanTask) -> dict | None:
    """What is known of the scan; None where nothing is, or nothing that could be believed."""
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
    """Whether something is in the place of the scan's record that is none."""
    return os.path.lexists(task.record_path) and read_record(task) is None


def is_finished(task: ScanTask, record: dict) -> bool:
    """Whether nothing need be done again: same input, same settings, outputs still there."""
    return (
        record["status"] != FAILED
        and record["fingerprint"] == task.fingerprint
        and set(task.formats) <= set(record["formats"])
        and all((task.output / name).is_file() for name in record["files"])
    )


def publish(task: ScanTask, record: dict, folder: Path | None = None) -> None:
    """Put the outputs of a scan into place and its record last.

    Every change is a move out of the run's folder or into it. So it is whole or not at all, and
    once another batch has taken that folder away, nothing can be changed any more. Killed in
    between, the scan counts as not done, and its record names what the next run replaces.

    Parameters
    ----------
    task : ScanTask
    record : dict
        Its ``"files"`` name the outputs.
    folder : Path, optional
        Holds the outputs, and an overview; not needed where there are none.

    Raises
    ------
    InputError
        If the output folder can't be written to, or the run is no longer there: then the scan
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
        # What has no record is not there.
        with contextlib.suppress(OSError):
            for path in (*(old | new), task.overview_path, task.record_path):
                _take_away(path, run)
        if not is_running(task):
            raise InputError(GONE) from error
        raise InputError(
            f"The output folder '{task.output}' can't be written to; check that it is still "
            "there, its disk not full, and none of its files open in another program."
        ) from error


def _move(made: Path, place: Path) -> None:
    retry_on_permission_error(partial(os.replace, made, place))


def _move_record(record: dict, run: Path, task: ScanTask) -> None:
    """Write a record in the run's folder, and put it into its place."""
    made = run / f"{uuid.uuid4().hex}.json"
    write_json(made, record)
    _move(made, task.record_path)


def _take_away(path: Path, run: Path) -> None:
    """Move a file, if there is one, where it is removed with the run."""
    if os.path.lexists(path):
        _move(path, run / uuid.uuid4().hex)


def begin_run(output: Path, run: str) -> None:
    """Make the folder of a run; what runs that were killed have left behind is removed.

    Raises
    ------
    InputError
        If the output folder can't be written to.
    """
    unfinished = output / UNFINISHED
    for other in unfinished.glob("*"):
        # Their paths lead nowhere at once, so what still runs can't add to a half removed folder.
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
    """Whether the folder of the task's run is there; a later batch removes it."""
    return os.path.isdir(task.output / UNFINISHED / task.run)


def stop_run(output: Path, run: str) -> None:
    """Remove the folder of a run; its scans stop when theirs is gone."""
    shutil.rmtree(output / UNFINISHED / run, ignore_errors=True)
    with contextlib.suppress(OSError):
        (output / UNFINISHED).rmdir()

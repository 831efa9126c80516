"""What a batch will do: the scans, their names, and which of them are finished."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import Cancelled
from ..io.originals import check_originals
from ..progress import Progress
from ..settings import Settings
from .find import FoundScan, Skipped, find_scans
from .names import TABLE, key_path, name_scans, read_key, read_names
from .records import (
    REPORT,
    RESULTS,
    ScanTask,
    fingerprint,
    has_damaged_record,
    is_finished,
    read_record,
)
from .words import NAME_BY, SEGMENTATION

BAD_RECORD = "The record of an earlier run was damaged, so the scan was segmented again."


@dataclass(frozen=True)
class Plan:
    """What a batch will do.

    Attributes
    ----------
    tasks : tuple of ScanTask
        One for each scan.
    finished : dict of str to dict
        Records, by name, of the scans that are already finished.
    skipped : tuple of Skipped
        Files and series that are not scans.
    scans : tuple of FoundScan
        The scans of the tasks.
    key : bytes
        The secret for names by hash.
    unsettled : frozenset of str
        Names by hash that are not final, because the secret is not written yet.
    """

    tasks: tuple[ScanTask, ...]
    finished: dict[str, dict]
    skipped: tuple[Skipped, ...]
    scans: tuple[FoundScan, ...]
    key: bytes = field(repr=False)
    unsettled: frozenset[str] = frozenset()

    @property
    def to_do(self) -> list[ScanTask]:
        """The scans that are left."""
        return [task for task in self.tasks if task.name not in self.finished]


def plan_batch(
    source: Path,
    output: Path,
    settings: Settings,
    formats: Sequence[str] = (SEGMENTATION,),
    name_by: str = NAME_BY[0],
    names: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> Plan:
    """Find the scans, name them, and check which are finished.

    Parameters and errors are those of `run_batch`.
    """
    source, output = Path(source).absolute(), Path(output).absolute()

    def on_file(count: int) -> None:
        if is_cancelled and is_cancelled():
            raise Cancelled
        if on_progress:
            on_progress(Progress("Looking for scans", count, 0, 0.0))

    scans, skipped = find_scans(source, output, on_file)
    table = names or output / TABLE
    check_originals([table], [source])  # before it is read as a table
    key = read_key(table)
    by_key = name_scans(scans, name_by, table, key)
    unsettled = frozenset[str]()
    if name_by != "path" and not key_path(table).exists():
        unsettled = frozenset(by_key.values()) - {row["name"] for row in read_names(table).values()}
    run = uuid.uuid4().hex[:8]
    tasks = [
        ScanTask(
            by_key[scan.key],
            scan.paths,
            scan.notes,
            output.resolve(),
            run,
            settings,
            tuple(formats),
            fingerprint(scan, settings),
            private=name_by != "path",
        )
        for scan in scans
    ]
    check_originals(
        [
            *(path for task in tasks for path in task.outputs),
            output / RESULTS,
            output / REPORT,
            table,
            key_path(table),
        ],
        [source, *(path for scan in scans for path in scan.paths)],
    )
    tasks = [
        replace(task, notes=(*task.notes, BAD_RECORD)) if has_damaged_record(task) else task
        for task in tasks
    ]
    return Plan(tuple(tasks), finished_scans(tasks), tuple(skipped), tuple(scans), key, unsettled)


def finished_scans(tasks: Iterable[ScanTask]) -> dict[str, dict]:
    """Records, by name, of the scans that are already finished."""
    records = ((task, read_record(task)) for task in tasks)
    return {
        task.name: record
        for task, record in records
        if record is not None and is_finished(task, record)
    }

"""Many scans that are segmented one after the other, with tables of them at the end."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Protocol

import slicer

from ..errors import InputError, S3NetError, fault_of_the_machine
from ..jobs.job import OnLog, OnProgress
from ..progress import Progress
from .logic import Run
from .scan_table import NOTE, Row


class Scans(Protocol):
    """Scans that share a table."""

    def __len__(self) -> int:
        """How many there are."""

    def start(self, index: int) -> Run:
        """Begin to segment a scan; raises an `S3NetError` where it is refused."""

    def finish(self, index: int, run: Run) -> Row:
        """Keep the result of a run that has ended; raises an `S3NetError` where it failed."""

    def close(self, rows: list[Row]) -> slicer.vtkMRMLTableNode | None:
        """Make the table after the last scan; None where it would be of no use."""


class Queue:
    """Scans that are segmented one after the other, used as a `Job`; a failure stops nothing.

    Parameters
    ----------
    groups : sequence of Scans

    Attributes
    ----------
    count, failed : int
        How many scans there are, and how many have failed so far.
    """

    def __init__(self, groups: Sequence[Scans]):
        self._todo = [(group, index) for group in groups for index in range(len(group))]
        self.count, self.failed = len(self._todo), 0
        self._run: Run | None = None
        self._rows: list[Row] = []
        self._tables: list[slicer.vtkMRMLTableNode] = []

    def poll(self, on_progress: OnProgress | None = None, on_log: OnLog | None = None) -> bool:
        """As of `Job`; the progress is that of all scans."""
        if not self._todo:
            return False
        group, index = self._todo[0]
        try:
            row = self._advance(group, index, on_progress, on_log)
        except Exception as error:  # whatever it was, the others are still to be segmented
            self.failed += 1
            row = {NOTE: _sentence(error, on_log)}
        if row is None:
            return True
        self._stopRun()
        self._rows.append(row)
        del self._todo[0]
        if len(self._rows) == len(group):
            self._tables += filter(None, [group.close(self._rows)])
            self._rows = []
        return bool(self._todo)

    def result(self) -> list[slicer.vtkMRMLTableNode]:
        """The tables, one for each group of scans."""
        return self._tables

    def cancel(self) -> None:
        """End the scan that is segmented and forget those that wait; results stay."""
        self._stopRun()
        self._todo = []

    def _advance(
        self, group: Scans, index: int, on_progress: OnProgress | None, on_log: OnLog | None
    ) -> Row | None:
        """The row of the first scan, or None while it is being segmented."""
        if self._run is None:
            self._run = group.start(index)
        if not self._run.volumeNode.GetScene():
            raise InputError("The volume was removed during the run.")
        done = self.count - len(self._todo)

        def inAll(progress: Progress) -> None:
            if on_progress:
                fraction = (done + progress.fraction) / self.count
                on_progress(Progress("Scan", done + 1, self.count, fraction))

        running = self._run.job.poll(inAll, on_log)
        return None if running else group.finish(index, self._run)

    def _stopRun(self) -> None:
        if self._run is not None:
            self._run.job.cancel()
            self._run = None


def _sentence(error: Exception, on_log: OnLog | None) -> str:
    """What the user is told of a failure; the log gets the details of an unexpected one."""
    if isinstance(error, S3NetError):
        return str(error)
    if on_log:
        on_log("".join(traceback.format_exception(error)))
    unexpected = "Something unexpected went wrong; please report it with the module's log."
    return fault_of_the_machine(error) or unexpected

"""Run a batch: all scans are processed, whatever happens to single ones."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from pathlib import Path

from ..errors import Cancelled, InputError, S3NetError
from ..io.write import check_folder, check_writable, make_folder
from ..progress import Progress
from ..settings import Settings
from .executors import Submit, on_cluster, on_this_machine
from .names import TABLE, write_names
from .plan import Plan, finished_scans, plan_batch
from .records import (
    GONE,
    REPORT,
    RESULTS,
    ScanTask,
    begin_run,
    is_running,
    publish,
    stop_run,
)
from .report import write_report
from .table import write_table
from .words import DICOM_SEG, FAILED, FORMATS, NAME_BY, SEGMENTATION


def run_batch(
    source: str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    formats: Sequence[str] = (SEGMENTATION,),
    name_by: str = NAME_BY[0],
    names: str | Path | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_progress: Callable[[Progress], None] | None = None,
    on_scan_progress: Callable[[str, Progress | None], None] | None = None,
    on_record: Callable[[dict], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> list[dict]:
    """Segment the lungs in every CT scan below a folder.

    A scan has a process for itself as long as it runs, so a crash affects only that scan. Finished
    scans are not segmented again unless their files or the settings have changed, so after an
    interrupt or a kill, the same call resumes the batch.

    Parameters
    ----------
    source : path
        A folder, one scan, or a text file with the path of a file or folder on each line.
    output : path
        Folder for the lungs of each scan, ``results.csv``, and ``report.html``; created if missing.
    settings : Settings, optional
        Default: the preset ``"lung-ct"``.
    formats : sequence of str
        Extensions of the outputs: ``".seg.nrrd"``, ``".nii.gz"``, ``".seg.dcm"`` (DICOM SEG).
    name_by : {"hash", "path", "series"}
        How outputs are named. With ``"path"``, the table, the report, and messages reveal who the
        patients are if the paths do.
    names : path, optional
        The table of names, by default ``names.csv`` in `output`; names in it are used. Its folder
        is created if missing.
    jobs : int
        Number of scans that run at once.
    scheduler : str, optional
        Address of a Dask scheduler whose workers are used instead.
    on_plan : callable, optional
        Called with the `Plan` before anything is done.
    on_progress : callable, optional
        Called with a `Progress` over all scans a few times a second.
    on_scan_progress : callable, optional
        Called with the name and the `Progress` of each running scan, with None at its end.
    on_record : callable, optional
        Called with the record of each scan that has ended.
    is_cancelled : callable, optional
        Called a few times a second; if it returns true, the batch stops.

    Returns
    -------
    list of dict
        A record for each scan; its ``"status"`` is ``"done"``, ``"no lungs"``, ``"skipped"``, or
        ``"failed"`` with a sentence in ``"error"``.

    Raises
    ------
    InputError
        If there is no scan, or the output folder can't be used.
    Cancelled
        If `is_cancelled` returned true; finished scans are in the output folder.
    """
    source, output = Path(source).absolute(), Path(output).absolute()
    settings = settings or Settings()
    _check(formats, name_by, jobs)
    names = Path(names).absolute() if names else output / TABLE
    for folder in (output, names.parent):
        check_folder(folder)
    plan = plan_batch(source, output, settings, formats, name_by, names, on_progress, is_cancelled)
    if not plan.tasks:
        raise InputError(f"There is no CT scan in '{source}'.")
    for folder in (output, names.parent):
        make_folder(folder)
    for name in (RESULTS, REPORT):
        check_writable(output / name, (name,))
    on_plan(plan)
    write_names(plan.scans, _names(plan), names, plan.key)
    watch = _Watch(plan, on_progress, on_scan_progress, on_record)
    place = (
        on_cluster(scheduler, watch.on_scan_progress)
        if scheduler is not None
        else on_this_machine(jobs, watch.on_scan_progress)
    )
    try:
        with place as submit:
            begin_run(output, plan.tasks[0].run)
            # Another batch may have finished scans until now.
            plan = replace(plan, finished=finished_scans(plan.tasks))
            watch.take(plan.finished)
            try:
                _work(plan, submit, watch, output, is_cancelled or (lambda: False))
            finally:
                stop_run(output, plan.tasks[0].run)
    finally:
        _write_results(plan, watch, output)
    return watch.records()


def _check(formats: Sequence[str], name_by: str, jobs: int) -> None:
    if not formats or not set(formats) <= set(FORMATS):
        raise InputError(f"The formats must be some of {', '.join(FORMATS)}.")
    if name_by not in NAME_BY:
        raise InputError(f"Scans can be named by {', '.join(NAME_BY)}, not by '{name_by}'.")
    if jobs < 1:
        raise InputError("The number of scans at once must be at least 1.")
    if DICOM_SEG in formats:
        from ..io.dicom_seg import check_available

        check_available()


def _names(plan: Plan) -> dict[str, str]:
    return {scan.key: task.name for scan, task in zip(plan.scans, plan.tasks, strict=True)}


def _work(
    plan: Plan,
    submit: Submit,
    watch: _Watch,
    output: Path,
    is_cancelled: Callable[[], bool],
) -> None:
    """Run all remaining scans, and keep each scan's record as soon as it ends."""
    running = {submit(task): task for task in plan.to_do}
    watch.show()
    while running:
        ended, _ = wait(running, timeout=0.2, return_when="FIRST_COMPLETED")
        if is_cancelled():
            for future in running:
                future.cancel()
            raise Cancelled("Stopped; finished scans are kept. Run the same batch to resume.")
        if os.path.isdir(output) and not is_running(plan.tasks[0]):
            raise S3NetError(GONE)
        for future in ended:
            task = running.pop(future)
            watch.on_record(_record(future, task))
            # A full disk must not stop the batch; the table is written again at the end.
            with contextlib.suppress(S3NetError):
                write_table(output / RESULTS, watch.records())
        watch.show()


def _record(future: Future, task: ScanTask) -> dict:
    """The record of a scan that has ended in any way; the record of a failure is written here."""
    try:
        record = future.result()
    except (Exception, CancelledError) as error:  # for example, Dask gave up on a scan
        record = task.record(
            FAILED,
            error=f"The scan could not be run ({type(error).__name__}); run the batch again.",
        )
    if record["status"] == FAILED:
        # Without a record, the scan counts as not done, which is just as good.
        with contextlib.suppress(S3NetError):
            publish(task, record)
    return record


def _write_results(plan: Plan, watch: _Watch, output: Path) -> None:
    overviews = {task.name: task.overview_path for task in plan.tasks}
    left_out = len(plan.skipped)
    try:
        write_table(output / RESULTS, watch.records())
    finally:
        write_report(output / REPORT, watch.records(), overviews, len(plan.tasks), left_out)


class _Watch:
    """Keeps track of finished and running scans for the caller's callbacks."""

    def __init__(
        self,
        plan: Plan,
        on_progress: Callable[[Progress], None] | None,
        on_scan_progress: Callable[[str, Progress | None], None] | None,
        on_record: Callable[[dict], None] | None,
    ):
        self._order = [task.name for task in plan.tasks]
        self.take(plan.finished)
        self._fractions: dict[str, float] = {}
        self._on_progress = on_progress
        self._on_scan_progress = on_scan_progress
        self._on_record = on_record

    def take(self, finished: dict[str, dict]) -> None:
        """Start with the records of the scans that are already finished."""
        self._records = dict(finished)
        self._finished_before = len(finished)

    def on_scan_progress(self, name: str, progress: Progress) -> None:
        """Note a scan's progress; called from other threads."""
        if name not in self._records:
            self._fractions[name] = progress.fraction
            if self._on_scan_progress:
                self._on_scan_progress(name, progress)

    def on_record(self, record: dict) -> None:
        """Note that a scan has ended."""
        name = record["name"]
        self._records[name] = record
        self._fractions.pop(name, None)
        if self._on_scan_progress:
            self._on_scan_progress(name, None)
        if self._on_record:
            self._on_record(record)

    def show(self) -> None:
        """Report the progress over all scans of this run."""
        if self._on_progress:
            total = len(self._order) - self._finished_before
            done = len(self._records) - self._finished_before
            fraction = (done + sum(list(self._fractions.values()))) / max(total, 1)
            self._on_progress(Progress("Scans", done, total, fraction))

    def records(self) -> list[dict]:
        """All records so far, in the order of the scans."""
        return [self._records[name] for name in self._order if name in self._records]

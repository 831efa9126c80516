"""The command ``s3net batch``."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from ..batch.words import (
    DICOM_SEG,
    DONE,
    FAILED,
    NAME_BY,
    NIFTI,
    NO_LUNGS,
    SEGMENTATION,
    SKIPPED,
)
from ..errors import Cancelled
from ..lung.densitometry import REGIONS
from ..progress import Progress
from ..settings import Settings
from .common import (
    EXIT_FAILED,
    EXIT_NO_LUNGS,
    NotPrinted,
    add_engine,
    interruptible,
    new_bar,
    path_of,
    say,
    scan_settings,
)

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..batch.run import Plan

MAX_BARS = 8
"""Maximum number of bars for running scans; more don't fit in a small terminal."""

EXAMPLES = """\
examples:
  s3net batch scans/ -o lungs/
  s3net batch list.txt -o lungs/ --nifti --dicom-seg --names private/names.csv
  s3net batch scans/ -o lungs/ --dry-run
  s3net batch /shared/scans -o /shared/lungs --scheduler tcp://node1:8786

The same command resumes an interrupted batch; scans that have changed are segmented again.

exit codes:
  0 done   1 some scans failed   2 bad input or option   3 none failed, some have no lungs
  130 stopped by Ctrl-C or SIGTERM
"""


def add_batch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``add_subparsers``."""
    command = commands.add_parser(
        "batch",
        help="segment the lungs of every CT scan in a folder",
        description="Segments the lungs in every CT scan below a folder, each in its own process, "
        "and writes a table and a report.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add(
        "input",
        type=path_of,
        metavar="INPUT",
        help="folder with DICOM, NIfTI, NRRD or MetaImage anywhere below, one scan, or a text file "
        "with a path on each line",
    )
    add(*("-o", "--output"), type=path_of, required=True, help="folder, created if missing")
    add("--nifti", action="store_true", help="write label maps (1 right, 2 left) as .nii.gz, too")
    add("--dicom-seg", action="store_true", help="write DICOM SEG of DICOM series, too")
    add(
        "--name-by",
        choices=NAME_BY,
        default=NAME_BY[0],
        help="how outputs are named: by a hash that reveals nothing (default), by the path, which "
        "may reveal who the patient is, or by the SeriesInstanceUID",
    )
    add(
        "--names",
        type=path_of,
        metavar="CSV",
        help="the table that links names to scans, to keep it elsewhere (default: names.csv in the "
        "output folder); names in it are used",
    )
    add(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="number of scans at once, each on its own GPU (default: 1)",
    )
    add("--scheduler", metavar="ADDRESS", help="run on the workers of this Dask scheduler")
    add("--dry-run", action="store_true", help="list what would be done, without doing it")
    add_engine(command)
    command.set_defaults(run=_batch)


def _batch(arguments: argparse.Namespace) -> int:
    """Run the command; Ctrl-C keeps the finished scans."""
    with interruptible() as is_cancelled:
        try:
            return _run(arguments, is_cancelled)
        except KeyboardInterrupt as error:  # a second Ctrl-C
            raise Cancelled(
                "Stopped at once; finished scans are kept. Run the same command to resume."
            ) from error


def _run(arguments: argparse.Namespace, is_cancelled: Callable[[], bool]) -> int:
    """Segment every scan, print a line for each, and return the exit code."""
    settings = scan_settings(arguments)
    formats = [SEGMENTATION]
    formats += [NIFTI] if arguments.nifti else []
    formats += [DICOM_SEG] if arguments.dicom_seg else []
    if arguments.dry_run:
        return _list(arguments, settings, formats, is_cancelled)
    from ..batch.find import NOT_THERE
    from ..batch.records import REPORT, RESULTS
    from ..batch.report import summary
    from ..batch.run import run_batch

    plans: list[Plan] = []
    with closing(_Display()) as display:
        records = run_batch(
            arguments.input,
            arguments.output,
            settings,
            formats=formats,
            name_by=arguments.name_by,
            names=arguments.names,
            jobs=arguments.jobs,
            scheduler=arguments.scheduler,
            on_plan=plans.append,
            on_progress=display.on_progress,
            on_scan_progress=display.on_scan_progress,
            on_record=display.on_record,
            is_cancelled=is_cancelled,
        )
    skipped = plans[0].skipped
    missing = sum(each.reason == NOT_THERE for each in skipped)
    say(
        summary(records, len(records), len(skipped)),
        *[f"Not found: {missing} of these."] * bool(missing),
        *["Use --dry-run to list what was left out, and why."] * bool(skipped),
        *(f"Wrote {arguments.output / name}" for name in (RESULTS, REPORT)),
    )
    statuses = {record["status"] for record in records}
    if FAILED in statuses:
        return EXIT_FAILED
    return EXIT_NO_LUNGS if NO_LUNGS in statuses else 0


def _list(
    arguments: argparse.Namespace,
    settings: Settings,
    formats: list[str],
    is_cancelled: Callable[[], bool],
) -> int:
    """Print what a batch would do."""
    from ..batch.plan import plan_batch

    with closing(_Display()) as display:
        plan = plan_batch(
            arguments.input,
            arguments.output,
            settings,
            formats,
            arguments.name_by,
            arguments.names,
            display.on_progress,
            is_cancelled,
        )
    for scan, task in zip(plan.scans, plan.tasks, strict=True):
        state = "finished" if task.name in plan.finished else "to do"
        count = f"{len(scan.paths)} files" if len(scan.paths) > 1 else "1 file"
        name = "" if task.name in plan.unsettled else f"{task.name}  "
        say(f"{state:<9} {name}{scan.place} ({count})")
    for each in plan.skipped:
        say(f"{SKIPPED:<9} {each.place}: {each.reason}")
    say(
        f"{len(plan.tasks)} scans: {len(plan.to_do)} to do, {len(plan.finished)} finished; "
        f"{len(plan.skipped)} skipped"
    )
    return 0


def _line(record: dict) -> str:
    """One line about a scan that has ended."""
    parts = [f"{record['status']:<9} {record['name']}"]
    if record["status"] == DONE:
        volumes = ", ".join(
            f"{REGIONS[side]} {record['numbers'][side]['volume_ml']:.0f} mL"
            for side in ("right", "left")
        )
        parts.append(f"{volumes}, {record['seconds']:.0f} s")
    notes = (*(f"Warning: {each}" for each in record["warnings"]), *record.get("hints", ()))
    parts += filter(None, [record["error"], *notes])
    return "  ".join(parts)


class _Display:
    """Bars on stderr, if it is a terminal, and a line on stdout for each scan that ends."""

    def __init__(self) -> None:
        self._whole = new_bar("{desc}", only_on_terminals=True)
        self._running: dict[str, tqdm] = {}
        self._latest = Progress("Scans", 0, 0, 0.0)
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def on_progress(self, report: Progress) -> None:
        """Show the progress over all scans."""
        self._latest = report
        total = f"/{report.total}" if report.total else ""
        self._whole.set_description_str(f"{report.stage} {report.done}{total}", refresh=False)
        self._whole.update(report.fraction - self._whole.n)

    def on_scan_progress(self, name: str, report: Progress | None) -> None:
        """Show the progress of one scan; called from several threads."""
        with self._lock:
            if report is None:
                if name in self._running:
                    self._running.pop(name).close()
                return
            if name not in self._running and len(self._running) < MAX_BARS:
                self._running[name] = new_bar("  {desc}", only_on_terminals=True)
            if name in self._running:
                bar = self._running[name]
                bar.set_description_str(f"{name} {report.stage}", refresh=False)
                bar.update(report.fraction - bar.n)

    def on_record(self, record: dict) -> None:
        """Print a line, with the remaining time if no bar shows it."""
        done, total, fraction = self._latest.done + 1, self._latest.total, self._latest.fraction
        line = f"{done}/{total} {_line(record)}"
        if self._whole.disable and fraction and done < total:
            left = (time.monotonic() - self._start) * (1 - fraction) / fraction
            line += f"  [about {timedelta(seconds=round(left))} left]"
        with self._whole.external_write_mode(file=sys.stdout), suppress(NotPrinted):
            say(line)

    def close(self) -> None:
        """Remove the bars."""
        for bar in (*self._running.values(), self._whole):
            bar.close()

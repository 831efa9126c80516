"""The file of the measurements, from which ``tables.py`` makes the tables of the documentation.

A benchmark with ``--record`` puts its rows into ``measurements.json``: a table is a list of rows,
and each row names the run that measured it, with date, version, machine and command. A new row
takes the place of the one with the same key, so what was not measured again stays, with its run.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import S3NetSegmentationLib

FILE = Path(__file__).with_name("measurements.json")

PACKAGES = ("torch", "numpy", "scipy", "SimpleITK")

DIGITS = 6
"""Of a figure in the file."""


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark be asked to record what it measures."""
    parser.add_argument(
        "--record", action="store_true", help=f"put the figures into {FILE.name} for tables.py"
    )


def this_run() -> dict[str, str]:
    """When, on what, and by which command something is measured now."""
    packages = (f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    script, *arguments = sys.argv
    # The last part of a path is enough, and tells nothing of the machine's folders.
    plain = (Path(each).name if Path(each).is_absolute() else each for each in arguments)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "version": S3NetSegmentationLib.__version__,
        "commit": commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores, load {load_average()}",
        "packages": ", ".join([f"Python {platform.python_version()}", *packages]),
        "command": shlex.join([Path(script).name, *plain]),
    }


def commit() -> str:
    """Of the checkout, with a plus where the library has been changed since."""
    git = ["git", "-C", str(FILE.parents[2])]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    changed = subprocess.run(
        [*git, "diff", "--quiet", "HEAD", "--", "S3NetSegmentation"], check=False
    ).returncode
    return head + "+" * bool(changed)


def processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load_average() -> str:
    """How many processes want to run, with this one; what else runs spoils seconds."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def peak_gb() -> float:
    """The most memory that this process has had at once."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, getrusage gives the peak of the process that started this one if it is higher.
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30  # macOS counts in bytes


def load() -> dict[str, dict]:
    """All runs and all tables."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def record(
    table: str, rows: Iterable[dict], key: tuple[str, ...], run: dict[str, str] | None = None
) -> None:
    """Put rows into a table of the file, each in the place of the one with the same key.

    Parameters
    ----------
    table : str
    rows : iterable of dict
    key : tuple of str
        The columns that tell rows apart.
    run : dict of str, optional
        What `this_run` gave when the rows were measured; default: now.
    """
    rows = list(rows)
    if not rows:
        return
    measurements = load()
    run, runs = run or this_run(), measurements["runs"]
    same = [number for number, other in runs.items() if other == run]
    number = same[0] if same else str(1 + max(map(int, runs), default=0))
    known = {tuple(row[each] for each in key): row for row in measurements["tables"].get(table, [])}
    for row in rows:
        place = tuple(row[each] for each in key)
        known[place] = {**known.get(place, {}), **row, "run": number}
    measurements["tables"][table] = list(known.values())
    used = {row["run"] for rows in measurements["tables"].values() for row in rows}
    measurements["runs"] = {
        number: run for number, run in {**runs, number: run}.items() if number in used
    }
    FILE.write_text(_text(measurements), encoding="utf-8")
    print(f"{table}: recorded in {FILE.name}", file=sys.stderr)


def _text(measurements: dict[str, dict]) -> str:
    """JSON with a line for each row and each run, so that a change is easy to read."""
    runs = [f"{json.dumps(name)}: {_line(run)}" for name, run in measurements["runs"].items()]
    tables = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(_line, rows)) + "\n]"
        for name, rows in measurements["tables"].items()
    ]
    return '{"runs": {\n' + ",\n".join(runs) + '\n},\n"tables": {\n' + ",\n".join(tables) + "\n}}\n"


def _line(row: dict) -> str:
    return json.dumps(
        {name: _plain(value) for name, value in row.items()}, ensure_ascii=False, default=float
    )


def _plain(value: object) -> object:
    """What is no number becomes null, and the digits that mean nothing go."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None

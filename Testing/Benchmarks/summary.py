"""What ``accuracy.py`` wrote, image by image, summed up in the file of the measurements.

    .venv/bin/python Testing/Benchmarks/summary.py benchmark

reads ``accuracy.jsonl`` and ``run.json`` in the folder; then ``tables.py`` renders the tables.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cases import SCANS, WRONG_REFERENCES
from figures import FAILED, Row, read_rows
from record import record, this_run

FIGURES = ("dsc", "surface95_mm", "nsd", "infected", "volume_error_ml", "quality", "seconds")
"""Of a scan, as means over the seeds."""

OURS = "s3net"

RUN = "run.json"


def scans(rows: list[Row]) -> Iterator[dict]:
    """Each scan by each method."""
    for (group, image, method), own in _by(rows, "group", "image", "method"):
        by_seed = [row.dsc for row in own]
        yield {
            "group": group,
            "image": image,
            "method": method,
            "seeds": len(own),
            "seed_range": max(by_seed) - min(by_seed),
            **{name: np.mean([getattr(row, name) for row in own]) for name in FIGURES},
        }


def groups(rows: list[Row]) -> Iterator[dict]:
    """Each group of images by each method and protocol.

    Without the images whose references are wrong; `every_dsc` and `every_worst` are with them.
    `lowest` is the mean of the worst seed, and `error` the standard error over the images. An image
    on which a method failed counts as 0 by every protocol.
    """
    failed = [row for row in rows if row.protocol == FAILED]
    others = [row for row in rows if row.protocol != FAILED]
    for (group, method, protocol), every in _by(others, "group", "method", "protocol"):
        every += [row for row in failed if (row.group, row.method) == (group, method)]
        right = [row for row in every if row.image not in WRONG_REFERENCES]
        if not right:
            continue
        by_image, by_seed = (
            [np.mean([row.dsc for row in own]) for _, own in _by(right, name)]
            for name in ("image", "seed")
        )
        yield {
            "group": group,
            "method": method,
            "protocol": protocol,
            "images": len(by_image),
            "seeds": len(by_seed),
            "dsc": np.mean(by_image),
            "error": np.std(by_image) / max(1, len(by_image) - 1) ** 0.5,
            "lowest": min(by_seed),
            "worst": min(row.dsc for row in right),
            "hm": np.mean([row.hm for row in right]),
            "xor": np.mean([row.xor for row in right]),
            "every_dsc": np.mean([row.dsc for row in every]),
            "every_worst": min(row.dsc for row in every),
        }


def estimates(rows: list[Row]) -> Iterator[dict]:
    """The estimated quality of each image beside its Dice score, in percent, means over seeds."""
    right = [
        row
        for row in rows
        if row.method == OURS and row.quality >= 0 and row.image not in WRONG_REFERENCES
    ]
    for (group, image), own in _by(right, "group", "image"):
        yield {
            "group": group,
            "image": image,
            "quality": 100 * np.mean([row.quality for row in own]),
            "dsc": np.mean([row.dsc for row in own]),
        }


def ablations(rows: list[Row]) -> Iterator[dict]:
    """Each method "X without Y" less method X, image by image, means over the seeds of both."""
    for (group, method, protocol), own in _by(rows, "group", "method", "protocol"):
        whole, without, _ = method.partition(" without ")
        if not without:
            continue
        key = (group, whole, protocol)
        reference = {
            (r.image, r.seed): r.dsc for r in rows if (r.group, r.method, r.protocol) == key
        }
        shared = [row for row in own if (row.image, row.seed) in reference]
        differences = [
            np.mean([row.dsc - reference[row.image, row.seed] for row in of_image])
            for _, of_image in _by(shared, "image")
        ]
        if len(differences) > 1:
            yield {
                "group": group,
                "method": method,
                "protocol": protocol,
                "images": len(differences),
                "difference": np.mean(differences),
                "error": np.std(differences, ddof=1) / len(differences) ** 0.5,
            }


def overview(rows: list[Row]) -> list[str]:
    """All of it as text; a difference below twice its error tells nothing."""
    of_scans = [row for row in rows if row.group in SCANS]
    parts = (groups(rows), scans(of_scans), ablations(rows))
    return [line for part in parts for line in ["", *_aligned(list(part))]][1:]


def _aligned(rows: list[dict]) -> list[str]:
    """Columns as wide as their longest cell."""
    if not rows:
        return []
    cells = [list(rows[0])]
    cells += [
        [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    ]


def _by(rows: list[Row], *names: str) -> Iterator[tuple[tuple, list[Row]]]:
    """Rows that have these fields in common, in the order of the first of each."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name) for name in names), []).append(row)
    yield from groups.items()


def note_run(folder: Path) -> None:
    """Let a folder tell the run that writes to it, with the commands of those before it."""
    run, path = this_run(), folder / RUN
    before = run_of(folder)["command"].split("; ") if path.exists() else []
    run["command"] = "; ".join(dict.fromkeys([*before, run["command"]]))
    path.write_text(json.dumps(run, indent=1), encoding="utf-8")


def run_of(folder: Path) -> dict[str, str]:
    """What `note_run` noted; the date of the rows alone where it noted nothing."""
    if (folder / RUN).exists():
        return json.loads((folder / RUN).read_text(encoding="utf-8"))
    changed = (folder / "accuracy.jsonl").stat().st_mtime
    date = datetime.datetime.fromtimestamp(changed, datetime.timezone.utc).date().isoformat()
    return {"date": date, "command": "accuracy.py"}


def main() -> int:
    """Record the tables of the accuracy benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="that accuracy.py wrote")
    folder = parser.parse_args().folder
    rows = read_rows(folder / "accuracy.jsonl")
    if not rows:
        print(f"There is no accuracy.jsonl in '{folder}'.", file=sys.stderr)
        return 2
    run = run_of(folder)
    of_scans = [row for row in rows if row.group in SCANS]
    record("groups", groups(rows), ("group", "method", "protocol"), run)
    record("scans", scans(of_scans), ("image", "method"), run)
    record("estimates", estimates(rows), ("group", "image"), run)
    return 0


if __name__ == "__main__":
    sys.exit(main())

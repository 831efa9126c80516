"""Corrections by simulated clicks: how the Dice score grows with their number.

    .venv/bin/python Testing/Benchmarks/clicks.py --data ../shared/data --out clicks

prints a table, and with ``--out`` writes ``clicks.json`` and the plot ``clicks.svg``.

An ideal user clicks at the center of the largest ball that fits into an error, adds or removes, and
takes the size that gives the highest Dice score; a click that would make it worse is undone, and
counts. Lungs start from the automatic result, fluid from nothing. Each way of correcting has a user
of its own, who follows the same rule:

S3-Net
    `regions_at`, the best of its levels for each click.
S3-Net, first
    `regions_at`, the level that it begins with: the slider is never touched.
flood fill
    Connected voxels whose values differ from the clicked one by a tolerance, at most; the best of
    ten tolerances for each click.
local threshold
    The same, but cut where it is thinner than three voxels; the best tolerance for each click.

Flood fill and local threshold work in a box twice as wide as that of S3-Net.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from cases import Case, chests
from plot import curves
from record import add_option, record
from S3NetSegmentationLib.click.box import HALF_MM
from S3NetSegmentationLib.click.nested import LEVELS
from S3NetSegmentationLib.click.regions import regions_at, warm_up
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.pipeline import segment_lungs
from S3NetSegmentationLib.settings import Settings
from scipy import ndimage

TOLERANCES = (10, 20, 30, 45, 60, 90, 130, 200, 300, 450)
"""Hounsfield units."""

TARGETS = {"diseased": 0.98, "healthy": 0.98, "fluid": 0.80}

Index = tuple[int, int, int]
Box = tuple[slice, slice, slice]
Proposals = Callable[[np.ndarray, tuple[float, ...], Index], tuple[Box, list[np.ndarray]]]
"""Takes a scan (z, y, x), its spacing by axis, and the clicked voxel; gives a box and the masks in
it to choose from."""


@dataclass(frozen=True)
class Task:
    """Something to correct: a scan, where it starts, and the truth."""

    group: str
    name: str
    scan: np.ndarray
    spacing: tuple[float, ...]
    truth: np.ndarray
    start: np.ndarray


@dataclass(frozen=True)
class Row:
    """Dice scores of one way on one scan after 0, 1, 2 ... clicks, and the seconds of a click."""

    group: str
    scan: str
    method: str
    dice: list[float]
    seconds: list[float]


def s3net(scan: np.ndarray, spacing: tuple[float, ...], index: Index):
    regions = regions_at(scan, spacing, index)
    return regions.box, [regions.mask(level) for level in range(1, LEVELS + 1)]


def s3net_first(scan: np.ndarray, spacing: tuple[float, ...], index: Index):
    regions = regions_at(scan, spacing, index)
    return regions.box, [regions.mask()]


def flood_fill(scan: np.ndarray, spacing: tuple[float, ...], index: Index):
    box, part, seed = _wide_box(scan, spacing, index)
    masks = []
    for tolerance in TOLERANCES:
        labels, _count = ndimage.label(np.abs(part - part[seed]) <= tolerance)
        masks.append(labels == labels[seed])
    return box, masks


def local_threshold(scan: np.ndarray, spacing: tuple[float, ...], index: Index):
    box, part, seed = _wide_box(scan, spacing, index)
    around = tuple(slice(max(0, i - 1), i + 2) for i in seed)
    kernel = np.ones((3, 3, 3), bool)
    masks = []
    for tolerance in TOLERANCES:
        inside = np.abs(part - part[seed]) <= tolerance
        labels, _count = ndimage.label(ndimage.binary_erosion(inside, kernel))
        near = labels[around]
        core = labels == near.max() if near.any() else np.zeros_like(inside)
        masks.append(ndimage.binary_dilation(core, kernel) & inside)
    return box, masks


METHODS: dict[str, Proposals] = {
    "S3-Net": s3net,
    "S3-Net, first": s3net_first,
    "flood fill": flood_fill,
    "local threshold": local_threshold,
}


def _wide_box(scan: np.ndarray, spacing: tuple[float, ...], index: Index):
    box = tuple(
        slice(max(0, i - round(2 * HALF_MM / size)), i + round(2 * HALF_MM / size) + 1)
        for i, size in zip(index, spacing, strict=True)
    )
    part = scan[box].astype(np.float32)
    return box, part, tuple(i - ends.start for i, ends in zip(index, box, strict=True))


def correct(task: Task, method: str, clicks: int) -> Row:
    """Let an ideal user correct a scan."""
    now, seconds = task.start.copy(), []
    scores = [dice(now, task.truth) if now.any() else 0.0]
    for _ in range(clicks):
        found = largest_error(now, task.truth, task.spacing)
        if found is None:
            break
        index, is_missing = found
        start = time.perf_counter()
        box, masks = METHODS[method](task.scan, task.spacing, index)
        seconds.append(time.perf_counter() - start)
        before, truth = now[box], task.truth[box]
        changed = [before | mask if is_missing else before & ~mask for mask in masks]
        # Outside of the box nothing changes.
        common = int((now & task.truth).sum()) - int((before & truth).sum())
        sizes = int(now.sum()) - int(before.sum()) + int(task.truth.sum())
        after = [2 * (common + (each & truth).sum()) / (sizes + each.sum()) for each in changed]
        best = int(np.argmax(after))
        if after[best] > scores[-1]:
            now[box] = changed[best]
        scores.append(max(float(after[best]), scores[-1]))
    scores += [scores[-1]] * (clicks + 1 - len(scores))
    return Row(task.group, task.name, method, scores, seconds)


def largest_error(
    now: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]
) -> tuple[Index, bool] | None:
    """The center of the largest ball that fits into an error, and whether something is missing."""
    best: tuple[float, Index, bool] | None = None
    for error, is_missing in ((truth & ~now, True), (now & ~truth, False)):
        if not error.any():
            continue
        (box,) = ndimage.find_objects(error.astype(np.uint8))
        depth = ndimage.distance_transform_edt(np.pad(error[box], 1), spacing)[1:-1, 1:-1, 1:-1]
        if best is None or depth.max() > best[0]:
            deepest = np.unravel_index(int(depth.argmax()), depth.shape)
            z, y, x = (int(i) + ends.start for i, ends in zip(deepest, box, strict=True))
            best = float(depth.max()), (z, y, x), is_missing
    return None if best is None else best[1:]


def tasks(data: Path, cache: Path, border: float) -> Iterator[Task]:
    """The fluid from nothing, and lungs from the automatic result."""
    for path in sorted((data / "diseased" / "effusion").glob("*_effusion.nii.gz")):
        image = sitk.ReadImage(str(path.with_name(path.name.replace("_effusion", ""))))
        truth = sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0
        name = path.name.removesuffix("_effusion.nii.gz")
        yield _task("fluid", Case("fluid", name, image, truth), np.zeros_like(truth))
    for group, folder in (("diseased", data / "diseased"), ("healthy", data)):
        for case in chests(folder):
            if case.name != "medseg_1full":  # the same chest as medseg_1
                yield _task(group, case, automatic(case, cache, border))


def _task(group: str, case: Case, start: np.ndarray) -> Task:
    scan = sitk.GetArrayFromImage(case.image)
    return Task(group, case.name, scan, case.image.GetSpacing()[::-1], case.truth, start)


def automatic(case: Case, cache: Path, border: float) -> np.ndarray:
    """The automatic lungs of a scan, kept on disk for the next time."""
    path = cache / f"{case.name}_{border:g}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        lungs = segment_lungs(case.image, replace(Settings(), border=border)).lung_array > 0
        np.savez_compressed(path, lungs=lungs)
    return np.load(path)["lungs"] > 0


def table(rows: list[Row]) -> list[str]:
    """For each scan and way the Dice scores; then the means and the clicks to the target."""
    clicks = len(rows[0].dice) - 1
    head = "".join(f"{number:>7}" for number in range(clicks + 1))
    lines = [f"{'group':<10}{'scan':<20}{'method':<17}{head}{'s':>7}"]
    for row in rows:
        lines.append(_line(row.group, row.scan, row.method, row.dice, row.seconds))
    for group in dict.fromkeys(row.group for row in rows):
        lines.append("")
        for method in dict.fromkeys(row.method for row in rows):
            own = [row for row in rows if (row.group, row.method) == (group, method)]
            mean = np.mean([row.dice for row in own], 0)
            spent = sum((row.seconds for row in own), [])
            lines.append(_line(group, f"mean of {len(own)}", method, mean, spent))
            needed = [
                next((n for n, d in enumerate(row.dice) if d >= TARGETS[group]), clicks + 1)
                for row in own
            ]
            middle = float(np.median(needed))
            said = f"{middle:g}" if middle <= clicks else f"more than {clicks}"
            lines[-1] += f"   Dice {TARGETS[group]:.2f} after {said} clicks at the median"
    return lines


def _line(group: str, scan: str, method: str, scores, seconds: list[float]) -> str:
    figures = "".join(f"{100 * score:7.2f}" for score in scores)
    spent = f"{np.median(seconds):7.2f}" if seconds else f"{'':7}"
    return f"{group:<10}{scan:<20}{method:<17}{figures}{spent}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/clicks"))
    parser.add_argument("--out", type=Path, help="folder for clicks.json and clicks.svg")
    parser.add_argument("--clicks", type=int, default=4)
    parser.add_argument("--groups", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--scans", nargs="+", help="only scans whose names hold one of these")
    parser.add_argument("--border", type=float, default=0.5, help="of the automatic lungs")
    parser.add_argument("--threads", type=int, help="of torch; default: its own")
    add_option(parser)
    return parser.parse_args()


def main() -> int:
    """Run the benchmark."""
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    warm_up()
    rows = []
    for task in tasks(arguments.data, arguments.cache, arguments.border):
        wanted = not arguments.scans or any(part in task.name for part in arguments.scans)
        if task.group not in arguments.groups or not wanted:
            continue
        for method in METHODS:
            rows.append(correct(task, method, arguments.clicks))
            row = rows[-1]
            print(_line(row.group, row.scan, row.method, row.dice, row.seconds), file=sys.stderr)
    if not rows:
        print(f"There are no scans in '{arguments.data}'.", file=sys.stderr)
        return 2
    print(*table(rows), sep="\n")
    means = {
        group: {
            method: np.mean(
                [row.dice for row in rows if (row.group, row.method) == (group, method)], 0
            )
            for method in METHODS
        }
        for group in dict.fromkeys(row.group for row in rows)
    }
    if arguments.record:
        made = (
            {
                "group": group,
                "method": method,
                "scans": len({row.scan for row in rows if row.group == group}),
                "dice": [100 * score for score in scores],
            }
            for group, methods in means.items()
            for method, scores in methods.items()
        )
        record("clicks", made, ("group", "method"))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps([asdict(row) for row in rows], indent=1)
        (arguments.out / "clicks.json").write_text(text, encoding="utf-8")
        (arguments.out / "clicks.svg").write_text(curves(means), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

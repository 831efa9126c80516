"""Accuracy, all methods on the same images in one run.

    .venv/bin/python Testing/Benchmarks/accuracy.py --data ../shared/data --out benchmark

appends the figures of each image to ``accuracy.jsonl``, writes ``overlays.html`` of what it
computed, and prints a table of all that the file holds. What is in the file is not computed again,
so the same command goes on where it was stopped; after a change of the code, name a new folder.
``summary.py benchmark`` then takes the figures to the documentation.

A data folder may hold ``chest3d/NAME.nii.gz`` with ``NAME_lung.nii.gz``, ``cip_copd/``,
``elastix_lung/``, ``abdomen_lung_bases/``, ``kaggle_lung_2d_64/*.npz``, ``lungsegdb_512/`` and
``ph2_skin/`` (``images/`` and ``masks/``), and ``diseased/`` with ``chest3d/`` and
``lungsegdb_512/`` of its own; ``prepare.py`` makes some of them from public downloads. The chest of
``s3net sample-data`` is added with ``--sample``.

Protocols, each named in the table:

automatic
    What a user gets: the method chooses by itself.
best cluster
    The paper's: the one cluster that overlaps the ground truth most.
best, cropped
    The authors' code: that cluster, cut to the ground truth dilated by 4 of 256 pixels. It costs
    nothing here to call the whole picture the target.

The paper's table 1 is ``--methods 'whole picture' k-means 'no network' paper 'paper as coded' s3net
--groups PH2 Kaggle --seeds 0 1 2``. A method "... without ..." is compared image by image with the
method itself, as in its table 2: ``--methods paper 'paper without affine' ...``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from cases import Case, cases
from figures import FAILED, Row, append_rows, measure, read_rows
from methods import DEFAULT, Method, methods
from overlays import Page
from S3NetSegmentationLib.errors import S3NetError
from summary import note_run, overview

ABLE = methods()


def judge(case: Case, name: str, method: Method, seed: int, page: Page) -> list[Row]:
    """Run a method once and compare it with the truth by every protocol it has a say in."""
    segment = getattr(method, case.kind)
    if segment is None:
        return []
    start = time.perf_counter()
    try:
        prediction = segment(case.image, seed)
    except S3NetError as error:
        print(f"{case.group} {case.name}, {name}, seed {seed}: {error}", file=sys.stderr)
        return [Row(case.group, case.name, name, seed, FAILED, 0, 100, 100)]
    seconds = time.perf_counter() - start
    rows = measure(case, name, seed, prediction, seconds)
    page.add(case, rows, prediction)
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sample", type=Path, help="folder that s3net sample-data made")
    parser.add_argument(
        "--methods", nargs="+", choices=ABLE, default=list(DEFAULT), metavar="METHOD",
        help=f"of {', '.join(repr(name) for name in ABLE)}",
    )  # fmt: skip
    parser.add_argument("--groups", nargs="+", help="only groups whose names hold one of these")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--quick", action="store_true", help="a few small images of each group")
    parser.add_argument("--threads", type=int, help="of torch; default: its own")
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmark"), help="a folder")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark."""
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    note_run(arguments.out)
    path = arguments.out / "accuracy.jsonl"
    finished = {(row.group, row.image, row.method, row.seed) for row in read_rows(path)}
    page = Page()
    try:
        for case in cases(arguments.data, arguments.sample, arguments.quick):
            wanted = arguments.groups
            if wanted and not any(word.lower() in case.group.lower() for word in wanted):
                continue
            for name in arguments.methods:
                for seed in arguments.seeds:
                    if (case.group, case.name, name, seed) not in finished:
                        append_rows(path, judge(case, name, ABLE[name], seed, page))
            print(f"{case.group} {case.name} done", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped; what was done until now:", file=sys.stderr)
    rows = read_rows(path)
    if not rows:
        print(f"There are no images in '{arguments.data}'.", file=sys.stderr)
        return 2
    lines = overview(rows)
    page.write(arguments.out / "overlays.html", lines)
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

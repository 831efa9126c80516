"""Accuracy, all methods on the same images in one run.

    .venv/bin/python Testing/Benchmarks/accuracy.py --data ../shared/data -o benchmark

prints a table and writes ``accuracy.json`` and ``overlays.html``.

A data folder may hold ``chest3d/NAME.nii.gz`` with ``NAME_lung.nii.gz``, ``cip_copd/``,
``elastix_lung/``, ``abdomen_lung_bases/``, ``kaggle_lung_2d_64/*.npz``, ``lungsegdb_512/`` and
``ph2_skin/`` (``images/`` and ``masks/``); the chest of ``s3net sample-data`` is added with
``--sample``.

Protocols, each named in the table:

automatic
    What a user gets: the method chooses by itself.
best cluster
    The paper's: the one cluster that overlaps the ground truth most.
best, cropped
    The authors' code: that cluster, cut to the ground truth dilated by 4 pixels. It costs
    nothing here to call the whole picture the target.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from cases import Case, cases
from figures import Row, measure, tables, write_json
from methods import DEFAULT, Method, methods
from overlays import Page
from S3NetSegmentationLib.errors import S3NetError

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
        return [Row(case.group, case.name, name, seed, "failed", 0, 100, 100)]
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
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmark"))
    return parser.parse_args()


def main() -> int:
    """Run the benchmark."""
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    page, rows = Page(), []
    try:
        for case in cases(arguments.data, arguments.sample, arguments.quick):
            wanted = arguments.groups
            if wanted and not any(word.lower() in case.group.lower() for word in wanted):
                continue
            for name in arguments.methods:
                for seed in arguments.seeds:
                    rows += judge(case, name, ABLE[name], seed, page)
            print(f"{case.group} {case.name} done", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped; what was done until now:", file=sys.stderr)
    if not rows:
        print(f"There are no images in '{arguments.data}'.", file=sys.stderr)
        return 2
    write_json(arguments.output / "accuracy.json", rows)
    lines = tables(rows)
    page.write(arguments.output / "overlays.html", lines)
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

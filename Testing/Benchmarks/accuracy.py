"""Accuracy of whole CT volumes, all methods on the same images in one run.

    .venv/bin/python Testing/Benchmarks/accuracy.py --data ../shared/data -o benchmark

prints a table and writes it as JSON, with an overview picture of every result.

A data folder may hold ``chest3d/NAME.nii.gz`` with ``NAME_lung.nii.gz``, ``cip_copd/``,
``elastix_lung/`` and ``abdomen_lung_bases/``; the chest of ``s3net sample-data`` is added with
``--sample``. Ground truth is used to judge, never to choose.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from kmeans import segment_by_kmeans
from no_network import segment_without_network
from S3NetSegmentationLib import Settings, segment_lungs
from S3NetSegmentationLib.evaluation.overlap import dice, hammoude, xor_error
from S3NetSegmentationLib.evaluation.surface import hausdorff95
from S3NetSegmentationLib.io.overview import write_overview
from S3NetSegmentationLib.sample_data import LUNG_LOBES

KNOWN = {
    "cip_copd": ("cip_copd/ct-64.nrrd", "cip_copd/wholeLung-64.nrrd"),
    "elastix_lung": (
        "elastix_lung/baseline_small_ct.nii.gz",
        "elastix_lung/baseline_small_lung.nii.gz",
    ),
    "abdomen": (
        "abdomen_lung_bases/example_ct.nii.gz",
        "abdomen_lung_bases/example_ct_lungbases.nii.gz",
    ),
    "abdomen_small": (
        "abdomen_lung_bases/example_ct_sm.nii.gz",
        "abdomen_lung_bases/example_ct_sm_lungbases.nii.gz",
    ),
}


def _s3net(mode: str) -> Callable[[sitk.Image, int], np.ndarray]:
    def segment(image: sitk.Image, seed: int) -> np.ndarray:
        result = segment_lungs(image, Settings(mode=mode, seed=seed, device="cpu"))
        return sitk.GetArrayFromImage(result.lungs) > 0

    return segment


METHODS: dict[str, Callable[[sitk.Image, int], np.ndarray]] = {
    "s3net volume": _s3net("volume"),
    "s3net slice": _s3net("slice"),
    "no network": lambda image, seed: segment_without_network(image),
    "k-means": segment_by_kmeans,
}
"""Each gives a mask in storage order from an image and a seed, without ground truth."""


@dataclass(frozen=True)
class Row:
    """Figures of one method on one image with one seed."""

    image: str
    method: str
    seed: int
    dice: float
    hm: float
    xor: float
    surface95_mm: float
    volume_error_ml: float
    seconds: float


def images(data: Path, sample: Path | None) -> Iterator[tuple[str, sitk.Image, sitk.Image]]:
    """Name, scan and lung mask of everything there is."""
    pairs = {name: (data / scan, data / mask) for name, (scan, mask) in KNOWN.items()}
    for scan in sorted((data / "chest3d").glob("*.nii.gz")):
        mask = scan.with_name(scan.name.replace(".nii.gz", "_lung.nii.gz"))
        if mask.exists():
            pairs[scan.name.removesuffix(".nii.gz")] = (scan, mask)
    for name, (scan, mask) in pairs.items():
        if scan.exists():
            yield name, sitk.ReadImage(str(scan)), sitk.ReadImage(str(mask)) != 0
    if sample:
        structures = sitk.ReadImage(str(sample / "chest_structures.nii.gz"))
        lobes = sitk.BinaryThreshold(structures, min(LUNG_LOBES), max(LUNG_LOBES))
        yield "sample chest", sitk.ReadImage(str(sample / "chest.nii.gz")), lobes


def judge(name: str, method: str, seed: int, image, truth, out: Path) -> Row:
    """Run a method once and compare it with the truth."""
    start = time.perf_counter()
    mask = METHODS[method](image, seed)
    seconds = time.perf_counter() - start
    expected = sitk.GetArrayFromImage(truth) > 0
    made = sitk.GetImageFromArray(mask.astype(np.uint8))
    made.CopyInformation(image)
    reference = sitk.GetImageFromArray(expected.astype(np.uint8))
    reference.CopyInformation(image)
    write_overview(out / f"{name} {method} {seed}.png".replace(" ", "_"), image, made)
    voxel = float(np.prod(image.GetSpacing())) / 1000
    return Row(
        name,
        method,
        seed,
        dice(mask, expected),
        hammoude(mask, expected),
        xor_error(mask, expected),
        hausdorff95(made, reference),
        (int(mask.sum()) - int(expected.sum())) * voxel,
        seconds,
    )


def summarize(rows: list[Row]) -> list[str]:
    """Mean over the seeds for each image and method, with the worst Dice."""
    lines = [
        f"{'image':<14}{'method':<14}{'Dice':>7}{'worst':>7}{'HM %':>7}{'XOR %':>7}"
        f"{'95% mm':>8}{'vol mL':>8}{'s':>7}"
    ]
    for key in dict.fromkeys((row.image, row.method) for row in rows):
        own = [row for row in rows if (row.image, row.method) == key]
        mean = {name: np.mean([asdict(row)[name] for row in own]) for name in FIGURES}
        lines.append(
            f"{key[0]:<14}{key[1]:<14}{mean['dice']:7.4f}{min(row.dice for row in own):7.4f}"
            f"{mean['hm']:7.2f}{mean['xor']:7.2f}{mean['surface95_mm']:8.2f}"
            f"{mean['volume_error_ml']:8.0f}{mean['seconds']:7.1f}"
        )
    return lines


FIGURES = ("dice", "hm", "xor", "surface95_mm", "volume_error_ml", "seconds")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sample", type=Path, help="folder that s3net sample-data made")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmark"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, image, truth in images(arguments.data, arguments.sample):
        for method in arguments.methods:
            for seed in arguments.seeds:
                rows.append(judge(name, method, seed, image, truth, arguments.output))
                print(f"{name}, {method}, seed {seed}: {rows[-1].dice:.4f}", file=sys.stderr)
    if not rows:
        print(f"There are no images in '{arguments.data}'.", file=sys.stderr)
        return 2
    table = json.dumps([asdict(row) for row in rows], indent=1)
    (arguments.output / "accuracy.json").write_text(table, encoding="utf-8")
    print(*summarize(rows), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What each loss and each module is worth: the paper's table 2 and section 4.3, on skin.

    .venv/bin/python Testing/Benchmarks/ablation.py --data ../shared/data --seeds 0 1 2

The preset "Skin, as in the paper", reduced to fewer pixels, channels and clusters so that it
runs on a CPU. One fit an image, nothing merged; its best cluster is compared with the ground
truth, as it is and cropped as in the authors' code. The spread is the standard deviation over the
seeds of the mean over the images. The difference of a variant's cropped DSC to that of all terms
together is taken image by image, each a mean over the seeds, with its standard error; below twice
that it tells nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cases import cases
from protocol import best_cluster, crop_by_truth, hammoude, xor_error
from S3NetSegmentationLib import PICTURE_PRESETS, segment_picture
from S3NetSegmentationLib.errors import FitError
from S3NetSegmentationLib.evaluation.overlap import dice

VARIANTS = {
    "all": {},
    "cross entropy only": {"weight_affine": 0, "weight_spatial": 0},
    "cross entropy, affine": {"weight_spatial": 0},
    "cross entropy, spatial": {"weight_affine": 0},
    "without inception": {"inception": False},
    "without deformable": {"deformable": False},
}


def scores(case, changes: dict, seed: int) -> tuple[float, float, float, float]:
    """DSC of the best cluster, and its DSC, HM and XOR when cropped, in percent."""
    settings = replace(PICTURE_PRESETS["skin-paper"], device="cpu", seed=seed, **changes)
    try:
        clusters = segment_picture(case.image, settings).clusters
    except FitError:
        return 0.0, 0.0, 100.0, 100.0
    best = best_cluster(clusters, case.truth)
    cropped = crop_by_truth(best, case.truth)
    return (
        100 * dice(best, case.truth),
        100 * dice(cropped, case.truth),
        hammoude(cropped, case.truth),
        xor_error(cropped, case.truth),
    )


def row(name: str, table: np.ndarray, whole: np.ndarray) -> str:
    """A line of the table, from scores (seeds, images, 4) of a variant and of all terms."""
    dsc, cropped, hm, xor = table.mean((0, 1))
    spreads = table.mean(1).std(0)
    difference = (table - whole)[:, :, 1].mean(0)
    error = difference.std(ddof=1) / len(difference) ** 0.5
    return (
        f"{name:<24}{dsc:7.2f}{spreads[0]:8.2f}{cropped:9.2f}{spreads[1]:8.2f}{hm:7.2f}{xor:7.2f}"
        f"{difference.mean():+12.2f} +- {error:.2f}"
    )


def main() -> int:
    """Run the ablation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=64, help="working size (paper: 256)")
    parser.add_argument("--channels", type=int, default=32, help="and clusters (paper: 64)")
    parser.add_argument("--threads", type=int, help="of torch; default: its own")
    parser.add_argument("-o", "--output", type=Path, help="the same as JSON")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    images = [case for case in cases(arguments.data, None, False) if case.kind == "skin"]
    reduced = {
        "working_size": arguments.size,
        "channels": arguments.channels,
        "clusters": arguments.channels,
    }
    print(
        f"{len(images)} images, {len(arguments.seeds)} seeds, {arguments.size} pixels, "
        f"{arguments.channels} channels and clusters\n"
        f"{'variant':<24}{'DSC':>7}{'spread':>8}{'cropped':>9}{'spread':>8}{'HM':>7}{'XOR':>7}"
        f"{'difference':>12}"
    )
    results: dict[str, np.ndarray] = {}
    for name, changes in VARIANTS.items():
        results[name] = np.array(
            [
                [scores(case, {**reduced, **changes}, seed) for case in images]
                for seed in arguments.seeds
            ]
        )
        print(row(name, results[name], results["all"]), flush=True)
    if arguments.output:
        arguments.output.write_text(
            json.dumps({k: v.tolist() for k, v in results.items()}), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

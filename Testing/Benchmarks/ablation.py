"""What each loss and each module is worth: the paper's table 2 and section 4.3, on skin.

    .venv/bin/python Testing/Benchmarks/ablation.py --data ../shared/data --seeds 0 1 2

The preset "Skin, as in the paper", reduced to `SIZE` pixels and `CHANNELS` channels and clusters
so that it runs on a CPU. One fit an image, nothing merged; its best cluster is compared with the
ground truth, as it is and cropped as in the authors' code. The spread is the standard deviation
over the seeds of the mean over the images.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from cases import cases
from S3NetSegmentationLib import Settings, segment_picture
from S3NetSegmentationLib.errors import FitError
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.evaluation.protocol import best_cluster, crop_by_truth

SIZE, CHANNELS = 64, 32

VARIANTS = {
    "all": {},
    "cross entropy only": {"weight_affine": 0, "weight_spatial": 0},
    "cross entropy, affine": {"weight_spatial": 0},
    "cross entropy, spatial": {"weight_affine": 0},
    "without inception": {"inception": False},
    "without deformable": {"deformable": False},
}


def scores(case, changes: dict, seed: int) -> tuple[float, float]:
    """DSC in percent of the best cluster, as it is and cropped; 0 where the fit fails."""
    settings = Settings.from_preset(
        "skin-paper",
        device="cpu",
        seed=seed,
        working_size=SIZE,
        channels=CHANNELS,
        clusters=CHANNELS,
        **changes,
    )
    try:
        clusters = segment_picture(case.image, settings).clusters
    except FitError:
        return 0.0, 0.0
    best = best_cluster(clusters, case.truth)
    return 100 * dice(best, case.truth), 100 * dice(crop_by_truth(best, case.truth), case.truth)


def main() -> int:
    """Run the ablation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--every", type=int, default=1, help="take every n-th image only")
    parser.add_argument("--threads", type=int, help="of torch; default: its own")
    parser.add_argument("-o", "--output", type=Path, help="the same as JSON")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    images = [case for case in cases(arguments.data, None, False) if case.kind == "skin"]
    images = images[:: arguments.every]
    print(
        f"{'variant':<24}{'DSC':>7}{'spread':>8}{'cropped':>9}{'spread':>8}   {len(images)} images"
    )
    results = {}
    for name, changes in VARIANTS.items():
        table = np.array(
            [[scores(case, changes, seed) for case in images] for seed in arguments.seeds]
        )
        results[name] = table.tolist()
        means, spread = table.mean((0, 1)), table.mean(1).std(0)
        print(
            f"{name:<24}{means[0]:7.2f}{spread[0]:8.2f}{means[1]:9.2f}{spread[1]:8.2f}", flush=True
        )
    if arguments.output:
        arguments.output.write_text(json.dumps(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

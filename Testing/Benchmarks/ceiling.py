"""How near a threshold comes to the ground truth when it is told the truth, on slices of the lung.

    .venv/bin/python Testing/Benchmarks/ceiling.py --data ../shared/data

For each slice the threshold, the pieces and the closing are those that overlap its ground truth
most. No method that is not told can know them, so that what separates even these lungs from a
reference is no matter of pixel values: disease as bright as tissue, or a border drawn elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from cases import WRONG_REFERENCES, cases
from S3NetSegmentationLib.evaluation.overlap import dice
from scipy import ndimage

THRESHOLDS = 64
CLOSINGS = (0, 1, 2, 4, 6, 9, 12)
"""Pixels of a slice of 512; up to twice as wide gaps are closed."""


def best_threshold(gray: np.ndarray, truth: np.ndarray) -> float:
    """The highest Dice score that a threshold with a closing can have."""
    best = 0.0
    for threshold in np.linspace(gray.min(), gray.max(), THRESHOLDS + 2)[1:-1]:
        pieces, count = ndimage.label(gray < threshold)
        in_truth = ndimage.mean(truth, pieces, np.arange(count + 1))
        in_truth[0] = 0
        mask = (in_truth > 0.5)[pieces]
        if mask.any():
            best = max(best, *(dice(each, truth) for each in closed(mask)))
    return best


def closed(mask: np.ndarray) -> list[np.ndarray]:
    """The mask without holes, by each of the closings."""
    distance = ndimage.distance_transform_edt(~mask)
    made = []
    for pixels in CLOSINGS:
        radius = pixels * max(mask.shape) / 512
        grown = np.pad(distance <= radius, 1)
        shrunk = ndimage.distance_transform_edt(grown)[1:-1, 1:-1] > radius
        made.append(ndimage.binary_fill_holes(mask | shrunk))
    return made


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for case in cases(arguments.data, None, False):
        if case.kind == "slice":
            score = 100 * best_threshold(np.asarray(case.image, float), case.truth)
            found.setdefault(case.group, {})[case.name] = score
    print(f"{'group':<15}{'n':>4}{'DSC':>7}{'worst':>7}   lowest")
    for group, scores in found.items():
        lowest = sorted(scores, key=scores.get)[:3]
        print(
            f"{group:<15}{len(scores):>4}{np.mean([*scores.values()]):7.2f}"
            f"{min(scores.values()):7.2f}   "
            + ", ".join(f"{name} {scores[name]:.2f}" for name in lowest)
        )
    for name, what in WRONG_REFERENCES.items():
        print(f"The reference of {name} {what}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How near a threshold comes to the ground truth when it is told the truth, on slices of the lung.

    .venv/bin/python Testing/Benchmarks/ceiling.py --data ../shared/data

For each slice the threshold, the pieces and the closing are those that overlap its ground truth
most; "one rule" takes the same threshold (as a share of the way from lung to tissue) and the same
closing for all slices of a group. No method that is not told can know them, so that what separates
even these lungs from a reference is no matter of pixel values: disease as bright as tissue, or a
border drawn elsewhere. The second table shows where the references of each group draw it: the mean
by the threshold, each with the closing that suits the group most.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from cases import WRONG_REFERENCES, cases
from S3NetSegmentationLib.evaluation.overlap import dice
from scipy import ndimage

SHARES = np.linspace(0.1, 1, 46)
"""Of the way from the gray of lung to that of tissue, where thresholds lie."""

SHOWN = slice(5, 40, 5)
"""Those of the second table, 0.2 to 0.8."""

CLOSINGS = (0, 1, 2, 4, 6, 9, 12)
"""Pixels of a slice of 512; up to twice as wide gaps are closed."""

NEAR, FAR = 1 / 64, 4 / 64
"""Share of a slice's size: between these distances from the lungs lies tissue."""


def scores(gray: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice scores in percent by threshold and closing."""
    distance = ndimage.distance_transform_edt(~truth) / max(truth.shape)
    lung, tissue = np.median(gray[truth]), np.median(gray[(distance > NEAR) & (distance < FAR)])
    table = np.zeros((len(SHARES), len(CLOSINGS)))
    for row, share in zip(table, SHARES, strict=True):
        pieces, count = ndimage.label(gray < lung + share * (tissue - lung))
        in_truth = ndimage.mean(truth, pieces, np.arange(count + 1))
        in_truth[0] = 0
        mask = (in_truth > 0.5)[pieces]
        if mask.any():
            row[:] = [100 * dice(each, truth) for each in closed(mask)]
    return table


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
    found: dict[str, dict[str, np.ndarray]] = {}
    for case in cases(arguments.data, None, False):
        if case.kind == "slice" and case.name not in WRONG_REFERENCES:
            table = scores(np.asarray(case.image, float), case.truth)
            found.setdefault(case.group, {})[case.name] = table
    print(f"{'group':<15}{'n':>4}{'one rule':>10}{'worst':>7}{'each':>7}{'worst':>7}   lowest")
    for group, tables in found.items():
        every = np.stack([*tables.values()])
        rule = np.unravel_index(every.mean(0).argmax(), every.shape[1:])
        common, best = every[:, rule[0], rule[1]], every.max((1, 2))
        lowest = sorted(zip(best, tables, strict=True))[:3]
        print(
            f"{group:<15}{len(every):>4}{common.mean():10.2f}{common.min():7.2f}"
            f"{best.mean():7.2f}{best.min():7.2f}   "
            + ", ".join(f"{name} {score:.2f}" for score, name in lowest)
        )
    print(f"\n{'border at':<19}" + "".join(f"{share:7.1f}" for share in SHARES[SHOWN]))
    for group, tables in found.items():
        means = np.mean([*tables.values()], 0).max(1)
        print(f"{group:<15}{len(tables):>4}" + "".join(f"{mean:7.2f}" for mean in means[SHOWN]))
    for name, what in WRONG_REFERENCES.items():
        print(f"without {name}, whose reference {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

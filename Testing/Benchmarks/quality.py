"""How near the estimate of the quality comes to the Dice score, from what ``accuracy.py`` wrote.

    .venv/bin/python Testing/Benchmarks/quality.py before/accuracy.json after/accuracy.json

prints for each file, over its volumes, the mean absolute error and the rank correlation. *Others*
is the error where what the estimate calls wrong is scaled by the factor that suits the other
patients best: what is left of it on patients to whom nothing was fitted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

SAME_PATIENT = {"medseg_1full": "medseg_1", "example_ct_sm": "example_ct"}


def scans(path: Path) -> list[tuple[str, float, float]]:
    """Patient, estimate and Dice score of each volume that the program segmented."""
    return [
        (SAME_PATIENT.get(row["image"], row["image"]), row["quality"], row["dsc"] / 100)
        for row in json.loads(path.read_text(encoding="utf-8"))
        if row["called_l"] is not None and row["quality"] is not None
    ]


def others(found: list[tuple[str, float, float]]) -> float:
    """Mean absolute error with the factor of the other patients."""
    errors = []
    for patient, quality, dice in found:
        factors = [(1 - d) / (1 - q) for other, q, d in found if other != patient and q < 1]
        errors.append(abs(1 - np.median(factors) * (1 - quality) - dice))
    return float(np.mean(errors))


def main() -> int:
    """Print a line for each file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path, nargs="+", help="accuracy.json of one or more runs")
    print(f"{'file':<40}{'scans':>6}{'error':>8}{'largest':>8}{'others':>8}{'rho':>6}")
    for path in parser.parse_args().rows:
        found = scans(path)
        if len({patient for patient, _, _ in found}) < 3:
            print(f"'{path}' holds fewer than three patients.", file=sys.stderr)
            return 2
        pairs = np.array([each[1:] for each in found])
        error = np.abs(pairs[:, 0] - pairs[:, 1])
        ranks = pairs.argsort(0).argsort(0)
        print(
            f"{str(path)[-39:]:<40}{len(found):>6}{error.mean():8.4f}{error.max():8.4f}"
            f"{others(found):8.4f}{np.corrcoef(ranks.T)[0, 1]:6.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How near the estimate of the quality comes to the Dice score.

    .venv/bin/python Testing/Benchmarks/quality.py before/accuracy.jsonl after/accuracy.jsonl

prints for each file, over its volumes, the mean absolute error and the rank correlation. *Others*
is the error where what the estimate calls wrong is scaled by the factor that suits the other
patients best: what is left of it on patients to whom nothing was fitted.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cases import SCANS
from figures import read_rows
from scipy.stats import spearmanr
from summary import estimates

SAME_PATIENT = {"medseg_1full": "medseg_1", "example_ct_sm": "example_ct"}

FEWEST = 5
"""Images for which a rank correlation says something."""


@dataclass(frozen=True)
class Agreement:
    """How near estimates come to Dice scores, in percent.

    Attributes
    ----------
    images : int
    error, largest : float
        Mean and largest absolute difference.
    others : float
        Mean absolute difference with the factor of the other patients.
    rank_correlation : float
        Spearman's; NaN for few images.
    """

    images: int
    error: float
    largest: float
    others: float
    rank_correlation: float

    @classmethod
    def of(cls, rows: list[dict]) -> Agreement:
        """The agreement of `summary.estimates`."""
        pairs = np.array([(row["quality"], row["dsc"]) for row in rows])
        errors = np.abs(pairs[:, 0] - pairs[:, 1])
        enough = len(rows) >= FEWEST
        correlation = float(spearmanr(pairs).statistic) if enough else float("nan")
        return cls(len(rows), errors.mean(), errors.max(), _others(rows), correlation)


def _others(rows: list[dict]) -> float:
    """Mean absolute error with the factor of the other patients."""
    errors = []
    for row in rows:
        factors = [
            (100 - other["dsc"]) / (100 - other["quality"])
            for other in rows
            if _patient(other) != _patient(row) and other["quality"] < 100
        ]
        if factors:
            scaled = 100 - np.median(factors) * (100 - row["quality"])
            errors.append(abs(scaled - row["dsc"]))
    return float(np.mean(errors)) if errors else float("nan")


def _patient(row: dict) -> str:
    return SAME_PATIENT.get(row["image"], row["image"])


def main() -> int:
    """Print a line for each file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path, nargs="+", help="accuracy.jsonl of one or more runs")
    print(f"{'file':<40}{'scans':>6}{'error':>8}{'largest':>8}{'others':>8}{'rho':>6}")
    for path in parser.parse_args().rows:
        found = [row for row in estimates(read_rows(path)) if row["group"] in SCANS]
        if not found:
            print(f"'{path}' holds no scans with an estimate.", file=sys.stderr)
            return 2
        agreement = Agreement.of(found)
        print(
            f"{str(path)[-39:]:<40}{agreement.images:>6}{agreement.error:8.2f}"
            f"{agreement.largest:8.2f}{agreement.others:8.2f}{agreement.rank_correlation:6.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

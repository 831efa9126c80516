"""The figures of the accuracy benchmark, a row for each image, method, seed and protocol."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from cases import Case
from methods import Prediction
from protocol import best_cluster, crop_by_truth, hammoude, xor_error
from S3NetSegmentationLib.evaluation.overlap import dice
from surface import hausdorff95, surface_dice

NAN = float("nan")

FAILED = "failed"
"""In place of a protocol, where a method gave no result."""

TOLERANCE = 2.0
"""Millimeters within which two readers' surfaces are the same."""


@dataclass(frozen=True)
class Row:
    """Figures of one method on one image with one seed by one protocol.

    `dsc`, `hm` and `xor` in percent; `false_l`, liters called lung beyond the truth, and
    `called_l`, liters called lung in all. `diagonal_mm` is that of a voxel. `nsd`, the surface
    Dice at 2 mm, and `infected`, the share of the infection that was found, in percent.
    """

    group: str
    image: str
    method: str
    seed: int
    protocol: str
    dsc: float
    hm: float
    xor: float
    surface95_mm: float = NAN
    nsd: float = NAN
    infected: float = NAN
    diagonal_mm: float = NAN
    volume_error_ml: float = NAN
    false_l: float = NAN
    called_l: float = NAN
    seconds: float = NAN
    quality: float = NAN


def measure(
    case: Case, method: str, seed: int, prediction: Prediction, seconds: float
) -> list[Row]:
    """Compare with the truth, by every protocol there is something for."""
    rows = []

    def add(protocol: str, mask: np.ndarray, **more) -> None:
        overlap = (
            100 * dice(mask, case.truth),
            hammoude(mask, case.truth),
            xor_error(mask, case.truth),
        )
        rows.append(
            Row(case.group, case.name, method, seed, protocol, *overlap, seconds=seconds, **more)
        )

    if prediction.mask is not None:
        add("automatic", prediction.mask, quality=prediction.quality, **_in_space(case, prediction))
    if prediction.clusters is not None and case.kind != "volume":
        best = best_cluster(prediction.clusters, case.truth)
        add("best cluster", best)
        add("best, cropped", crop_by_truth(best, case.truth))
    return rows


def _in_space(case: Case, prediction: Prediction) -> dict[str, float]:
    """Distances and volumes, of scans alone."""
    if case.kind != "volume":
        return {}
    made, truth = (_like(case.image, mask) for mask in (prediction.mask, case.truth))
    milliliters = float(np.prod(case.image.GetSpacing())) / 1000
    difference = int(prediction.mask.sum()) - int(case.truth.sum())
    infection = np.zeros_like(case.truth) if case.infection is None else case.infection
    found = prediction.mask[infection]
    return {
        "surface95_mm": hausdorff95(made, truth),
        "nsd": 100 * surface_dice(made, truth, TOLERANCE),
        "infected": 100 * float(found.mean()) if found.size else NAN,
        "diagonal_mm": math.hypot(*case.image.GetSpacing()),
        "volume_error_ml": difference * milliliters,
        "false_l": int((prediction.mask & ~case.truth).sum()) * milliliters / 1000,
        "called_l": int(prediction.mask.sum()) * milliliters / 1000,
    }


def _like(image: sitk.Image, mask: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(np.ascontiguousarray(mask).astype(np.uint8))
    made.CopyInformation(image)
    return made


def append_rows(path: Path, rows: list[Row]) -> None:
    """A line of JSON for each row; what is no number becomes null."""
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            plain = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in asdict(row).items()
            }
            file.write(json.dumps(plain, default=float) + "\n")


def read_rows(path: Path) -> list[Row]:
    """The rows that `append_rows` wrote; none where there is no file."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        Row(**{name: NAN if value is None else value for name, value in json.loads(line).items()})
        for line in lines
    ]

"""The figures of the benchmark, and the tables that they make."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from cases import WRONG_REFERENCES, Case
from methods import Prediction
from protocol import best_cluster, crop_by_truth, hammoude, xor_error
from S3NetSegmentationLib.evaluation.overlap import dice
from scipy.stats import spearmanr
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


def tables(rows: list[Row]) -> list[str]:
    """For each group, method and protocol: mean over the images, median, worst; then by image."""
    lines = [
        f"{'group':<15}{'method':<26}{'protocol':<15}{'n':>3}{'DSC':>7}{'median':>7}{'worst':>7}"
        f"{'HM':>7}{'XOR':>7}{'s':>7}{'seeds':>7}{'lowest':>7}{'spread':>7}{'rho':>6}"
    ]
    for key in dict.fromkeys((row.group, row.method, row.protocol) for row in rows):
        own = [row for row in rows if (row.group, row.method, row.protocol) == key]
        right = [row for row in own if row.image not in WRONG_REFERENCES]
        lines.append(_summary(*key, own))
        if len(right) < len(own):
            lines.append(_summary(f"{key[0]} *", *key[1:], right))
    lines += [
        "",
        "lowest: the mean of the worst seed; spread: standard deviation of the means of the seeds;",
        "rho: rank correlation of the method's own quality estimate with the DSC.",
    ]
    wrong = [name for name in WRONG_REFERENCES if any(row.image == name for row in rows)]
    lines += [f"* without {name}, whose reference {WRONG_REFERENCES[name]}" for name in wrong]
    return lines + _ablations(rows) + _by_scan([row for row in rows if row.called_l >= 0])


def _ablations(rows: list[Row]) -> list[str]:
    """Each method "X without Y" less method X, image by image, means over the seeds of both."""
    lines = []
    for group, method, protocol in dict.fromkeys((r.group, r.method, r.protocol) for r in rows):
        whole, without, _ = method.partition(" without ")
        if not without:
            continue
        own, all_of_it = (
            {(r.image, r.seed): r.dsc for r in rows if (r.group, r.method, r.protocol) == key}
            for key in ((group, method, protocol), (group, whole, protocol))
        )
        by_image: dict[str, list[float]] = {}
        for image, seed in own.keys() & all_of_it.keys():
            by_image.setdefault(image, []).append(own[image, seed] - all_of_it[image, seed])
        if len(by_image) > 1:
            differences = [np.mean(each) for each in by_image.values()]
            error = np.std(differences, ddof=1) / len(differences) ** 0.5
            lines.append(
                f"{group:<15}{method:<26}{protocol:<15}{len(by_image):>3}"
                f"{np.mean(differences):+7.2f} +- {error:.2f}"
            )
    if not lines:
        return []
    title = f"{'group':<15}{'difference of DSC':<26}{'protocol':<15}{'n':>3}   mean +- its error"
    return ["", title, *lines, "a difference below twice its error tells nothing"]


def _summary(group: str, method: str, protocol: str, rows: list[Row]) -> str:
    if not rows:
        return f"{group:<15}{method:<26}{protocol:<15}  0"
    by_seed = [
        np.mean([row.dsc for row in rows if row.seed == seed])
        for seed in sorted({row.seed for row in rows})
    ]
    dsc = [row.dsc for row in rows]
    return (
        f"{group:<15}{method:<26}{protocol:<15}{len({row.image for row in rows}):>3}"
        f"{np.mean(dsc):7.2f}{np.median(dsc):7.2f}{min(dsc):7.2f}"
        f"{np.mean([row.hm for row in rows]):7.2f}{np.mean([row.xor for row in rows]):7.2f}"
        f"{np.mean([row.seconds for row in rows]):7.1f}{len(by_seed):>7}{min(by_seed):7.2f}"
        f"{np.std(by_seed):7.2f}{_rank_correlation(rows):>6}"
    )


def _rank_correlation(rows: list[Row]) -> str:
    pairs = [(row.quality, row.dsc) for row in rows if not math.isnan(row.quality)]
    if len(pairs) < 5:
        return ""
    return f"{spearmanr(pairs).statistic:.2f}"


def _by_scan(rows: list[Row]) -> list[str]:
    """Scans one by one, mean over the seeds."""
    if not rows:
        return []
    lines = [
        "",
        f"{'scan':<18}{'method':<26}{'DSC':>7}{'lowest':>7}{'95% mm':>8}{'NSD':>7}"
        f"{'inf. %':>7}{'voxel':>7}{'vol mL':>8}"
        f"{'called L':>9}{'false L':>8}{'quality':>8}{'s':>7}",
    ]
    for key in dict.fromkeys((row.image, row.method) for row in rows):
        own = [row for row in rows if (row.image, row.method) == key]
        mean = {
            name: np.mean([getattr(row, name) for row in own])
            for name in Row.__dataclass_fields__
            if isinstance(getattr(own[0], name), float)
        }
        lines.append(
            f"{key[0]:<18}{key[1]:<26}{mean['dsc']:7.2f}{min(row.dsc for row in own):7.2f}"
            f"{mean['surface95_mm']:8.2f}{mean['nsd']:7.2f}{mean['infected']:7.1f}"
            f"{mean['diagonal_mm']:7.2f}{mean['volume_error_ml']:8.0f}{mean['called_l']:9.3f}"
            f"{mean['false_l']:8.3f}{mean['quality']:8.2f}{mean['seconds']:7.1f}"
        )
    return lines


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

"""How much the lungs depend on each constant of ``lung/``: one at a time is changed.

    .venv/bin/python Testing/Benchmarks/plateaus.py --data ../shared/data -o plateaus

prints, for each constant, the values around its own at which the result stays the same: on
average to 0.001, in every scan to 0.005. The result is the Dice score, in which a voxel on
another side than before counts as wrong; for ``quality.py`` it is how near the estimate comes to
the score, for ``tissues.py`` the share of the body that is the same kind of tissue as before, and
for ``figures.py`` and ``findings.py`` the number of hints. What needs other fits is tried on few
scans. Run again, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from cases import Case, cases
from record import add_option, record
from S3NetSegmentationLib import lung, pipeline
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.lung.decision import decide_lungs
from S3NetSegmentationLib.lung.figures import measure
from S3NetSegmentationLib.lung.quality import assess
from S3NetSegmentationLib.lung.scan import prepare
from S3NetSegmentationLib.lung.tissues import KINDS, kind_of
from S3NetSegmentationLib.orientation import AxialOrientation
from S3NetSegmentationLib.pipeline import segment_lungs
from S3NetSegmentationLib.result import LungResult
from S3NetSegmentationLib.settings import Settings

MODULES = {
    path.stem: importlib.import_module(f"{lung.__name__}.{path.stem}")
    for path in sorted(Path(lung.__file__).parent.glob("[a-z]*.py"))
}
NO_THRESHOLDS = {"UNSURE_OFFSET", "EMPHYSEMA_HU", "LUNG_HU", "AIR_HU", "DOUBTFUL_QUALITY"}
NO_THRESHOLDS |= {"HYPERINFLATED_HU", "POOR_HU", "NONE_HU"}
NO_THRESHOLDS |= {"MIN_SLICE_SHARE", "LEFTWARD", "BACKWARD", "UPWARD", "MAX_NAMED"}
REFITTED = {"TABLE_MM", "AIR_OR_LUNG_HU", "SOFT_TISSUE_HU", "COARSE_MM", "WIDE_WINDOW_HU"}
REFITTED |= {"GAS_WINDOW_HU", "BODY_WEIGHT", "SAME_CLUSTER_HU", "OVERLAP_HU"}
DECIDING = {"decision", "gas", "sides", "airways", "disease", "fine", "haze", "pockets", "rib_cage"}
AFTERWARD = {"quality", "figures", "findings"}
FEW_SCANS = ("cip_copd", "elastix_lung", "medseg_2")
MAX_MEAN_CHANGE, MAX_CHANGE = 0.001, 0.005


def constants() -> Iterator[tuple[str, str, float]]:
    """Module, name, and value of each."""
    for stem, module in MODULES.items():
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
            names = ast.walk(node) if isinstance(node, ast.Assign) else ()
            found = {each.id for each in names if isinstance(each, ast.Name)}
            for name in sorted(found - NO_THRESHOLDS):
                value = getattr(module, name, None)
                if name.isupper() and type(value) in (int, float):
                    yield stem, name, value


def values(name: str, value: float) -> list[list[float]]:
    """What to try instead, below and above, from far to near."""
    unit = name.rpartition("_")[2]
    if unit in ("PIXELS", "VOXELS", "SLICES", "BINS", "PLACES"):
        return [[value - 1] * (value > 1), [value + 1]]
    if unit == "PERCENT":
        return [[value - 9, value - 5], [value + 9, value + 5]]
    if unit == "HU" and abs(value) >= 150:
        return [[value - 100, value - 50], [value + 100, value + 50]]
    digits = None if isinstance(value, int) else 6
    return [
        [round(value * factor, digits) for factor in side] for side in ((0.6, 0.8), (1.6, 1.25))
    ]


class Run:
    """A scan that was segmented, and what becomes of it with other constants."""

    def __init__(self, case: Case, mode: str):
        self.case, self.settings = case, Settings(mode=mode)
        self.order = AxialOrientation(Geometry.of(case.image))
        self.hounsfield = self.order.apply(sitk.GetArrayViewFromImage(case.image))
        self.truth = self.order.apply(case.truth)
        self.result = segment_lungs(case.image, self.settings)
        self.lungs = self.order.apply(self.result.lung_array)

    def changed(self, module: str, name: str, value: float) -> float:
        """By how much the figure changes; the constant is set wherever it was imported."""
        users = [each for each in MODULES.values() if hasattr(each, name)]
        before, own = self.figure(module, again=False), getattr(users[0], name)
        try:
            for each in users:
                setattr(each, name, value)
            return self.figure(module, again=True) - before
        finally:
            for each in users:
                setattr(each, name, own)

    def figure(self, module: str, again: bool) -> float:
        """What the module is for, after the steps that it has a part in."""
        result, scan, lungs = self.result, self.result.scan, self.lungs
        if again and module in DECIDING:
            if module == "airways":
                scan = prepare(self.hounsfield, self.order.spacing, self.settings.working_size)
            lungs = decide_lungs(
                result.labels, result.chosen, scan, self.hounsfield, self.order, self.settings
            )
        elif again and module not in AFTERWARD:
            result = segment_lungs(self.case.image, self.settings)
            lungs = self.order.apply(result.lung_array)
        if module == "tissues":
            before, now = (
                _kinds(each)[self.result.tissue_array > 0] for each in (self.result, result)
            )
            return float(np.mean(before == now))
        if module in AFTERWARD - {"quality"}:
            return len(measure(lungs, scan, self.hounsfield, self.order, 1.0).hints)
        right = self.truth & (lungs > 0) & ((self.lungs == 0) | (lungs == self.lungs))
        total = np.count_nonzero(lungs) + np.count_nonzero(self.truth)
        dice = 2 * np.count_nonzero(right) / total
        if module != "quality":
            return dice
        return 1 - abs(assess(scan.grid.down(lungs > 0)[scan.box] > 0.5, scan).score - dice)


def _kinds(result: LungResult) -> np.ndarray:
    """The kind of tissue of each voxel, 0 outside the body."""
    kinds = [0, *(1 + KINDS.index(kind_of(tissue.mean_hu)) for tissue in result.tissue_table)]
    return np.array(kinds, np.uint8)[result.tissue_array]


def fit_once() -> None:
    """Let the same fit to the same images be done once."""
    fit, done = pipeline.fit, {}

    def fitted(images, settings, step):
        key = images.cpu().numpy().tobytes()
        return done.setdefault(key, done.get(key) or fit(images, settings, step))

    pipeline.fit = fitted


def try_constants(case: Case, rows: Path, done: dict) -> None:
    """Change every constant in turn; values between two that change nothing are not tried."""
    runs: dict[str, Run] = {}
    for module, name, own in constants():
        mode = "slice" if module == "matching" else "volume"
        scans = FEW_SCANS[:1] if mode == "slice" else FEW_SCANS
        if name in REFITTED and case.name not in scans:
            continue
        for side in values(name, own):
            for value in side:
                key = (f"{module}.{name}", value, case.name)
                if key not in done:
                    run = runs[mode] = runs.get(mode) or Run(case, mode)
                    done[key] = run.changed(module, name, value)
                    with rows.open("a", encoding="utf-8") as file:
                        print(json.dumps([*key, done[key]]), file=file)
                if abs(done[key]) < MAX_MEAN_CHANGE:
                    break


def table(done: dict) -> Iterator[dict[str, str]]:
    """Each constant: its plateau, and the largest changes on average and in a scan."""
    for module, name, own in constants():
        constant = f"{module}.{name}"
        scans = {scan for other, _, scan in done if other == constant}
        ends, most = [], [0.0, 0.0]
        for side in values(name, own):
            end = own
            for value in reversed(side):
                changes = [done.get((constant, value, scan), 0.0) for scan in scans] or [0.0]
                found = [float(np.mean(changes)), max(changes, key=abs)]
                most = [max(pair, key=abs) for pair in zip(most, found, strict=True)]
                if abs(found[0]) >= MAX_MEAN_CHANGE or abs(found[1]) >= MAX_CHANGE:
                    break
                end = value
            ends.append(end)
        yield {
            "constant": constant,
            "value": f"{own:g}",
            "plateau": f"{ends[0]:g} to {ends[1]:g}" if ends[0] < ends[1] else "**none**",
            "change": f"{most[0]:+.4f}, {most[1]:+.4f}" if any(most) else "none",
        }


def main() -> int:
    """Try what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sample", type=Path, help="folder that s3net sample-data made")
    parser.add_argument("-o", "--output", type=Path, default=Path("plateaus"))
    add_option(parser)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "rows.jsonl"
    path.touch()
    fit_once()
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    done = {(name, value, scan): change for name, value, scan, change in lines}
    found = [
        each for each in cases(arguments.data, arguments.sample, False) if each.kind == "volume"
    ]
    for case in sorted(found, key=lambda case: case.truth.size):
        try_constants(case, path, done)
    rows = list(table(done))
    for row in rows:
        print(*row.values(), sep=" | ")
    if arguments.record:
        record("constants", rows, ("constant",))
    return 0


if __name__ == "__main__":
    sys.exit(main())

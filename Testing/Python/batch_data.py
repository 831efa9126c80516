"""Small scans for batches, and helpers that look at what came out."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import phantom
import quick
import S3NetSegmentationLib
import SimpleITK as sitk
from S3NetSegmentationLib.evaluation.overlap import dice

QUICK = replace(quick.QUICK, working_size=48, fitted_slices=3, iterations=10)
SMALL = {"spacing": (8, 7, 8), "size": (52, 40, 38)}

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(S3NetSegmentationLib.__file__).parents[1]),
    "OMP_NUM_THREADS": "1",  # benchmarks, which import this, have no conftest
}
COMMAND = [
    *(sys.executable, "-c"),
    "import sys\n"
    "from S3NetSegmentationLib.cli import main\n"
    "from S3NetSegmentationLib.settings import PRESETS, Settings\n"
    f"PRESETS['lung-ct'] = Settings(**{QUICK.as_dict()!r})\n"
    "sys.exit(main())",
    "batch",
]
"""``s3net batch`` with quick settings."""


def small_chest(**more) -> phantom.Phantom:
    """A phantom that is segmented in a second."""
    return phantom.thorax(**SMALL, **more)


def write_chest(path: Path, **more) -> phantom.Phantom:
    """A phantom as an image file."""
    found = small_chest(**more)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(found.image, str(path))
    return found


def is_right(path: Path, found: phantom.Phantom) -> bool:
    """Whether lungs in a file are those of the phantom, side by side, at the same place.

    DICOM has no left-handed volumes; their slices come back in the opposite order.
    """
    lungs, truth = sitk.ReadImage(str(path)), found.lungs
    orientation = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines
    lungs = sitk.DICOMOrient(lungs, orientation(truth.GetDirection()))
    if lungs.GetSize() != truth.GetSize() or not np.allclose(
        [*lungs.GetOrigin(), *lungs.GetSpacing(), *lungs.GetDirection()],
        [*truth.GetOrigin(), *truth.GetSpacing(), *truth.GetDirection()],
        atol=1e-3,
    ):
        return False
    lungs, truth = map(sitk.GetArrayFromImage, (lungs, truth))
    return min(dice(lungs == label, truth == label) for label in (1, 2)) > 0.93


def by_place(output: Path, records: list[dict]) -> dict[str, dict]:
    """The records by the places of their scans."""
    import csv

    with (output / "names.csv").open(newline="", encoding="utf-8") as file:
        names = {row["name"]: row["place"] for row in csv.DictReader(file)}
    return {names[record["name"]]: record for record in records}


def leftovers(output: Path) -> list[str]:
    """What should not be there after a batch."""
    return [path.name for path in output.rglob(".s3net*")]


def scan_processes(output: Path, name: str = "") -> list[int]:
    """Processes that segment a scan, perhaps of that name, for this output folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            alive = "Z" not in (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if (
            alive
            and b"one_scan:segment_scan" in line
            and os.fsencode(output) in line
            and name.encode() in line
        ):
            found.append(int(folder.name))
    return found


def wait_for(condition, seconds: float = 600, pause: float = 0.02):
    """What a condition yields as soon as it is true; a busy machine may need minutes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(pause)
    raise TimeoutError


def batch_script(source: Path, output: Path, **more) -> list[str]:
    """A command that runs a quick batch in a process of its own."""
    arguments = json.dumps({"jobs": 2, **more})
    code = (
        "import json, sys\n"
        "from S3NetSegmentationLib import Settings\n"
        "from S3NetSegmentationLib.batch.run import run_batch\n"
        f"run_batch({str(source)!r}, {str(output)!r}, Settings(**{QUICK.as_dict()!r}),\n"
        "  on_record=lambda record: print(record['name'], flush=True),\n"
        f"  **json.loads({arguments!r}))"
    )
    return [sys.executable, "-c", code]

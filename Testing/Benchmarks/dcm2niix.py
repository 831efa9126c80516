"""Compare how dcm2niix, an independent program, and this one read DICOM series.

    .venv/bin/python Testing/Benchmarks/dcm2niix.py

reads every series of the evaluation images and of pydicom's samples with both programs, and prints
how far apart the corners of the volumes are and how much the voxels differ. The exit code is 0 if
every series is the same for both (within 0.01 mm and exactly in Hounsfield units), is refused by
one, or differs in a way that was investigated and is explained in the table. Padding, which becomes
air here, is not compared.

dcm2niix comes from PyPI (``pip install dcm2niix``) or Debian (``apt-get install dcm2niix``).
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom.data
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

from real_data import DATA  # noqa: E402
from record import add_option, record  # noqa: E402
from S3NetSegmentationLib.errors import InputError  # noqa: E402
from S3NetSegmentationLib.io.dicom import Series, find_series, read_series  # noqa: E402
from S3NetSegmentationLib.io.dicom_stack import OUTSIDE_HU  # noqa: E402
from S3NetSegmentationLib.io.files import files_below  # noqa: E402
from S3NetSegmentationLib.io.scan import ReadScan  # noqa: E402
from S3NetSegmentationLib.io.validate import check_volume  # noqa: E402

NEAR_MM = 0.01
KNOWN = {
    "IMG0001.dcm": "dcm2niix takes the distance of the first two slices, rounded, for all",
    "IM-0001-0001.dcm": "in a row at the border, dcm2niix mixes in what lies outside",
    "J2K_pixelrep_mismatch.dcm": "dcm2niix takes signed values for unsigned ones",
}
"""Why a series differs, by the name of its first file; the file shows which program is right."""

SAMPLES = Path(pydicom.data.__file__).parent / "test_files"


def converted(program: str, series: Series) -> list[sitk.Image]:
    """The volumes that dcm2niix makes from a series, perhaps none."""
    with tempfile.TemporaryDirectory(prefix="s3net-") as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        source.mkdir()
        target.mkdir()
        for number, path in enumerate(series.paths):
            shutil.copyfile(path, source / f"{number}.dcm")
        command = [program, "-b", "n", "-z", "n", "-m", "y", "-f", "%s", "-o", target, source]
        subprocess.run(command, capture_output=True, check=False, timeout=300)
        volumes = []
        for path in sorted(target.glob("*.nii")):
            try:
                volumes.append(sitk.ReadImage(str(path)))
            except RuntimeError:  # for example, colors
                continue
    return [each for each in volumes if each.GetDimension() == 3]


def read(series: Series) -> ReadScan | str:
    """The scan in a series, or why it is refused."""
    try:
        scan = read_series(series)
        check_volume(scan.image)
    except InputError as error:
        return str(error)
    return scan


def corners(image: sitk.Image) -> np.ndarray:
    """Where the first and last voxels lie, (8, 3) in millimeters."""
    ends = itertools.product(*((0, length - 1) for length in image.GetSize()))
    return np.array([image.TransformIndexToPhysicalPoint(each) for each in ends])


def compare(ours: sitk.Image, theirs: sitk.Image) -> tuple[float, float] | None:
    """Distance of the corners in mm and difference of the voxels; None if the sizes differ."""
    ours, theirs = (sitk.DICOMOrient(each, "LPS") for each in (ours, theirs))
    if ours.GetSize() != theirs.GetSize():
        return None
    apart = np.linalg.norm(corners(ours) - corners(theirs), axis=1).max()
    here, there = (sitk.GetArrayFromImage(each).astype(float) for each in (ours, theirs))
    is_padding = (here == OUTSIDE_HU) & (there < OUTSIDE_HU)
    return float(apart), float(np.abs(here - there)[~is_padding].max())


def judge(program: str, series: Series) -> tuple[str, str]:
    """The outcome in words, and its category."""
    scan, theirs = read(series), converted(program, series)
    if isinstance(scan, str):
        return scan, "refused by both" if not theirs else "refused by this program"
    size = " x ".join(map(str, scan.image.GetSize()))
    if not theirs:
        return size, "refused by dcm2niix"
    found = [each for each in (compare(scan.image, volume) for volume in theirs) if each]
    if not found:
        sizes = ", ".join(" x ".join(map(str, each.GetSize())) for each in theirs)
        left_out = [each for each in scan.warnings if "left out" in each]
        said = f"{size}, {sizes} by dcm2niix; {' '.join(left_out)}"
        return said, "left out with a warning" if left_out else "different"
    apart, differ = min(found)
    said = f"{size}, {apart:.3f} mm and {differ:g} HU apart"
    if apart <= NEAR_MM and differ == 0:
        return said, "same"
    reason = KNOWN.get(series.paths[0].name)
    return (f"{said}; {reason}", "explained") if reason else (said, "different")


def main() -> int:
    """Compare, and print a line for each series."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--dcm2niix", default="dcm2niix", metavar="PROGRAM")
    parser.add_argument("--data", type=Path, nargs="*", default=[DATA, SAMPLES], metavar="FOLDER")
    add_option(parser)
    arguments = parser.parse_args()
    program = shutil.which(arguments.dcm2niix)
    if program is None:
        print("dcm2niix is missing; install it: pip install dcm2niix", file=sys.stderr)
        return 2
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    counts: Counter[str] = Counter()
    rows = []
    for folder in arguments.data:
        for series in find_series(files_below(folder)):
            said, outcome = judge(program, series)
            counts[outcome] += 1
            name = series.paths[0].relative_to(folder).as_posix()
            rows.append(
                {"series": name, "files": len(series.paths), "outcome": outcome, "details": said}
            )
            print(*rows[-1].values(), sep=" | ", flush=True)
    if arguments.record:
        record("series", rows, ("series",))
    print("", *(f"{count} {outcome}" for outcome, count in counts.most_common()), sep="\n")
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())

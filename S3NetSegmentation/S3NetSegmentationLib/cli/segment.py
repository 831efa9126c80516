"""The command ``s3net segment`` for scans; ``cli.picture`` does pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled, InputError, SeriesError
from ..settings import CHOICES, PICTURE_PRESETS, PRESETS, Settings
from .common import (
    EXIT_NO_LUNGS,
    add_engine,
    check_outputs,
    fail,
    interruptible,
    outputs_of,
    path_of,
    progress_bar,
    say,
    scan_settings,
    write_all,
    written,
)
from .picture import is_picture, segment_a_picture

# SimpleITK and torch are imported where they are used, so --help is fast.
if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..io.scan import ReadScan
    from ..result import LungResult

EXAMPLES = """\
examples:
  s3net segment chest.nii.gz -o lungs.seg.nrrd
  s3net segment dicom-folder -o lungs.seg.nrrd --overview lungs.png --json lungs.json
  s3net segment dicom-folder -o lungs.nii.gz --series 2 --device cuda
  s3net segment lesion.jpg -o mask.png --preset skin --overview outlined.png
  s3net segment slice.png -o mask.png
  s3net batch scans/ -o lungs/
  s3net sample-data && s3net segment sample-data/chest.nii.gz -o lungs.seg.nrrd

exit codes:
  0 done   1 failed   2 bad input or option   3 no lungs in the scan
  130 stopped by Ctrl-C or SIGTERM
"""


def add_segment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``add_subparsers``."""
    command = commands.add_parser(
        "segment",
        help="segment the lungs of a scan, or a picture",
        description="Segments the right and the left lung in a chest CT; or in a single picture "
        "the lungs of a CT slice without Hounsfield units, or with --preset skin a lesion.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add(
        "input",
        type=path_of,
        metavar="INPUT",
        help="DICOM folder or file, NIfTI, NRRD or MetaImage; a picture: PNG, JPEG, TIFF or DICOM",
    )
    add(
        *("-o", "--output"),
        type=path_of,
        required=True,
        help="lungs: .seg.nrrd (segmentation for 3D Slicer), or as a label map (1 right, 2 left) "
        ".nii, .nii.gz, .nrrd or .mha, or as DICOM SEG .dcm; of a picture: its mask, .png or .tif",
    )
    add("--series", help="which series of a DICOM folder: its number in the list, or its UID")
    add(
        "--preset",
        choices=[*PRESETS, *PICTURE_PRESETS],
        help="lung-ct: lungs in CT (default); skin: a skin lesion in a picture",
    )
    add_engine(command)
    add(
        "--choose",
        dest="choice",
        choices=CHOICES,
        help="picture: take the central, the darkest or the brightest region",
    )
    add("--at", type=_point, metavar="X,Y", help="picture: take the region at this pixel")
    add(
        "--tissues",
        type=int,
        metavar="N",
        help="maximum number of tissues that the clusters are merged into, 4 to 32 (default: 8, "
        "one of each kind)",
    )
    add(
        "--clusters",
        type=path_of,
        metavar="OUT",
        help="also write the tissues (merged clusters) as a label map; for a picture its clusters",
    )
    add(
        "--overview",
        type=path_of,
        metavar="PNG",
        help="write a picture for a quick visual check of the lungs",
    )
    add(
        "--json",
        type=path_of,
        metavar="FILE",
        help="write all numbers, texts to copy, tissues, settings, and timings",
    )
    add(
        "--allow-empty",
        action="store_true",
        help="write an empty segmentation if the scan has no lungs",
    )
    command.set_defaults(run=_segment)


def _point(text: str) -> tuple[int, int]:
    """Parse column and row of a pixel, "X,Y"."""
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a pixel position, such as 120,80"
        ) from error
    return x, y


def _segment(arguments: argparse.Namespace) -> int:
    """Run ``s3net segment``; files are written only after everything has succeeded."""
    if is_picture(arguments):
        return segment_a_picture(arguments)
    if arguments.at:
        raise InputError("--at applies only to pictures; a scan has more than one slice.")
    settings = scan_settings(arguments)
    check_outputs(arguments)
    with interruptible() as cancelled:
        from ..io.dicom_seg import check_source
        from ..io.formats import DICOM
        from ..io.originals import check_originals
        from ..io.read import read_scan
        from ..summary import as_lines

        try:
            scan = read_scan(arguments.input, arguments.series)
        except SeriesError as error:
            raise InputError(f"{error}\nGive the number with the option --series.") from error
        check_originals(outputs_of(arguments), scan.files)
        if arguments.output.name.lower().endswith(DICOM):
            check_source(scan.files)
        result = _run(scan.image, settings, cancelled)
        result = replace(result, warnings=(*scan.warnings, *result.warnings))
        if not result.lungs_found and not arguments.allow_empty:
            return fail(
                "No lungs were found in this scan; nothing was written (--allow-empty writes an "
                "empty segmentation).",
                EXIT_NO_LUNGS,
            )
        _write(arguments, scan, result, cancelled)
    say(*as_lines(result), *written(arguments))
    if not result.lungs_found:
        return fail("No lungs were found in this scan; the segmentation is empty.", EXIT_NO_LUNGS)
    return 0


def _run(image: sitk.Image, settings: Settings, cancelled: Callable[[], bool]) -> LungResult:
    """Segment with a progress bar."""
    from ..pipeline import segment_lungs

    if cancelled():
        raise Cancelled
    with progress_bar() as on_progress:
        return segment_lungs(image, settings, on_progress=on_progress, is_cancelled=cancelled)


def _write(
    arguments: argparse.Namespace,
    scan: ReadScan,
    result: LungResult,
    cancelled: Callable[[], bool],
) -> None:
    """Write every file that was requested, all of them or none."""
    from ..io.dicom_seg import make_dicom_seg, write_dicom_seg
    from ..io.formats import DICOM
    from ..io.overview import write_overview
    from ..io.write import write_image, write_json, write_segmentation
    from ..summary import as_dict

    def write_lungs(path: Path) -> None:
        if path.name.lower().endswith(DICOM):
            write_dicom_seg(path, make_dicom_seg(result.lungs, scan.files))
        else:
            write_segmentation(path, result.lungs)

    writers = (
        (arguments.output, write_lungs),
        (arguments.clusters, lambda path: write_image(path, result.tissues)),
        (arguments.overview, lambda path: write_overview(path, scan.image, result.lungs)),
        (arguments.json, lambda path: write_json(path, as_dict(result))),
    )
    write_all(writers, cancelled)

"""Segment one scan of a batch, in its own process: from its files to outputs in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, LabelMapError
from ..io.files import temporary_folder
from ..io.overview import compose_overview
from ..io.read import read_files
from ..io.scan import ReadScan
from ..io.write import without_nan, write_segmentation
from ..jobs.process_setup import load_torch
from ..jobs.protocol import read_job
from ..progress import Progress
from ..resampling import resized
from ..result import LungResult
from ..settings import Settings
from .records import OVERVIEW, ScanTask
from .words import DICOM_SEG, DONE, NO_LUNGS, SKIPPED

OVERVIEW_PIXELS = 640
"""Width of the overview in the report when it is enlarged."""

JPEG_QUALITY = 80
"""Of 100; by eye."""


def describe_job(task: ScanTask) -> dict:
    """What `segment_scan` needs, as JSON."""
    return {
        "name": task.name,
        "paths": [str(path) for path in task.paths],
        "settings": task.settings.as_dict(),
        "formats": list(task.formats),
        "lane": task.lane,
    }


def segment_scan(folder: Path, on_progress: Callable[[Progress], None]) -> dict:
    """The task: segment a scan and write its outputs to the folder of the job.

    Parameters
    ----------
    folder : Path
        Contains the result of `describe_job`; receives the lungs in every format and an overview,
        named after the scan.
    on_progress : callable

    Returns
    -------
    dict
        Entries of the scan's record.

    Raises
    ------
    S3NetError
        If the scan can't be segmented.
    """
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    job = read_job(folder)
    scan = read_files([Path(path) for path in job["paths"]])
    load_torch()
    from ..pipeline import segment_lungs
    from ..s3net.hardware.device import fastest_device
    from ..summary import as_dict

    settings = Settings.from_dict(job["settings"])
    if settings.device == "auto":
        settings = replace(settings, device=fastest_device(job["lane"]))
    try:
        result = segment_lungs(scan.image, settings, on_progress=on_progress)
    except LabelMapError as error:
        return {"status": SKIPPED, "error": str(error)}
    result = replace(result, warnings=(*scan.warnings, *result.warnings))
    _write_small_overview(folder / (job["name"] + OVERVIEW), scan.image, result.lungs)
    warnings = list(result.warnings)
    formats = job["formats"] if result.lungs_found else ()
    files = [
        job["name"] + suffix
        for suffix in formats
        if _write(folder / (job["name"] + suffix), scan, result, warnings)
    ]
    return without_nan(
        {
            "status": DONE if result.lungs_found else NO_LUNGS,
            **as_dict(result),
            "warnings": warnings,
            "files": files,
        }
    )


def _write(path: Path, scan: ReadScan, result: LungResult, warnings: list[str]) -> bool:
    """Write the lungs in one format; false, with a warning, if the scan does not allow it."""
    if not path.name.endswith(DICOM_SEG):
        write_segmentation(path, result.lungs)
        return True
    from ..io.dicom_seg import make_dicom_seg, write_dicom_seg

    try:
        segmentation = make_dicom_seg(result.lungs, scan.files)
    except InputError as error:
        warnings.append(str(error))
        return False
    write_dicom_seg(path, segmentation)
    return True


def _write_small_overview(path: Path, image: sitk.Image, lungs: sitk.Image) -> None:
    """Write the overview as a small JPEG file for the report.

    ITK aborts the process if the disk is full while it writes JPEG, so it writes to a temporary
    folder.
    """
    overview = compose_overview(image, lungs).astype(np.float32)
    zoom = OVERVIEW_PIXELS / overview.shape[1]
    shrunk = resized(overview, (zoom, zoom, 1)).round().astype(np.uint8)
    with temporary_folder() as temporary:
        small = temporary / f"small{OVERVIEW}"
        shown = sitk.GetImageFromArray(shrunk, isVector=True)
        sitk.WriteImage(shown, str(small), True, JPEG_QUALITY)
        try:
            shutil.copyfile(small, path)
        except OSError as error:
            raise InputError(
                "The output can't be written; check that its disk is not full and its folder is "
                "still there."
            ) from error

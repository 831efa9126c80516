"""The lungs as a DICOM Segmentation object that refers to the series it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.valuerep import DA, TM

from .. import __version__
from ..errors import InputError, out_of_memory
from ..geometry import Geometry
from .dicom_deflated import MAX_HEADER_BYTES, plain
from .dicom_quiet import quiet_pydicom
from .segments import LUNG_SEGMENTS, LungSegment
from .write import replacing

if TYPE_CHECKING:
    import highdicom

MAKER = "S3NetExtension"

SERIES_NUMBER = 300
"""Arbitrary; larger than the scanner's numbers, so the segmentation is listed last."""

OFTEN_REMOVED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Required attributes that may be empty; anonymizers often remove them altogether."""

DATES = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}
"""Attributes that may be empty but not invalid; anonymizers often write invalid values."""


def check_available() -> None:
    """Check that the library that writes DICOM SEG is installed.

    Raises
    ------
    InputError
        If not; the message says how to install it.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError(
            "DICOM SEG needs highdicom; install it with: pip install highdicom"
        ) from error


def check_source(files: Sequence[Path]) -> None:
    """Refuse a scan that is not DICOM.

    Raises
    ------
    InputError
        If there are no files.
    """
    if not files:
        raise InputError("DICOM SEG needs a DICOM input.")


@quiet_pydicom()
def write_dicom_seg(path: Path, segmentation: pydicom.Dataset) -> None:
    """Write the result of `make_dicom_seg`.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    with replacing(path) as temporary:
        segmentation.save_as(temporary, enforce_file_format=True)


@quiet_pydicom()
def make_dicom_seg(lungs: sitk.Image, files: Sequence[Path]) -> pydicom.Dataset:
    """Make a DICOM SEG of the lungs, with the patient and the study of its source.

    Parameters
    ----------
    lungs : SimpleITK.Image
        0 background, 1 right lung, 2 left lung.
    files : sequence of Path
        The DICOM files of the scan.

    Returns
    -------
    pydicom.Dataset
        With the geometry of `lungs`, even if the source has another one (gantry tilt).

    Raises
    ------
    InputError
        If highdicom is not installed, the source is not DICOM or lacks required attributes, or
        no voxel is lung.
    """
    check_available()
    check_source(files)
    import highdicom

    array = sitk.GetArrayFromImage(lungs)
    present = [each for each in LUNG_SEGMENTS if (array == each.label).any()]
    if not present:
        raise InputError(
            "No lungs were found in this scan, and a DICOM SEG can't be empty; choose another "
            "format."
        )
    # Segments are numbered from 1 without gaps.
    numbered = np.zeros(array.shape, np.uint8)
    for number, segment in enumerate(present, start=1):
        numbered[array == segment.label] = number
    try:
        sources = _sources(files)
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=_volume(numbered, lungs, sources[0]),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _describe(segment, number) for number, segment in enumerate(present, start=1)
            ],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=MAKER,
            manufacturer_model_name="S3-Net",
            software_versions=__version__,
            device_serial_number="0",
            content_label="LUNGS",
            content_description="Right and left lung",
            series_description="Lungs by S3-Net",
        )
    except Exception as error:  # highdicom raises many kinds of errors on headers
        if out_of_memory(error):
            raise MemoryError from error
        raise InputError(
            "A DICOM SEG of this series can't be made because its headers lack required attributes "
            f"({type(error).__name__})."
        ) from error


def _sources(files: Sequence[Path]) -> list[pydicom.Dataset]:
    """The headers of the scan, completed with what highdicom requires."""
    sources = [_header(file) for file in files]
    # highdicom supports only some character sets, and not an empty one.
    sources[0].decode()
    sources[0].SpecificCharacterSet = "ISO_IR 192"
    for source in sources:
        for keyword in OFTEN_REMOVED:
            source.setdefault(keyword, "")
        for keyword, kind in DATES.items():
            if not _is_valid(source[keyword].value, kind):
                source[keyword].value = ""
        # Some anonymizers give each slice its own frame of reference; these slices form one volume.
        source.FrameOfReferenceUID = sources[0].FrameOfReferenceUID
    return sources


def _header(path: Path) -> pydicom.Dataset:
    with path.open("rb") as file:
        return pydicom.dcmread(plain(file, MAX_HEADER_BYTES), force=True, stop_before_pixels=True)


def _is_valid(value: object, kind: type) -> bool:
    try:
        kind(value or "")
    except (TypeError, ValueError):
        return False
    return True


def _volume(array: np.ndarray, lungs: sitk.Image, source: pydicom.Dataset) -> highdicom.Volume:
    """The label map with its geometry, in highdicom's order: slices, rows, columns."""
    import highdicom

    geometry = Geometry.of(lungs)
    affine = np.eye(4)
    affine[:3, :3] = (geometry.axes * geometry.spacing)[:, ::-1]
    affine[:3, 3] = geometry.origin
    return highdicom.Volume(
        array,
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=source.FrameOfReferenceUID,
    )


def _describe(segment: LungSegment, number: int) -> highdicom.seg.SegmentDescription:
    """A segment with its terminology, with the side as a modifier, and with Slicer's color."""
    import highdicom
    from pydicom.sr.coding import Code

    side = Code(segment.laterality[0], "SCT", segment.laterality[1])
    described = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=Code("123037004", "SCT", "Anatomical Structure"),
        segmented_property_type=Code("39607008", "SCT", "Lung"),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="S3-Net",
            version=__version__,
            family=Code("123110", "DCM", "Artificial Intelligence"),
        ),
        tracking_uid=highdicom.UID(),
        tracking_id=segment.name,
        display_color=highdicom.color.CIELabColor.from_rgb(
            *(round(255 * value) for value in segment.color)
        ),
    )
    code = described.SegmentedPropertyTypeCodeSequence[0]
    code.SegmentedPropertyTypeModifierCodeSequence = [highdicom.sr.CodedConcept.from_code(side)]
    return described

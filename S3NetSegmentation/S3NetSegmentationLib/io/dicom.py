"""DICOM files: find them, group them into series, and choose a series."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom

from ..errors import InputError, SeriesError
from .dicom_deflated import MAX_HEADER_BYTES, plain
from .dicom_quiet import quiet_pydicom
from .dicom_stack import finite, read_stack, slices_of
from .files import check_readable, files_below
from .formats import DICOM
from .scan import ReadScan

PHASES = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "ConvolutionKernel",
    "KVP",
    "ImageType",
)
"""Attributes that distinguish images of the same place that a scanner stores in one series."""

TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PixelSpacing",
    "SliceThickness",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *PHASES,
)
"""All attributes that are read from a header: for place, scale, and identification."""

CT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
)
"""CT Image, Enhanced CT Image, Legacy Converted Enhanced CT Image Storage."""

_NUMBERS = {
    "Rows": 1,
    "Columns": 1,
    "NumberOfFrames": 1,
    "SeriesNumber": 1,
    "SliceThickness": 1,
    "PixelSpacing": 2,
}
"""How many numbers each attribute holds."""

_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
"""The first bytes of a DICOM file without preamble: tag group 2 or 8 in either byte order."""


@dataclass(frozen=True)
class Kind:
    """What the images of a series have in common.

    Attributes
    ----------
    modality : str
        The DICOM value, for example ``"CT"``; empty if it is missing.
    is_ct : bool
        Whether it is a CT slice, not a localizer or a screenshot.
    is_localizer : bool
    rows, columns, frames : int
    series_number : int or None
    spacing : (float, float) or None
        Between rows and between columns, in millimeters.
    thickness : float or None
    orientation : str
    phases : tuple of str
        Values of `PHASES`.
    """

    modality: str
    is_ct: bool
    is_localizer: bool
    rows: int
    columns: int
    frames: int
    series_number: int | None
    spacing: tuple[float, float] | None
    thickness: float | None
    orientation: str
    phases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """A DICOM file with an image, kept as small as possible, because there may be a million.

    Attributes
    ----------
    path : Path
    position : str
        Of the first pixel, as written in the header; empty if it is missing.
    kind : Kind
        The same object for all images of a kind.
    """

    path: Path
    position: str
    kind: Kind


@dataclass(frozen=True)
class Series:
    """Images that make up one scan.

    Attributes
    ----------
    uid : str
        SeriesInstanceUID.
    images : tuple of Image
    part, parts : int
        If one SeriesInstanceUID is shared by several acquisitions of the same place: which one
        this is, counted from 1, and how many there are.
    damaged : int
        Number of damaged DICOM files in the same folders.
    """

    uid: str
    images: tuple[Image, ...]
    part: int = 1
    parts: int = 1
    damaged: int = 0

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(image.path for image in self.images)

    @property
    def is_ct(self) -> bool:
        """Whether any image is a CT slice."""
        return self.images[0].kind.modality == "CT" and any(each.kind.is_ct for each in self.images)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a user of the result should see."""
        several = (
            f"The series contains {self.parts} acquisitions of the same place; this is acquisition "
            f"{self.part}."
        )
        files = "1 file" if self.damaged == 1 else f"{self.damaged} files"
        damaged = (
            f"{files} in the same folder can't be read as DICOM; if they were slices, the scan is "
            "incomplete: copy them again."
        )
        return (*[several] * (self.parts > 1), *[damaged] * (self.damaged > 0))

    def __str__(self) -> str:
        """The series in one line, without anything that could identify the patient."""
        first = self.images[0].kind
        slices = sum(each.kind.frames for each in self.images)
        parts = [
            first.modality or "unknown modality",
            f"{slices} {'slice' if slices == 1 else 'slices'}",
            f"{first.columns} x {first.rows}",
        ]
        if first.spacing:
            parts.append(f"{first.spacing[1]:.2f} x {first.spacing[0]:.2f} mm")
        if first.thickness:
            parts.append(f"{first.thickness:.2f} mm thick")
        if first.series_number is not None:
            parts.append(f"series number {first.series_number}")
        if self.parts > 1:
            parts.append(f"acquisition {self.part} of {self.parts}")
        return ", ".join(parts)


def read_header(path: Path) -> pydicom.Dataset | None:
    """The header of a DICOM file, without its pixels; None if `path` is not a DICOM file.

    Invalid values are left out. No file raises an error.
    """
    try:
        with path.open("rb") as file, quiet_pydicom():
            start = file.read(132)
            if start[128:] != b"DICM" and start[:2] not in _GROUPS:
                return None
            file.seek(0)
            header = pydicom.dcmread(
                plain(file, MAX_HEADER_BYTES),
                force=True,
                stop_before_pixels=True,
                specific_tags=list(TAGS),
            )
            for keyword in TAGS:
                if keyword in header and not _is_usable(header, keyword):
                    delattr(header, keyword)
            known = header.get("SOPClassUID") and header.get("SeriesInstanceUID")
    except Exception:  # pydicom raises many kinds of errors on other files
        return None
    return header if known else None


def _is_usable(header: pydicom.Dataset, keyword: str) -> bool:
    """Whether a value can be parsed; pydicom parses it on first access."""
    try:
        value = header.get(keyword)
        str(value)
    except Exception:  # pydicom raises many kinds of errors on invalid values
        return False
    if keyword in _SEQUENCES:
        return isinstance(value, pydicom.Sequence)
    return keyword not in _NUMBERS or finite(value, _NUMBERS[keyword]) is not None


def read_dicom_folder(folder: Path, series: str | None = None) -> ReadScan:
    """Read the scan from a series anywhere below a folder.

    Parameters
    ----------
    folder : Path
    series : str, optional
        Number in the list that the error message shows, or SeriesInstanceUID. Required if the
        folder contains several series.

    Raises
    ------
    InputError
        If there is no image, or the slices don't form a volume; a `SeriesError` if there is no
        such series, or if there are several and none was chosen.
    """
    unreadable: list[Path] = []
    found = find_series(files_below(folder, unreadable.append), unreadable.append)
    if not found:
        for path in unreadable:
            check_readable(path)
        raise InputError(f"There is no DICOM image in the folder '{folder}'.")
    return read_series(_choose(found, series))


def read_dicom_files(paths: Iterable[Path]) -> ReadScan:
    """Read the scan from files that are known to belong together.

    Raises
    ------
    InputError
        If one is not a DICOM image, or they don't form a volume.
    """
    slices = []
    for path in paths:
        header = read_header(path)
        if header is None or not _has_image(header):
            check_readable(path)
            raise InputError(
                f"'{path.name}' is a DICOM file without an image, or no longer there; choose a "
                "CT image."
            )
        with quiet_pydicom():
            slices += slices_of(path, header)
    return read_stack(slices)


def read_series(series: Series) -> ReadScan:
    """Read the scan of a series.

    Raises
    ------
    InputError
        If the slices don't form a volume.
    """
    scan = read_dicom_files(series.paths)
    return replace(scan, warnings=(*series.notes, *scan.warnings))


def find_series(
    paths: Iterable[Path], on_damaged: Callable[[Path], None] = lambda path: None
) -> list[Series]:
    """Group the DICOM images among files by series, in the order of their series numbers.

    Of several copies of an image, only the longest is used, because a copy may be truncated.
    Localizers are left out of a series that contains other images. A series that contains several
    acquisitions of the same place (phases, kernels) is split.

    Parameters
    ----------
    paths : iterable of Path
    on_damaged : callable, optional
        Called with each damaged DICOM file.
    """
    found: dict[str, dict[str, Image]] = {}
    kinds: dict[Kind, Kind] = {}
    damaged_files: list[Path] = []
    for path in paths:
        header = read_header(path)
        if header is not None and _has_image(header):
            instances = found.setdefault(str(header.SeriesInstanceUID), {})
            uid = str(header.get("SOPInstanceUID", path))
            if uid not in instances or _size(path) > _size(instances[uid].path):
                kind = _kind(header)
                position = str(header.get("ImagePositionPatient") or "")
                instances[uid] = Image(path, position, kinds.setdefault(kind, kind))
        elif _is_damaged(path, header):
            damaged_files.append(path)
            on_damaged(path)
    return [
        Series(uid, tuple(images), part, len(acquisitions), _count_beside(damaged_files, images))
        for uid in sorted(found, key=lambda uid: (_first(found[uid]).kind.series_number or 0, uid))
        for acquisitions in [_acquisitions(list(found[uid].values()))]
        for part, images in enumerate(acquisitions, start=1)
    ]


def _kind(header: pydicom.Dataset) -> Kind:
    """The kind of an image, from a header whose values are known to be usable."""
    is_localizer = "LOCALIZER" in str(header.get("ImageType") or "").upper()
    number, thickness = header.get("SeriesNumber"), header.get("SliceThickness")
    spacing = finite(header.get("PixelSpacing"), 2)
    return Kind(
        modality=str(header.get("Modality") or ""),
        is_ct=str(header.SOPClassUID) in CT_CLASSES and not is_localizer,
        is_localizer=is_localizer,
        rows=int(header.Rows),
        columns=int(header.Columns),
        frames=int(header.get("NumberOfFrames") or 1),
        series_number=None if number is None else int(number),
        spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness=float(thickness) if thickness else None,
        orientation=str(header.get("ImageOrientationPatient") or ""),
        phases=tuple(str(header.get(keyword)) for keyword in PHASES),
    )


def _acquisitions(images: list[Image]) -> list[list[Image]]:
    """The images of a series, split into acquisitions if several lie at the same place."""
    images = [each for each in images if not each.kind.is_localizer] or images
    if not _coincide(images):
        return [images]
    for number in range(len(PHASES)):
        groups: dict[str, list[Image]] = {}
        for image in images:
            groups.setdefault(image.kind.phases[number], []).append(image)
        if len(groups) > 1 and not any(map(_coincide, groups.values())):
            return [groups[value] for value in sorted(groups, key=lambda v: (len(v), v))]
    return [images]


def _coincide(images: list[Image]) -> bool:
    """Whether any two images lie at the same place."""
    places = set()
    for image in images:
        kind, known = image.kind, image.position and image.kind.orientation
        place = (kind.orientation, image.position) if known else image.path
        places.add((kind.rows, kind.columns, place))
    return len(places) < len(images)


def _is_damaged(path: Path, header: pydicom.Dataset | None) -> bool:
    """Whether a file without an image was meant to have one: truncated, empty, or unreadable."""
    if header is not None:
        return str(header.SOPClassUID) in CT_CLASSES
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return True
    if not any(start):
        return bool(re.fullmatch(rf"|{re.escape(DICOM)}|\.ima|\.\d+", path.suffix.lower()))
    return start[128:] == b"DICM" and path.name.upper() != "DICOMDIR"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _count_beside(damaged_files: list[Path], images: list[Image]) -> int:
    """How many damaged files lie in the folders of a series."""
    if not damaged_files:
        return 0
    folders = {image.path.parent for image in images}
    return sum(path.parent in folders for path in damaged_files)


def _has_image(header: pydicom.Dataset) -> bool:
    return bool(header.get("Rows") and header.get("Columns"))


def _first(instances: dict[str, Image]) -> Image:
    return next(iter(instances.values()))


def _choose(found: list[Series], series: str | None) -> Series:
    """The requested series among those that `find_series` found."""
    if series is None and len(found) == 1:
        return found[0]
    named = [
        each
        for number, each in enumerate(found, start=1)
        if series is not None and series.strip() in (str(number), each.uid)
    ]
    if len(named) == 1:
        return named[0]
    if series is None:
        problem = f"The folder contains {len(found)} series"
    elif named:
        problem = "There are several acquisitions in this series"
    else:
        problem = f"There is no series '{series}'"
    lines = [f"  {number}: {each}" for number, each in enumerate(found, start=1)]
    raise SeriesError("\n".join([f"{problem}; choose one by its number:", *lines]))

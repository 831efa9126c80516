"""DICOM files: which there are, which belong together, and which series is wanted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom

from ..errors import InputError, SeriesError
from .dicom_deflated import MAX_HEADER_BYTES, plain
from .dicom_quiet import quiet_pydicom
from .dicom_stack import TAGS, finite, read_stack, slices_of
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
"""What tells images of one place apart that scanners store in one series."""

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
"""How many numbers an attribute holds."""

_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
"""How a DICOM file without preamble begins: tag group 2 or 8 in either byte order."""


@dataclass(frozen=True)
class Series:
    """Images that make one scan.

    Attributes
    ----------
    uid : str
        SeriesInstanceUID.
    headers : tuple of (Path, pydicom.Dataset)
        Files with their headers.
    part, parts : int
        Where one SeriesInstanceUID stands for several acquisitions of the same place: which of
        how many this is, from 1.
    damaged : int
        Files in the same folders that are what is left of DICOM files.
    """

    uid: str
    headers: tuple[tuple[Path, pydicom.Dataset], ...]
    part: int = 1
    parts: int = 1
    damaged: int = 0

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(path for path, _ in self.headers)

    @property
    def modality(self) -> str:
        """As DICOM names it, for example ``"CT"``; empty where it is missing."""
        return str(self.headers[0][1].get("Modality") or "")

    @property
    def is_ct(self) -> bool:
        """Whether any image is a CT slice: no localizer and no screenshot."""
        return self.modality == "CT" and any(
            str(header.SOPClassUID) in CT_CLASSES and not _is_localizer(header)
            for _, header in self.headers
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know who gets a result of it."""
        several = (
            f"The series holds {self.parts} acquisitions of the same place; this is acquisition "
            f"{self.part}."
        )
        files = "1 file" if self.damaged == 1 else f"{self.damaged} files"
        damaged = (
            f"{files} beside the slices can't be read as DICOM; if they were slices, the scan is "
            "not complete: get them again."
        )
        return (*[several] * (self.parts > 1), *[damaged] * (self.damaged > 0))

    def __str__(self) -> str:
        """The series in one line, with nothing in it that a person could be recognized by."""
        header = self.headers[0][1]
        slices = sum(_frame_count(each) for _, each in self.headers)
        parts = [
            self.modality or "unknown modality",
            f"{slices} {'slice' if slices == 1 else 'slices'}",
            f"{header.Columns} x {header.Rows}",
        ]
        spacing, thickness = header.get("PixelSpacing"), header.get("SliceThickness")
        if spacing:
            parts.append(f"{float(spacing[1]):.2f} x {float(spacing[0]):.2f} mm")
        if thickness:
            parts.append(f"{float(thickness):.2f} mm thick")
        if header.get("SeriesNumber") is not None:
            parts.append(f"series number {_series_number(header)}")
        if self.parts > 1:
            parts.append(f"acquisition {self.part} of {self.parts}")
        return ", ".join(parts)


def read_header(path: Path) -> pydicom.Dataset | None:
    """The header of a DICOM file, without its pixels; None where `path` is no DICOM file.

    Values that are not what they should be are left out. Raises no error, whatever the file is.
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
    except Exception:  # pydicom stumbles in many ways over what was never DICOM
        return None
    return header if known else None


def _is_usable(header: pydicom.Dataset, keyword: str) -> bool:
    """Whether a value can be parsed, which pydicom does when it is first asked for."""
    try:
        value = header.get(keyword)
        str(value)
    except Exception:  # pydicom stumbles in many ways over values
        return False
    if keyword in _SEQUENCES:
        return isinstance(value, pydicom.Sequence)
    return keyword not in _NUMBERS or finite(value, _NUMBERS[keyword]) is not None


def read_dicom_folder(folder: Path, series: str | None = None) -> ReadScan:
    """The scan in a series anywhere below a folder.

    Parameters
    ----------
    folder : Path
    series : str, optional
        Number in the list that the error message shows, or SeriesInstanceUID. Needed where the
        folder holds several series.

    Raises
    ------
    InputError
        If there is no image, or the slices make no volume; a `SeriesError` if there is no such
        series, or several and none was chosen.
    """
    unreadable: list[Path] = []
    found = find_series(files_below(folder, unreadable.append), unreadable.append)
    if not found:
        for path in unreadable:
            check_readable(path)
        raise InputError(f"There is no DICOM image in the folder '{folder}'.")
    return read_series(_choose(found, series))


def read_dicom_files(paths: Iterable[Path]) -> ReadScan:
    """The scan in files that are known to belong together.

    Raises
    ------
    InputError
        If one is no DICOM image, or they make no volume.
    """
    headers = []
    for path in paths:
        header = read_header(path)
        if header is None or not _has_image(header):
            check_readable(path)
            raise InputError(
                f"'{path.name}' is a DICOM file without an image, or no longer there; choose a "
                "CT image."
            )
        headers.append((path, header))
    return read_series(Series(str(headers[0][1].SeriesInstanceUID), tuple(headers)))


def read_series(series: Series) -> ReadScan:
    """The scan in a series.

    Raises
    ------
    InputError
        If the slices make no volume.
    """
    with quiet_pydicom():
        slices = [piece for path, header in series.headers for piece in slices_of(path, header)]
    scan = read_stack(slices)
    return replace(scan, warnings=(*series.notes, *scan.warnings))


def find_series(
    paths: Iterable[Path], on_damaged: Callable[[Path], None] = lambda path: None
) -> list[Series]:
    """DICOM images among files, grouped by series, in the order of their series numbers.

    Copies of the same image are taken once, the longest, for one may be cut off; localizers are
    left out of a series that holds more. A series that holds several acquisitions of the same
    place (phases, kernels) is taken apart.

    Parameters
    ----------
    paths : iterable of Path
    on_damaged : callable, optional
        Called with each file that is what is left of a DICOM file.
    """
    found: dict[str, dict[str, tuple[Path, pydicom.Dataset]]] = {}
    damaged_files: list[Path] = []
    for path in paths:
        header = read_header(path)
        if header is not None and _has_image(header):
            instances = found.setdefault(str(header.SeriesInstanceUID), {})
            uid = str(header.get("SOPInstanceUID", path))
            if uid not in instances or _size(path) > _size(instances[uid][0]):
                instances[uid] = (path, header)
        elif _is_damaged(path, header):
            damaged_files.append(path)
            on_damaged(path)
    return [
        Series(uid, tuple(headers), part, len(acquisitions), _count_beside(damaged_files, headers))
        for uid in sorted(found, key=lambda uid: (_series_number(_first(found[uid])), uid))
        for acquisitions in [_acquisitions(list(found[uid].values()))]
        for part, headers in enumerate(acquisitions, start=1)
    ]


def _acquisitions(headers: list) -> list[list]:
    """The images of a series, taken apart where several lie at the same place."""
    headers = [each for each in headers if not _is_localizer(each[1])] or headers
    if not _coincide(headers):
        return [headers]
    for keyword in PHASES:
        groups: dict[str, list] = {}
        for path, header in headers:
            groups.setdefault(str(header.get(keyword)), []).append((path, header))
        if len(groups) > 1 and not any(map(_coincide, groups.values())):
            return [groups[value] for value in sorted(groups, key=lambda v: (len(v), v))]
    return [headers]


def _coincide(headers: list) -> bool:
    """Whether two images lie at the same place."""
    places = set()
    for path, header in headers:
        place = [header.get("ImageOrientationPatient"), header.get("ImagePositionPatient")]
        known = all(place)
        places.add((header.Rows, header.Columns, str(place) if known else str(path)))
    return len(places) < len(headers)


def _is_damaged(path: Path, header: pydicom.Dataset | None) -> bool:
    """Whether a file without an image has held one: cut off early, empty, or out of reach."""
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


def _count_beside(damaged_files: list[Path], headers: list) -> int:
    """How many of the damaged files lie in the folders of a series."""
    folders = {path.parent for path, _ in headers}
    return sum(path.parent in folders for path in damaged_files)


def _has_image(header: pydicom.Dataset) -> bool:
    return bool(header.get("Rows") and header.get("Columns"))


def _is_localizer(header: pydicom.Dataset) -> bool:
    return "LOCALIZER" in str(header.get("ImageType") or "").upper()


def _first(instances: dict) -> pydicom.Dataset:
    return next(iter(instances.values()))[1]


def _frame_count(header: pydicom.Dataset) -> int:
    return int(header.get("NumberOfFrames") or 1)


def _series_number(header: pydicom.Dataset) -> int:
    return int(header.get("SeriesNumber") or 0)


def _choose(found: list[Series], series: str | None) -> Series:
    """The wanted series of those that `find_series` found."""
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
        problem = f"The folder holds {len(found)} series"
    elif named:
        problem = "There are several acquisitions in this series"
    else:
        problem = f"There is no series '{series}'"
    lines = [f"  {number}: {each}" for number, each in enumerate(found, start=1)]
    raise SeriesError("\n".join([f"{problem}; choose one by its number:", *lines]))

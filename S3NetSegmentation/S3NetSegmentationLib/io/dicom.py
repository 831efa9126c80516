"""DICOM series as volumes: found, told apart, put in order, and refused where that can't be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from ..errors import InputError

SAME_ORIENTATION = 1e-3
"""Largest difference of direction cosines between slices of one stack."""

UNEVEN = 0.1
"""Largest distance of a slice from its place in an even stack, as a share of the spacing."""

_TAGS = (
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
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True)
class DicomSlice:
    """Where one frame of a DICOM file lies in the patient, in LPS millimeters."""

    path: Path
    frame: int
    matrix: tuple[int, int]
    spacing: tuple[float, float]
    orientation: np.ndarray
    position: np.ndarray
    thickness: float

    @property
    def normal(self) -> np.ndarray:
        """Direction across the slice, a unit vector."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    def fits(self, other: DicomSlice) -> bool:
        """Whether both can lie in one stack."""
        return (
            self.matrix == other.matrix
            and np.allclose(self.spacing, other.spacing, rtol=1e-3)
            and np.allclose(self.orientation, other.orientation, rtol=0, atol=SAME_ORIENTATION)
        )


def read_header(path: Path) -> pydicom.Dataset | None:
    """The header of a DICOM file, without its pixels; None where `path` is no DICOM file.

    Files without the 128-byte preamble are DICOM, too, and only reading them tells.
    """
    try:
        header = pydicom.dcmread(
            path, force=True, stop_before_pixels=True, specific_tags=list(_TAGS)
        )
        known = bool(header.get("SOPClassUID") and header.get("SeriesInstanceUID"))
    except Exception:  # noqa: BLE001 - pydicom stumbles in many ways over what was never DICOM
        return None
    return header if known else None


def read_dicom_file(path: Path, header: pydicom.Dataset) -> sitk.Image:
    """The volume in one file: a single slice, or all frames of a multi-frame image.

    Raises
    ------
    InputError
        If the file holds no image, or one that is no even stack of slices.
    """
    if not header.get("Rows"):
        raise InputError(f"'{path.name}' is a DICOM file without an image; choose a CT image.")
    return _read_stack(_slices(path, header))


def read_dicom_folder(folder: Path, series: str | None = None) -> sitk.Image:
    """The volume of a series anywhere below a folder.

    Parameters
    ----------
    folder : Path
    series : str, optional
        Number in the list that the error message shows, or SeriesInstanceUID. Needed where the
        folder holds several series.

    Raises
    ------
    InputError
        If there is no image, no such series, several series and none was chosen, or the slices
        make no even, upright stack.
    """
    found = find_series(path for path in folder.rglob("*") if path.is_file())
    if not found:
        raise InputError(f"There is no DICOM image in the folder '{folder}'.")
    headers = _choose(found, series)
    slices = [piece for path, header in headers for piece in _slices(path, header)]
    return _read_stack(_largest_stack(slices))


def find_series(paths: Iterable[Path]) -> list[list[tuple[Path, pydicom.Dataset]]]:
    """DICOM images among files, grouped by series, in the order of their series numbers.

    Copies of the same image are taken once.
    """
    found: dict[str, dict[str, tuple[Path, pydicom.Dataset]]] = {}
    for path in sorted(paths):
        header = read_header(path)
        if header is not None and header.get("Rows"):
            instances = found.setdefault(str(header.SeriesInstanceUID), {})
            instances.setdefault(str(header.get("SOPInstanceUID", path)), (path, header))
    ordered = sorted(found, key=lambda uid: (_series_number(found[uid]), uid))
    return [list(found[uid].values()) for uid in ordered]


def _series_number(instances: dict) -> int:
    header = next(iter(instances.values()))[1]
    return int(header.get("SeriesNumber") or 0)


def _choose(found: list, series: str | None) -> list[tuple[Path, pydicom.Dataset]]:
    """The wanted series of those that `find_series` found."""
    if series is None and len(found) == 1:
        return found[0]
    by_name = {}
    for number, headers in enumerate(found, start=1):
        by_name[str(number)] = by_name[str(headers[0][1].SeriesInstanceUID)] = headers
    if series is not None and series.strip() in by_name:
        return by_name[series.strip()]
    problem = (
        f"The folder holds {len(found)} series; choose one with --series and its number:"
        if series is None
        else f"There is no series '{series}'; choose one with --series and its number:"
    )
    lines = [f"  {i}: {_describe(headers)}" for i, headers in enumerate(found, start=1)]
    raise InputError("\n".join([problem, *lines]))


def _describe(headers: list[tuple[Path, pydicom.Dataset]]) -> str:
    """A series in one line, with nothing in it that a person could be recognized by."""
    header = headers[0][1]
    slices = sum(int(each.get("NumberOfFrames") or 1) for _, each in headers)
    parts = [
        str(header.get("Modality") or "unknown modality"),
        f"{slices} {'slice' if slices == 1 else 'slices'}",
        f"{header.Columns} x {header.Rows}",
    ]
    spacing, thickness = header.get("PixelSpacing"), header.get("SliceThickness")
    if spacing:
        parts.append(f"{float(spacing[1]):.2f} x {float(spacing[0]):.2f} mm")
    if thickness:
        parts.append(f"{float(thickness):.2f} mm thick")
    if header.get("SeriesNumber") is not None:
        parts.append(f"series number {header.SeriesNumber}")
    return ", ".join(parts)


def _slices(path: Path, header: pydicom.Dataset) -> list[DicomSlice]:
    """One `DicomSlice` for each frame of a file."""
    shared = header.get("SharedFunctionalGroupsSequence")
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise InputError(f"The frames of '{path.name}' have no position, so it is no volume.")
        return [_slice(path, 0, header, [header])]
    return [
        _slice(path, number, header, [frame, *(shared or [])])
        for number, frame in enumerate(frames)
    ]


def _slice(
    path: Path, frame: int, header: pydicom.Dataset, groups: list[pydicom.Dataset]
) -> DicomSlice:
    spacing = _look_up(groups, "PixelMeasuresSequence", "PixelSpacing")
    orientation = _look_up(groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    position = _look_up(groups, "PlanePositionSequence", "ImagePositionPatient")
    for value, what in (
        (spacing, "pixel spacing"),
        (orientation, "orientation"),
        (position, "position"),
    ):
        if not value:
            raise InputError(
                f"The DICOM image '{path.name}' has no {what}, so its true size and place are "
                "not known; export the original CT series."
            )
    thickness = _look_up(groups, "PixelMeasuresSequence", "SliceThickness")
    return DicomSlice(
        path,
        frame,
        (int(header.Rows), int(header.Columns)),
        (float(spacing[1]), float(spacing[0])),
        np.array(orientation, float),
        np.array(position, float),
        float(thickness or 1),
    )


def _look_up(groups: list[pydicom.Dataset], sequence: str, keyword: str):
    """An attribute at the top level (classic image) or inside a functional group (enhanced)."""
    for group in groups:
        nested = group.get(sequence)
        value = nested[0].get(keyword) if nested else group.get(keyword)
        if value is not None:
            return value
    return None


def _largest_stack(slices: list[DicomSlice]) -> list[DicomSlice]:
    """The slices without localizers and whatever else has another size or orientation."""
    stacks: list[list[DicomSlice]] = []
    for each in slices:
        for stack in stacks:
            if each.fits(stack[0]):
                stack.append(each)
                break
        else:
            stacks.append([each])
    return max(stacks, key=len)


def _read_stack(slices: list[DicomSlice]) -> sitk.Image:
    """The volume, ordered along the slices' normal, with the geometry of their headers."""
    first = slices[0]
    slices = sorted(slices, key=lambda each: float(each.position @ first.normal))
    spacing = _even_spacing(slices)
    _check_upright(slices)
    image = sitk.GetImageFromArray(_read_pixels(slices))
    image.SetOrigin(slices[0].position.tolist())
    image.SetSpacing((*first.spacing, spacing))
    axes = np.array([first.orientation[:3], first.orientation[3:], first.normal])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    image.SetDirection(axes.T.ravel().tolist())
    return image


def _even_spacing(slices: list[DicomSlice]) -> float:
    """Distance of neighboring slices in millimeters."""
    if len(slices) == 1:
        return slices[0].thickness
    places = np.array([each.position @ slices[0].normal for each in slices])
    gaps = np.diff(places)
    if gaps.min() < 1e-3:
        raise InputError(
            "Several slices of the series lie at the same place, so it holds more than one scan; "
            "export one of them alone."
        )
    even = np.linspace(places[0], places[-1], len(places))
    spacing = (places[-1] - places[0]) / (len(places) - 1)
    if np.abs(places - even).max() > UNEVEN * spacing:
        raise InputError(
            f"The slices are not evenly spaced (gaps of {gaps.min():.2f} to {gaps.max():.2f} mm), "
            "so some may be missing; export the whole series again."
        )
    return float(spacing)


def _check_upright(slices: list[DicomSlice]) -> None:
    """Refuse slices that are shifted against each other within their plane."""
    first = slices[0]
    offsets = np.array([each.position - first.position for each in slices])
    along = offsets @ first.normal
    sideways = np.linalg.norm(offsets - np.outer(along, first.normal), axis=1)
    if sideways.max() > min(first.spacing):
        tilt = np.degrees(np.arctan2(sideways.max(), along.max()))
        raise InputError(
            f"The slices are shifted against each other, as by a gantry tilt of {tilt:.1f} "
            "degrees; "
            "correct that first, for example with Slicer's acquisition geometry regularization."
        )


def _read_pixels(slices: list[DicomSlice]) -> np.ndarray:
    """Rescaled voxels, (z, y, x); each file is decoded once."""
    planes = {}
    for path in {each.path for each in slices}:
        try:
            planes[path] = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
        except RuntimeError as error:
            raise InputError(
                f"The pixels of the DICOM file '{path.name}' can't be read; the file is damaged "
                "or compressed in an unknown way."
            ) from error
        if planes[path].ndim != 3:
            raise InputError(f"'{path.name}' is a color image; choose a CT image.")
    return np.stack([planes[each.path][each.frame] for each in slices])

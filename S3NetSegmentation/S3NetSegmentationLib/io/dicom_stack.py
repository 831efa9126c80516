"""DICOM slices as a volume: ordered, evenly spaced, without tilt, in Hounsfield units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError
from .dicom_pixels import read_pixels
from .scan import ReadScan
from .validate import MAX_VOXELS

OUTSIDE_HU = -1024
"""Hounsfield units outside the scanned field of view, as most scanners store it: the value 0 with
an intercept of -1024."""

SAME_ORIENTATION = 1e-3
"""Largest difference of direction cosines between slices of one stack, 0.06 degrees: headers
round them to six digits, and different orientations differ by whole degrees."""

SAME_PLACE_MM = 1e-3
"""Slices closer together than this are at the same place; no slice is that thin."""

UNEVEN_SHARE, SLIGHTLY_UNEVEN_SHARE = 0.1, 0.02
"""Largest distance of a slice from its place in an evenly spaced stack, as a share of the spacing:
beyond the first, the series is refused; beyond the second, a warning is shown. A missing slice
causes 0.25 at least, and rounding to 0.01 mm less than 0.02."""

MAX_TILT_DEGREES = 35
"""Gantries tilt by up to 30 degrees, and the stored values are rounded."""

MAX_SLICE_PIXELS = 2**24
"""Far more than any CT slice has; a file that claims more is damaged."""


@dataclass(frozen=True)
class DicomSlice:
    """Position of a frame of a DICOM file in the patient, in LPS millimeters, and its scale.

    Attributes
    ----------
    path : Path
    frame : int
        Index in the file, from 0.
    matrix : (int, int)
        Rows and columns.
    spacing : (float, float)
        Between columns and between rows.
    orientation : ndarray, (6,)
        Direction cosines along a row and along a column.
    position : ndarray, (3,)
        Center of the first pixel.
    thickness : float or None
    rescale : (float, float) or None
        Slope and intercept; None if the header has none.
    padding : (float, float) or None
        Lowest and highest stored value of padding.
    """

    path: Path
    frame: int
    matrix: tuple[int, int]
    spacing: tuple[float, float]
    orientation: np.ndarray
    position: np.ndarray
    thickness: float | None
    rescale: tuple[float, float] | None
    padding: tuple[float, float] | None

    @property
    def normal(self) -> np.ndarray:
        """Direction perpendicular to the slice, a unit vector."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    def fits(self, other: DicomSlice) -> bool:
        """Whether both slices can belong to one stack."""
        return (
            self.matrix == other.matrix
            and np.allclose(self.spacing, other.spacing, rtol=1e-3)
            and np.allclose(self.orientation, other.orientation, rtol=0, atol=SAME_ORIENTATION)
        )


def slices_of(path: Path, header: pydicom.Dataset) -> list[DicomSlice]:
    """One `DicomSlice` for each frame of a file.

    Raises
    ------
    InputError
        If the position or the scale of a frame is unknown.
    """
    shared = header.get("SharedFunctionalGroupsSequence")
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise InputError(
                f"The frames of '{path.name}' have no position, so they do not form a volume."
            )
        frames = [header]
    return [
        _slice(path, number, header, [frame, *(shared or []), header])
        for number, frame in enumerate(frames)
    ]


def read_stack(slices: list[DicomSlice]) -> ReadScan:
    """Build the volume, ordered along the slices' normal, with the geometry of the headers.

    Slices of another size or orientation and duplicates are left out, and gantry tilt is
    corrected, each with a warning.

    Raises
    ------
    InputError
        If the slices are not evenly spaced, or their pixels can't be read.
    """
    stack = _largest_stack(slices)
    warnings = []
    others = len(slices) - len(stack)
    if others:
        images, were = ("1 image", "was") if others == 1 else (f"{others} images", "were")
        warnings.append(
            f"{images} of another size or orientation than the rest of the series {were} left out."
        )
    normal = stack[0].normal
    stack = sorted(stack, key=lambda each: float(each.position @ normal))
    _check_size(stack)
    _check_rescale(stack)
    planes = _read_planes(stack)
    stack, planes, copies = _without_copies(stack, planes)
    if copies:
        warnings.append(f"{copies} slices appear twice in the series; each was used once.")
    spacing = _even_spacing(stack, warnings)
    origin, voxels = _upright(stack, np.stack(planes), warnings)
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(origin.tolist())
    image.SetSpacing((*stack[0].spacing, spacing))
    axes = np.array([stack[0].orientation[:3], stack[0].orientation[3:], normal])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    image.SetDirection(axes.T.ravel().tolist())
    return ReadScan(image, tuple(warnings), tuple(dict.fromkeys(each.path for each in stack)))


# Headers


def _slice(
    path: Path, frame: int, header: pydicom.Dataset, groups: list[pydicom.Dataset]
) -> DicomSlice:
    def numbers(sequence: str, keyword: str, count: int, what: str) -> np.ndarray:
        values = finite(_look_up(groups, sequence, keyword), count)
        if values is None:
            raise InputError(
                f"The DICOM image '{path.name}' has no {what}, so its true size and position "
                "are unknown; export the original CT series."
            )
        return values

    spacing = numbers("PixelMeasuresSequence", "PixelSpacing", 2, "pixel spacing")
    orientation = numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6, "orientation")
    position = numbers("PlanePositionSequence", "ImagePositionPatient", 3, "position")
    rows, columns = orientation[:3], orientation[3:]
    square = np.allclose([rows @ rows, columns @ columns, rows @ columns], [1, 1, 0], atol=1e-3)
    if spacing.min() <= 0 or not square:
        raise InputError(
            f"The pixel spacing or the orientation of the DICOM image '{path.name}' is impossible; "
            "export the original CT series."
        )
    thickness = finite(_look_up(groups, "PixelMeasuresSequence", "SliceThickness"), 1)
    return DicomSlice(
        path,
        frame,
        (int(header.Rows), int(header.Columns)),
        (float(spacing[1]), float(spacing[0])),
        orientation,
        position,
        None if thickness is None or thickness[0] <= 0 else float(thickness[0]),
        _rescale(path, groups),
        _padding(header),
    )


def _look_up(groups: list[pydicom.Dataset], sequence: str, keyword: str) -> object:
    """Value of an attribute at the top level (classic) or in a functional group (enhanced)."""
    for group in groups:
        try:
            nested = group.get(sequence)
            value = nested[0].get(keyword) if nested else group.get(keyword)
        except Exception:  # pydicom raises many kinds of errors on invalid values
            continue
        if value is not None:
            return value
    return None


def finite(value: object, count: int) -> np.ndarray | None:
    """The value as `count` finite numbers; None if it is something else."""
    try:
        values = np.array(value, float).reshape(count)
    except (TypeError, ValueError):
        return None
    return values if np.isfinite(values).all() else None


def _rescale(path: Path, groups: list[pydicom.Dataset]) -> tuple[float, float] | None:
    sequence = "PixelValueTransformationSequence"
    slope, intercept = (
        _look_up(groups, sequence, keyword) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if slope is None and intercept is None:
        return None
    scale = finite([slope, intercept], 2)
    if scale is None or scale[0] == 0:
        raise InputError(
            f"The rescale slope and intercept of the DICOM image '{path.name}' are impossible, so "
            "its Hounsfield units are unknown; export the original CT series."
        )
    return float(scale[0]), float(scale[1])


def _padding(header: pydicom.Dataset) -> tuple[float, float] | None:
    first = finite(header.get("PixelPaddingValue"), 1)
    if first is None:
        return None
    last = finite(header.get("PixelPaddingRangeLimit"), 1)
    ends = (float(first[0]), float((first if last is None else last)[0]))
    return min(ends), max(ends)


# Geometry


def _largest_stack(slices: list[DicomSlice]) -> list[DicomSlice]:
    """The largest group of slices that have the same size and orientation."""
    stacks: list[list[DicomSlice]] = []
    for each in slices:
        for stack in stacks:
            if each.fits(stack[0]):
                stack.append(each)
                break
        else:
            stacks.append([each])
    return max(stacks, key=len)


def _check_size(slices: list[DicomSlice]) -> None:
    """Refuse impossible sizes before memory is allocated."""
    pixels = math.prod(slices[0].matrix)
    if not 0 < pixels <= MAX_SLICE_PIXELS or pixels * len(slices) > MAX_VOXELS:
        raise InputError(
            f"'{slices[0].path.name}' claims to be a volume of {slices[0].matrix[1]} x "
            f"{slices[0].matrix[0]} x {len(slices)} voxels; the file is damaged."
        )


def _check_rescale(slices: list[DicomSlice]) -> None:
    """Refuse a series in which only some slices have a rescale; the others would be too bright."""
    without = sum(each.rescale is None for each in slices)
    if 0 < without < len(slices):
        raise InputError(
            f"{without} of {len(slices)} slices have no rescale slope and intercept, so their "
            "Hounsfield units are unknown; export the original CT series."
        )


def _without_copies(
    slices: list[DicomSlice], planes: list[np.ndarray]
) -> tuple[list[DicomSlice], list[np.ndarray], int]:
    """Remove duplicates; slices at the same place must be identical.

    Raises
    ------
    InputError
        If different slices lie at the same place.
    """
    kept = [0]
    for index in range(1, len(slices)):
        before, each = slices[kept[-1]], slices[index]
        if (each.position - before.position) @ slices[0].normal >= SAME_PLACE_MM:
            kept.append(index)
        elif not np.array_equal(planes[kept[-1]], planes[index]):
            raise InputError(
                "Several slices of the series are at the same place, so it contains more than one "
                "scan; export one of them alone."
            )
    return [slices[i] for i in kept], [planes[i] for i in kept], len(slices) - len(kept)


def _even_spacing(slices: list[DicomSlice], warnings: list[str]) -> float:
    """Distance of neighboring slices in millimeters."""
    if len(slices) == 1:
        if slices[0].thickness is None:
            warnings.append(
                "The thickness of the slice is unknown and was assumed to be 1 mm, so volumes in "
                "mL are meaningless."
            )
        return slices[0].thickness or 1.0
    places = np.array([each.position @ slices[0].normal for each in slices])
    gaps = np.diff(places)
    even = np.linspace(places[0], places[-1], len(places))
    spacing = (places[-1] - places[0]) / (len(places) - 1)
    off = np.abs(places - even).max()
    if off > UNEVEN_SHARE * spacing:
        raise InputError(
            f"The slices are not evenly spaced (gaps of {gaps.min():.2f} to {gaps.max():.2f} mm), "
            "so some may be missing; export the whole series again."
        )
    if off > SLIGHTLY_UNEVEN_SHARE * spacing:
        warnings.append(
            f"The slices are not quite evenly spaced (gaps of {gaps.min():.2f} to "
            f"{gaps.max():.2f} mm); they were assumed to be {spacing:.2f} mm apart."
        )
    return float(spacing)


def _upright(
    slices: list[DicomSlice], voxels: np.ndarray, warnings: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Origin and voxels of the stack after correction of gantry tilt.

    A tilted gantry shifts each slice within its own plane. Each slice is moved back by linear
    interpolation within the plane, and the matrix grows so that nothing is cut off.

    Raises
    ------
    InputError
        If gantry tilt can't explain the shifts.
    """
    first = slices[0]
    axes = np.array([first.orientation[3:], first.orientation[:3]])
    # In rows and columns.
    shifts = np.array([axes @ (each.position - first.position) for each in slices])
    shifts /= first.spacing[::-1]
    if np.abs(shifts).max() <= 1:
        return first.position, voxels
    steps = np.arange(len(slices))[:, None] / (len(slices) - 1)
    millimeters = np.linalg.norm(shifts[-1] * first.spacing[::-1])
    along = (slices[-1].position - first.position) @ first.normal
    tilt = float(np.degrees(np.arctan2(millimeters, along)))
    if np.abs(shifts - steps * shifts[-1]).max() > 1 or tilt > MAX_TILT_DEGREES:
        raise InputError(
            "The slices are offset in a way that gantry tilt cannot explain; export the original "
            "CT series again."
        )
    warnings.append(
        f"The gantry was tilted by {tilt:.1f} degrees; the slices were moved back within their "
        "planes, so the voxels differ slightly from those in the files."
    )
    low, high = np.floor(shifts.min(0)).astype(int), np.ceil(shifts.max(0)).astype(int)
    moved = np.empty((len(slices), *(voxels.shape[1:] + high - low)), voxels.dtype)
    for plane, shift, target in zip(voxels.astype(np.float32), shifts, moved, strict=True):
        straight = ndimage.affine_transform(
            plane, np.ones(2), low - shift, target.shape, order=1, cval=OUTSIDE_HU
        )
        target[...] = np.rint(straight) if voxels.dtype.kind == "i" else straight
    return first.position + (low * first.spacing[::-1]) @ axes, moved


# Pixels


def _read_planes(slices: list[DicomSlice]) -> list[np.ndarray]:
    """Pixels of each slice in Hounsfield units, (rows, columns); each file is decoded once."""
    frames: dict[Path, list[DicomSlice]] = {}
    for each in slices:
        frames.setdefault(each.path, []).append(each)
    planes = {}
    for path, here in frames.items():
        stored = read_pixels(path)
        for each in here:
            if each.frame >= len(stored) or stored[each.frame].shape != each.matrix:
                raise InputError(
                    f"The DICOM file '{path.name}' has fewer pixels than its header says; it is "
                    "damaged."
                )
            planes[path, each.frame] = _hounsfield(stored[each.frame], each)
    return [planes[each.path, each.frame] for each in slices]


def _hounsfield(stored: np.ndarray, piece: DicomSlice) -> np.ndarray:
    """Stored values in Hounsfield units: int16 if they fit, else float32."""
    slope, intercept = piece.rescale or (1.0, 0.0)
    plane = stored.astype(np.float64) * slope + intercept
    if piece.padding is not None:
        plane[_padded(stored, *piece.padding)] = OUTSIDE_HU
    limits = np.iinfo(np.int16)
    whole = slope == round(slope) and intercept == round(intercept)
    if whole and limits.min <= plane.min() and plane.max() <= limits.max:
        return plane.astype(np.int16)
    return plane.astype(np.float32)


def _padded(stored: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mask of the padding, which touches the border; the same value elsewhere is tissue."""
    within = (stored >= low) & (stored <= high)
    return ndimage.binary_propagation(np.zeros_like(within), mask=within, border_value=1)

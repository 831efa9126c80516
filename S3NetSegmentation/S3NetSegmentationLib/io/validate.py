"""Whether an image is a CT volume in Hounsfield units, and if not, why not."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, LabelMapError

MIN_PIXELS = 16
"""Rows and columns of a slice that can be segmented."""

WIDEST = 1500
"""Millimeters; no CT scanner is as wide, though the bed may be longer."""

SAMPLE = 2_000_000
"""Voxels that the shares are estimated from."""

AIR_OR_FAT = (-1100, -50)
"""Hounsfield units of what every CT has some of, and no other modality: values far below water."""

SOFT_TISSUE = (-200, 300)

MIN_RANGE = 500
"""Hounsfield units between the darkest and the brightest voxel of a CT that is not windowed."""


def check_volume(image: sitk.Image) -> None:
    """Refuse what is no scalar volume of finite, varying values.

    Raises
    ------
    InputError
        With one sentence that says what is wrong.
    """
    if image.GetNumberOfComponentsPerPixel() > 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError("This is a color or vector image; a CT volume is needed.")
    if image.GetDimension() != 3:
        raise InputError(f"This is a {image.GetDimension()}D image; a 3D CT volume is needed.")
    size = image.GetSize()
    if sorted(size)[1] < MIN_PIXELS:
        raise InputError(
            f"The volume is too small ({' x '.join(map(str, size))} voxels) to be a CT."
        )
    values = sitk.GetArrayViewFromImage(image)
    low, high = values.min(), values.max()
    if not np.isfinite([low, high]).all():  # as they are where any voxel is NaN
        raise InputError(
            "The volume holds values that are not numbers (NaN or infinite); replace them first, "
            "for example by -1024."
        )
    if low == high:
        raise InputError(f"Every voxel of the volume is {low:g}; there is nothing to see.")


def check_ct(image: sitk.Image) -> None:
    """Refuse what is no CT volume in Hounsfield units.

    A CT has air near -1000 HU or fat near -100 HU, soft tissue near 0 HU, a range that no
    display window has cut, and voxels in millimeters.

    Raises
    ------
    InputError
        With one sentence that says what is wrong; a `LabelMapError` where it is a label map.
    """
    check_volume(image)
    values = sitk.GetArrayViewFromImage(image).ravel()
    values = values[:: max(1, values.size // SAMPLE)]
    # Padding outside the field of view says nothing.
    inside = values[values >= AIR_OR_FAT[0]]
    low, high = float((inside if inside.size else values).min()), float(values.max())
    if (
        _share(values, *AIR_OR_FAT) < 0.005
        or _share(values, *SOFT_TISSUE) < 0.01
        or high - low < MIN_RANGE
    ):
        kind = LabelMapError if _is_label_map(values, low, high) else InputError
        raise kind(f"The volume is not CT in Hounsfield units: {_reason(values, low, high)}.")
    lengths = [n * size for n, size in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    width = sorted(lengths)[1]
    if width > WIDEST:
        raise InputError(
            f"The volume is {width / 1000:.1f} m wide, so its voxel size cannot be in millimeters; "
            "correct it first."
        )


def _is_label_map(values: np.ndarray, low: float, high: float) -> bool:
    """Whether the values are a few whole numbers from 0."""
    whole = bool(np.all(values == np.rint(values)))
    return whole and low >= 0 and len(np.unique(values)) <= 64 and high < 1000


def _share(values: np.ndarray, low: float, high: float) -> float:
    """Share of the values from `low` to `high`."""
    return float(np.mean((values >= low) & (values <= high)))


def _reason(values: np.ndarray, low: float, high: float) -> str:
    """What the image seems to be instead."""
    if _is_label_map(values, low, high):
        return "it seems to be a label map; choose the CT itself"
    if low >= -1 and high <= 1:
        return "its values are scaled to 0 to 1; export the original CT"
    if low >= 0 and high <= 255:
        return "its values are 0 to 255, as in an 8-bit picture; export the original CT"
    if _share(values, -50, 200) >= 0.05 and _share(values, 874, 1224) >= 0.1:
        return (
            "air seems to be at 0 and water at 1024, so the rescale intercept is missing; "
            "subtract 1024 first"
        )
    return (
        f"its values run from {low:g} to {high:g}, without air near -1000 and tissue near 0; "
        "choose a CT that is not scaled or windowed, and no other modality"
    )

"""Check that an image is a CT volume in Hounsfield units, and say why if it is not."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, LabelMapError

MAX_VOXELS = 2**31
"""Far more than any CT volume has; a file that claims more is damaged."""

MIN_VOXEL_MM, MAX_VOXEL_MM = 0.01, 50.0
"""Limits along any axis. Micro-CT of mice resolves 0.01 mm; the sparsest slices of a chest are the
single ones of old high-resolution protocols, 10 to 40 mm apart."""

MIN_WIDTH_MM, MAX_WIDTH_MM = 5.0, 1500.0
"""Limits for the second longest edge, which lies in the slice plane. The chest of a mouse is 10 mm
wide, the opening of the widest scanner 900 mm."""

MAX_LENGTH_MM = 2500.0
"""Limit for the longest edge: scanner tables travel 2000 mm."""

MIN_SLICE_PIXELS = 16
"""Minimum number of rows and columns: no lung could be recognized in fewer."""

SAMPLED_VOXELS = 2_000_000
"""Number of voxels for estimating shares; the standard error of a share of 1% is 0.007%."""

AIR_OR_FAT_HU = (-1100, -50)
"""Hounsfield units of air and fat, far below water: every CT has some, other modalities have none.
Air is -1000 by definition, fat about -100."""

SOFT_TISSUE_RANGE_HU = (-200, 300)
"""Hounsfield units from fat to blood with contrast agent and cancellous bone."""

MIN_AIR_OR_FAT_SHARE, MIN_SOFT_TISSUE_SHARE = 0.005, 0.01
"""Minimum shares of the voxels: small, since a volume cropped to tissue or to lung is CT, too."""

MIN_RANGE_HU = 500
"""Minimum range in Hounsfield units of a CT that is not windowed: the usual window for soft tissue
is 400 wide."""

MAX_LABELS, MAX_LABEL = 64, 1000
"""Maximum number of different values in a label map, and the limit for these values."""


def check_volume(image: sitk.Image) -> None:
    """Refuse anything but a scalar volume of finite, varying values.

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
    if sorted(size)[1] < MIN_SLICE_PIXELS:
        raise InputError(
            f"The volume is too small ({' x '.join(map(str, size))} voxels) to be a CT."
        )
    values = sitk.GetArrayViewFromImage(image)
    low, high = values.min(), values.max()
    if not np.isfinite([low, high]).all():  # NaN if any voxel is
        raise InputError(
            "The volume contains values that are not numbers (NaN or infinite); replace them "
            "first, for example with -1024."
        )
    if low == high:
        raise InputError(f"Every voxel of the volume is {low:g}; there is nothing to see.")


def check_ct(image: sitk.Image) -> None:
    """Refuse anything but a CT volume in Hounsfield units.

    A CT has air near -1000 HU or fat near -100 HU, soft tissue near 0 HU, a range that was not cut
    by a display window, and voxels in millimeters.

    Raises
    ------
    InputError
        With one sentence that says what is wrong; a `LabelMapError` for a label map.
    """
    check_volume(image)
    values = sitk.GetArrayViewFromImage(image).ravel()
    values = values[:: max(1, values.size // SAMPLED_VOXELS)]
    # Padding outside the field of view is ignored.
    inside = values[values >= AIR_OR_FAT_HU[0]]
    low, high = float((inside if inside.size else values).min()), float(values.max())
    if (
        _share(values, *AIR_OR_FAT_HU) < MIN_AIR_OR_FAT_SHARE
        or _share(values, *SOFT_TISSUE_RANGE_HU) < MIN_SOFT_TISSUE_SHARE
        or high - low < MIN_RANGE_HU
    ):
        kind = LabelMapError if _is_label_map(values, low, high) else InputError
        raise kind(f"The volume is not CT in Hounsfield units: {_reason(values, low, high)}.")
    _check_extent(image)


def _check_extent(image: sitk.Image) -> None:
    """Refuse a voxel size that is impossible for CT."""
    spacing = image.GetSpacing()
    _, width, length = sorted(n * size for n, size in zip(image.GetSize(), spacing, strict=True))
    if length > MAX_LENGTH_MM or not MIN_WIDTH_MM <= width <= MAX_WIDTH_MM:
        what = f"The volume is {_with_unit(width)} wide and {_with_unit(length)} long"
    elif min(spacing) < MIN_VOXEL_MM or max(spacing) > MAX_VOXEL_MM:
        what = f"A voxel of the volume is {' x '.join(f'{each:g}' for each in spacing)} mm large"
    else:
        return
    raise InputError(
        f"{what}, impossible for CT: its voxel size is wrong or not in millimeters; correct it "
        "first."
    )


def _with_unit(millimeters: float) -> str:
    return f"{millimeters / 1000:.4g} m" if millimeters >= 1000 else f"{millimeters:.3g} mm"


def _is_label_map(values: np.ndarray, low: float, high: float) -> bool:
    """Whether the values are a few whole numbers, not negative."""
    whole = bool(np.all(values == np.rint(values)))
    return whole and low >= 0 and len(np.unique(values)) <= MAX_LABELS and high < MAX_LABEL


def _share(values: np.ndarray, low: float, high: float) -> float:
    """Share of the values from `low` to `high`."""
    return float(np.mean((values >= low) & (values <= high)))


def _reason(values: np.ndarray, low: float, high: float) -> str:
    """What the image appears to be instead."""
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
        "choose a CT that is not scaled or windowed, not another modality"
    )

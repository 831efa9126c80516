"""A CT slice that has lost its Hounsfield units: 8 bit, windowed, or scaled to 0 to 1."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError
from ..lung.block_grid import spanned
from ..lung.body import body_mask
from ..lung.levels import AERATED_HU, AIR_OR_LUNG_HU, LUNG_HU, SOFT_TISSUE_HU
from .view import best_split, bright_surround, scanner_view

BODY_WIDTH_MM = 350.0
"""Width of an adult's chest without the arms, since a picture has no pixel size. Typical, not
measured."""

THICKNESS_MM = 5.0
"""Assumed thickness of a slice: usual for chests that are stored for viewing; not measured."""

MIN_GRAY = -500
"""No picture has values below this; a slice that does is in Hounsfield units. Pictures start at 0,
or at -1 if they are scaled, and air is -1000 HU."""

MIN_BODY_SHARE = 0.05
"""Minimum share of a slice that the body fills; in the 142 slices of the evaluation images, it
fills 0.37 to 0.93."""

SMOOTHING_MM = 2.0
"""Standard deviation in millimeters. It removes noise that contrast enhancement has made as strong
as the contrast of fat and muscle, and leaves the body in one piece. Not measured."""

CUT_SHARE = 0.5
"""If more than this share of the dark pixels has the same darkest gray, the window has cut off the
grays of air and lung: then fat may be nearer to them than to muscle, and everything brighter is
body. Not measured."""

MIN_LUNG_MM = 6.0
"""Millimeters: dark parts wider than this may be lung; the chest wall begins beside them. Not
measured."""

RIM_MM = 6.0
"""Millimeters beside lung and below the skin that are not representative of the wall, because gray
is a mixture there. Not measured."""

FAT_HU = -100
"""Hounsfield units of fat: -120 to -80."""

FAT_PERCENT = 5
"""Percentage of the chest wall that is as dark as fat, or darker. In Hounsfield units estimated
without it, this is -120 to -10 in 18 slices, and -350 to -225 in the 54 with enhanced contrast. No
plateau was measured."""

BELOW_FAT_SHARE = 0.2
"""Minimum share of the distance from the gray of fat to that of lung by which air and lung are
darker than fat. It matters if a window shows fat almost as dark as lung. Not measured."""

MIN_PICTURE_HU = -900
"""Hounsfield units of the darkest pixel. A picture often shows lung as dark as air, so nothing may
count as gas, which is below -955 (`GAS_MARGIN_HU` above air). By definition."""


def slice_as_scan(gray: np.ndarray) -> sitk.Image:
    """Convert a picture of a CT slice to a scan of one slice, in estimated Hounsfield units.

    The grays of lung, fat, and soft tissue give the scale. Areas that were not scanned become as
    dark as the darkest scanned pixel. A slice that has its Hounsfield units keeps them.

    Parameters
    ----------
    gray : ndarray, (y, x)
        Rows from the front of the patient to the back.

    Raises
    ------
    InputError
        If no body is found.
    """
    gray = gray.astype(np.float32)
    view = scanner_view(gray) & ~bright_surround(gray)
    gray = np.where(view, gray, gray[view].min())
    smooth = ndimage.gaussian_filter(gray, SMOOTHING_MM * gray.shape[1] / BODY_WIDTH_MM)
    split = best_split(smooth[view])
    tissue = float(np.median(gray[view & (smooth > split)]))
    bright = view & (smooth > split)
    enclosed = gray[spanned(bright, 0) & spanned(bright, 1) & ~bright]
    if enclosed.size and np.mean(enclosed == gray.min()) > CUT_SHARE:
        split = (gray.min() + split) / 2
    body = _body(smooth, view, split, tissue)
    if body.mean() < MIN_BODY_SHARE:
        raise InputError("No body was found in this picture; choose an axial CT slice of a chest.")
    columns = np.flatnonzero(body.any(0))
    millimeters = BODY_WIDTH_MM / (columns[-1] - columns[0] + 1)
    if gray.min() >= MIN_GRAY:
        dark = body & (smooth <= split)
        wall = _chest_wall(body, dark, millimeters)
        gray = _hounsfield(gray, smooth, tissue, dark, wall)
    scan = sitk.GetImageFromArray(gray.astype(np.float32)[None])
    scan.SetSpacing((millimeters, millimeters, THICKNESS_MM))
    return scan


def _body(smooth: np.ndarray, view: np.ndarray, split: float, tissue: float) -> np.ndarray:
    """The body, if `split` is midway between lung and soft tissue."""
    millimeters = BODY_WIDTH_MM / smooth.shape[1]
    per_gray = (SOFT_TISSUE_HU - AIR_OR_LUNG_HU) / (tissue - split)
    rough = AIR_OR_LUNG_HU + (smooth - split) * per_gray
    return body_mask(rough[None], (THICKNESS_MM, millimeters, millimeters))[0] & view


def _chest_wall(body: np.ndarray, dark: np.ndarray, millimeters: float) -> np.ndarray:
    """The body without the space between and close to dark parts that are wide enough for lung."""
    half, rim = (max(1, round(size / millimeters)) for size in (MIN_LUNG_MM / 2, RIM_MM))
    wide = ndimage.binary_opening(dark, iterations=half)
    chest = spanned(wide, 0) & spanned(wide, 1)
    inner = ndimage.binary_erosion(body, iterations=rim, border_value=1)
    return inner & ~ndimage.binary_dilation(chest, iterations=rim)


def _hounsfield(
    gray: np.ndarray, smooth: np.ndarray, tissue: float, dark: np.ndarray, wall: np.ndarray
) -> np.ndarray:
    """Hounsfield units from the grays of lung, of fat in the chest wall, and of soft tissue.

    The scale is linear from lung to soft tissue, unless fat would come out too dark: then it is
    steeper from fat on. The wall contains neither lung nor haze, whatever its grays.
    """
    interior = ndimage.binary_erosion(dark)
    values = gray[interior if interior.any() else dark]
    lung = float(np.median(values)) if values.size else float(gray.min())

    def even(gray: np.ndarray | np.floating) -> np.ndarray:
        return SOFT_TISSUE_HU + (gray - tissue) * ((SOFT_TISSUE_HU - LUNG_HU) / (tissue - lung))

    hounsfield = even(gray)
    darkest, brightest = float(hounsfield.min()), float(hounsfield.max())
    fat = float(even(np.percentile(smooth[wall], FAT_PERCENT))) if wall.any() else FAT_HU
    known, means = [min(MIN_PICTURE_HU, darkest), LUNG_HU], [MIN_PICTURE_HU, LUNG_HU]
    if fat < FAT_HU:
        known += [min(AIR_OR_LUNG_HU, fat + BELOW_FAT_SHARE * (LUNG_HU - fat)), fat]
        means += [AIR_OR_LUNG_HU, FAT_HU]
    beyond = max(SOFT_TISSUE_HU + 1, brightest)
    hounsfield = np.interp(
        hounsfield, [*known, SOFT_TISSUE_HU, beyond], [*means, SOFT_TISSUE_HU, beyond]
    )
    hazy = wall & (hounsfield > AERATED_HU) & (hounsfield < FAT_HU)
    return np.where(hazy, FAT_HU, hounsfield)

"""A CT slice that has lost its Hounsfield units: 8 bit, windowed, or scaled to 0 to 1."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError
from ..lung.body import body_mask
from ..lung.levels import AIR_OR_LUNG_HU, LUNG_HU, SOFT_TISSUE_HU
from .view import best_split, scanner_view

BODY_WIDTH_MM = 350.0
"""Of an adult's chest, from side to side without the arms; a picture does not tell the size of its
pixels. Typical, not measured."""

THICKNESS_MM = 5.0
"""That a slice is taken to be thick: usual for chests that are stored to look at; not measured."""

MIN_GRAY = -500
"""No picture has values below this one; a slice that has them is in Hounsfield units. Pictures
start at 0, or at -1 where they are scaled, and air in Hounsfield units is -1000."""

MIN_BODY_SHARE = 0.05
"""Of a slice that the body fills, at least; in the 88 slices of the evaluation images
it fills 0.37 to 0.93."""


def slice_as_scan(gray: np.ndarray) -> sitk.Image:
    """A picture of a CT slice as a scan of one slice, in estimated Hounsfield units.

    The grays of soft tissue and of what is dark inside the body give the scale. What lies
    outside the scanner's field of view becomes as dark as the darkest inside it. A slice that
    has its Hounsfield units keeps them.

    Parameters
    ----------
    gray : ndarray, (y, x)
        Rows from the front of the patient to the back.

    Raises
    ------
    InputError
        If there is no body in it.
    """
    gray = gray.astype(np.float32)
    view = scanner_view(gray)
    split = best_split(gray[view])
    tissue = float(np.median(gray[view & (gray > split)]))
    gray = np.where(view, gray, gray[view].min())
    millimeters = BODY_WIDTH_MM / gray.shape[1]
    rough = AIR_OR_LUNG_HU + (gray - split) * ((SOFT_TISSUE_HU - AIR_OR_LUNG_HU) / (tissue - split))
    body = body_mask(rough[None], (THICKNESS_MM, millimeters, millimeters))[0] & view
    if body.mean() < MIN_BODY_SHARE:
        raise InputError("No body was found in this picture; choose an axial CT slice of a chest.")
    dark = body & (gray <= split)
    interior = ndimage.binary_erosion(dark)
    values = gray[interior if interior.any() else dark]
    lung = float(np.median(values)) if values.size else float(gray.min())
    if gray.min() < MIN_GRAY:
        hounsfield = gray
    else:
        hounsfield = SOFT_TISSUE_HU + (gray - tissue) * (
            (SOFT_TISSUE_HU - LUNG_HU) / (tissue - lung)
        )
    columns = np.flatnonzero(body.any(0))
    millimeters = BODY_WIDTH_MM / (columns[-1] - columns[0] + 1)
    scan = sitk.GetImageFromArray(hounsfield.astype(np.float32)[None])
    scan.SetSpacing((millimeters, millimeters, THICKNESS_MM))
    return scan

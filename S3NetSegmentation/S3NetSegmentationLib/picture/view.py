"""Which part of a picture was seen: inside the lens, inside the scanner's field of view."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

VIGNETTE_SHARE = 0.75
"""Corners darker than this share of what lies inside the lens were not seen through it. Not
measured."""

PADDED_SHARE = 0.3
"""Corners that are below air by more than this share of the contrast of air and tissue are
padding: scanners pad with values that no air has, such as -2000 HU, 1.0 below. Not measured."""


def lens_view(picture: np.ndarray) -> np.ndarray:
    """The round view of a dermatoscope; everything where the corners are not dark.

    Parameters
    ----------
    picture : ndarray, (y, x) or (y, x, channels)

    Returns
    -------
    ndarray of bool, (y, x)
    """
    brightness = picture if picture.ndim == 2 else picture.max(-1)
    radius = _radius(brightness.shape)
    corners = np.median(brightness[radius > 1.1])
    ring = np.median(brightness[(radius > 0.8) & (radius < 0.95)])
    return radius < 1 if corners < VIGNETTE_SHARE * ring else np.ones(radius.shape, bool)


def scanner_view(gray: np.ndarray) -> np.ndarray:
    """The round field of view of a scanner; everything where nothing is padded.

    Parameters
    ----------
    gray : ndarray, (y, x)

    Returns
    -------
    ndarray of bool, (y, x)
    """
    radius = _radius(gray.shape)
    inside = gray[radius < 0.8]
    padding = np.median(gray[radius > 1.03])
    air = np.percentile(inside, 1)
    tissue = np.median(inside[inside > best_split(inside)])
    if padding >= air - PADDED_SHARE * (tissue - air):
        return np.ones(gray.shape, bool)
    pieces, _ = ndimage.label(gray < (padding + air) / 2)
    at_border = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    return ~np.isin(pieces, at_border[at_border > 0])


def best_split(values: np.ndarray) -> float:
    """The threshold that parts the values best in two (Otsu's)."""
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(values.reshape(1, -1).astype(np.float64)))
    return otsu.GetThreshold()


def _radius(shape: tuple[int, int]) -> np.ndarray:
    """Distance from the center, 1 on the ellipse that touches all four sides."""
    y, x = ((np.arange(length) - (length - 1) / 2) / (length / 2) for length in shape)
    return np.hypot(y[:, None], x)

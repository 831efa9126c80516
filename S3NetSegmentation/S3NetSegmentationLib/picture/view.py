"""The part of a picture that was imaged: inside a lens, inside a scanner's field of view."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

VIGNETTE_SHARE = 0.75
"""Corners darker than this share of the area inside the lens are outside the lens. Not measured."""

PADDED_SHARE = 0.3
"""Corners that are below air by more than this share of the contrast of air and tissue are padding:
scanners pad with values far below air, such as -2000 HU, 1.0 below. Not measured."""

FLAT_SHARE = 0.02
"""Maximum variation of gray within a margin, as a share of the range of grays; noise and JPEG stay
below it in a margin, but not in a body. Plateau: 0 to 0.08, in 45 variants of three slices and in
23 pictures."""

DARK_SHARE = 0.1
"""Of the range of grays, from the darkest: a margin as dark as this is like air, and harmless.
Plateau: 0.02 to 0.3, in the same pictures."""

MIN_TISSUE_SHARE = 0.08
"""Minimum share of the picture that tissue fills beside the margin; otherwise the margin itself is
tissue, which a window may show as white as bone. Plateau: 0.05 to 0.15, in the same pictures."""

SURROUND_SHARE = 0.8
"""Minimum share of the border of the picture that a margin touches; bones touch less of it.
Plateau: 0.7 to 0.9, in the same pictures."""

VESSEL_SHARE = 0.03
"""Of the picture's width: bright parts that are not wider may be a vessel in a lung, or its border.
Plateau: 0.02 to 0.05, in the same pictures."""


def lens_view(picture: np.ndarray) -> np.ndarray:
    """Mask (y, x) of the round view of a dermatoscope; everything if the corners are not dark."""
    brightness = picture if picture.ndim == 2 else picture.max(-1)
    radius = _radius(brightness.shape)
    corners = np.median(brightness[radius > 1.1])
    ring = np.median(brightness[(radius > 0.8) & (radius < 0.95)])
    return radius < 1 if corners < VIGNETTE_SHARE * ring else np.ones(radius.shape, bool)


def scanner_view(gray: np.ndarray) -> np.ndarray:
    """Mask (y, x) of the round field of view of a scanner; everything if nothing is padded."""
    radius = _radius(gray.shape)
    inside = gray[radius < 0.8]
    padding = np.median(gray[radius > 1.03])
    air = np.percentile(inside, 1)
    tissue = np.median(inside[inside > best_split(inside)])
    if padding >= air - PADDED_SHARE * (tissue - air):
        return np.ones(gray.shape, bool)
    return ~_touching_border(gray < (padding + air) / 2)


def bright_surround(gray: np.ndarray) -> np.ndarray:
    """Mask (y, x) of a margin of one bright gray, as on a page; empty if it leaves no tissue."""
    tolerance = FLAT_SHARE * np.ptp(gray)
    bright = gray > gray.min() + DARK_SHARE * np.ptp(gray)
    flat = ndimage.maximum_filter(gray, 3) - ndimage.minimum_filter(gray, 3) <= tolerance
    surround = _touching_border(flat & bright)
    if _border(surround).mean() < SURROUND_SHARE:
        return np.zeros_like(surround)
    # The filters removed its innermost pixels.
    near = ndimage.binary_dilation(surround, np.ones((3, 3), bool))
    surround = near & (np.abs(gray - np.median(gray[surround])) <= tolerance)
    left = gray[~surround]
    tissue = ~surround & (gray > best_split(left)) if left.size else ~surround
    wide = ndimage.binary_opening(tissue, iterations=max(1, round(VESSEL_SHARE * len(gray[0]))))
    return surround if wide.mean() >= MIN_TISSUE_SHARE else np.zeros_like(surround)


def _touching_border(mask: np.ndarray) -> np.ndarray:
    """The pieces of a mask (y, x) that reach the border of the picture."""
    return ndimage.binary_propagation(np.zeros_like(mask), mask=mask, border_value=1)


def _border(plane: np.ndarray) -> np.ndarray:
    """The values along the four sides of a plane (y, x)."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def best_split(values: np.ndarray) -> float:
    """Otsu's threshold, which best separates the values into two classes."""
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(values.reshape(1, -1).astype(np.float64)))
    return otsu.GetThreshold()


def _radius(shape: tuple[int, int]) -> np.ndarray:
    """Distance from the center, 1 on the ellipse that touches all four sides."""
    y, x = ((np.arange(length) - (length - 1) / 2) / (length / 2) for length in shape)
    return np.hypot(y[:, None], x)

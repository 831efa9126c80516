"""How far two surfaces lie apart."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def surface_distances(prediction: sitk.Image, truth: sitk.Image) -> np.ndarray:
    """Distance of every surface voxel of either mask to the other mask's surface.

    Parameters
    ----------
    prediction, truth : SimpleITK.Image
        Masks of the same geometry, not 0 inside.

    Returns
    -------
    ndarray of float
        In mm; empty where both masks are, infinite where one of them is.
    """
    first, second = (sitk.LabelContour(image != 0) for image in (prediction, truth))
    counts = [np.count_nonzero(sitk.GetArrayViewFromImage(each)) for each in (first, second)]
    if not all(counts):
        return np.full(sum(counts), np.inf)
    return np.concatenate([_from_to(first, second), _from_to(second, first)])


def _from_to(contour: sitk.Image, other: sitk.Image) -> np.ndarray:
    distance = sitk.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True)
    at = sitk.GetArrayViewFromImage(contour) != 0
    return np.abs(sitk.GetArrayViewFromImage(distance)[at])


def hausdorff95(prediction: sitk.Image, truth: sitk.Image) -> float:
    """95th percentile of the surface distances in mm.

    0 where both masks are empty, infinite where one of them is.
    """
    distances = surface_distances(prediction, truth)
    if not distances.size:
        return 0.0
    return float(np.percentile(distances, 95)) if np.isfinite(distances).all() else np.inf


def surface_dice(prediction: sitk.Image, truth: sitk.Image, tolerance: float) -> float:
    """Share of both surfaces that lies within so many mm of the other one (NSD).

    1 where both masks are empty, 0 where one of them is.
    """
    distances = surface_distances(prediction, truth)
    return float(np.mean(distances <= tolerance)) if distances.size else 1.0

"""Figures of the segmented lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..labels import LUNG_NAMES
from .levels import EMPHYSEMA_HU


@dataclass(frozen=True)
class LungMeasurements:
    """Figures of one lung.

    Attributes
    ----------
    name : str
        ``"right lung"`` or ``"left lung"``.
    label : int
        Value in the lung label map: 1 right, 2 left.
    volume_ml : float
        Volume in milliliters.
    mean_hu : float
        Mean intensity in Hounsfield units; NaN where the lung is empty.
    emphysema_fraction : float
        Share of voxels below `EMPHYSEMA_HU`, 0 to 1; NaN where the lung is empty.
    """

    name: str
    label: int
    volume_ml: float
    mean_hu: float
    emphysema_fraction: float


def measure_lungs(
    lungs: np.ndarray, hounsfield: np.ndarray, voxel_ml: float
) -> tuple[LungMeasurements, ...]:
    """Volume, mean intensity and emphysema share of each lung.

    Parameters
    ----------
    lungs : ndarray of uint8, (z, y, x)
        `RIGHT` or `LEFT`; 0 is background.
    hounsfield : ndarray, same shape
    voxel_ml : float
        Volume of a voxel in milliliters.
    """
    measured = []
    inside = lungs > 0
    labels, intensities = lungs[inside], hounsfield[inside]
    for label, name in LUNG_NAMES.items():
        values = intensities[labels == label]
        empty = values.size == 0
        measured.append(
            LungMeasurements(
                name,
                label,
                float(values.size * voxel_ml),
                float("nan") if empty else float(values.mean(dtype=np.float64)),
                float("nan") if empty else float((values < EMPHYSEMA_HU).mean()),
            )
        )
    return tuple(measured)

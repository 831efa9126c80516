"""Figures of the segmented lungs."""

from __future__ import annotations

from dataclasses import dataclass


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
        Share of voxels below -950 HU, 0 to 1; NaN where the lung is empty.
    """

    name: str
    label: int
    volume_ml: float
    mean_hu: float
    emphysema_fraction: float

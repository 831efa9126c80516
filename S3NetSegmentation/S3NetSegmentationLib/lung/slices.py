"""The axial slices as the network sees them."""

from __future__ import annotations

import numpy as np

from .levels import AIR_HU, AIR_OR_LUNG_HU, SOFT_TISSUE_HU
from .scan import Scan

WIDE_WINDOW_HU, GAS_WINDOW_HU = 200, -700
"""Hounsfield units: upper ends of the windows of the image's two channels, from air on: one that
contains everything, and one that separates gas in the bowel, trachea, and lung. The first has no
effect from 100 to 300, the second is flat from -800 to -600."""

BODY_WEIGHT = 0.1
"""Weight of a voxel of tissue in the choice of slices to fit; air and lung have weight 1. Not
measured."""


def network_input(scan: Scan) -> np.ndarray:
    """All slices, each window scaled to [-1, 1], with soft tissue outside the body.

    Returns
    -------
    ndarray of float32, (z, channels, y, x)
    """
    inside = np.where(scan.body, scan.hounsfield, SOFT_TISSUE_HU)
    windows = [
        (inside.clip(AIR_HU, high) - AIR_HU) * (2 / (high - AIR_HU)) - 1
        for high in (WIDE_WINDOW_HU, GAS_WINDOW_HU)
    ]
    return np.stack(windows, 1).astype(np.float32)


def spread_slices(scan: Scan, count: int) -> np.ndarray:
    """Indices of slices spread over the scan, denser where there is more air or lung.

    Parameters
    ----------
    scan : Scan
    count : int
        How many; fewer come back where the scan has fewer slices.
    """
    dark = (scan.body & (scan.hounsfield < AIR_OR_LUNG_HU)).sum((1, 2))
    share = np.cumsum(dark + BODY_WEIGHT * scan.body.sum((1, 2)) + 1e-6)
    return np.unique(np.searchsorted(share / share[-1], (np.arange(count) + 0.5) / count))

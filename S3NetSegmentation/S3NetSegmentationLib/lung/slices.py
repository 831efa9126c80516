"""The axial slices as the network sees them."""

from __future__ import annotations

import numpy as np

from .scan import Scan

SOFT_TISSUE = 40
"""Hounsfield units that stand in for everything outside the body, which looks like lung."""

WINDOWS = ((-1000, 200), (-1000, -700))
"""Hounsfield units of the image's channels: one that holds everything, and one that tells gas
in the bowel, trachea and lung apart."""

AIR_OR_LUNG = -400
"""Hounsfield units below which a voxel inside the body is worth learning from."""


def network_input(scan: Scan) -> np.ndarray:
    """All slices, each window scaled to [-1, 1], with soft tissue outside the body.

    Returns
    -------
    ndarray of float32, (z, channels, y, x)
    """
    inside = np.where(scan.body, scan.hounsfield, SOFT_TISSUE)
    windows = [(inside.clip(low, high) - low) * (2 / (high - low)) - 1 for low, high in WINDOWS]
    return np.stack(windows, 1).astype(np.float32)


def spread_slices(scan: Scan, count: int) -> np.ndarray:
    """Indices of slices spread over the scan, denser where there is more air or lung.

    Parameters
    ----------
    scan : Scan
    count : int
        How many; fewer come back where the scan has fewer slices.
    """
    dark = (scan.body & (scan.hounsfield < AIR_OR_LUNG)).sum((1, 2))
    share = np.cumsum(dark + 0.1 * scan.body.sum((1, 2)) + 1e-6)
    return np.unique(np.searchsorted(share / share[-1], (np.arange(count) + 0.5) / count))

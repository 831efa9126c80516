"""What is known of each cluster, and which clusters are lung."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterStatistics:
    """Figures of one cluster over the whole scan.

    Attributes
    ----------
    number : int
        The cluster's value in the cluster map, from 1.
    mean_hu, median_hu : float
        Intensity in Hounsfield units.
    volume_ml : float
        Volume in milliliters.
    body_fraction : float
        Share of the cluster, before masking, that lies inside the body, 0 to 1.
    touches_border : bool
        Whether it reaches the in-plane border of the image.
    """

    number: int
    mean_hu: float
    median_hu: float
    volume_ml: float
    body_fraction: float
    touches_border: bool

"""What a segmentation yields, and choosing other clusters without fitting again. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from .lung.clusters import ClusterStatistics
from .lung.measure import LungMeasurements
from .settings import Settings

RIGHT_LUNG, LEFT_LUNG = 1, 2


@dataclass(frozen=True)
class LungResult:
    """Clusters and lungs of one scan.

    Attributes
    ----------
    lungs : SimpleITK.Image
        uint8, geometry of the input: 0 background, 1 right lung, 2 left lung.
    clusters : SimpleITK.Image
        uint8, geometry of the input: 0 outside the body, else the cluster's number; the
        numbers ascend with the clusters' median intensity.
    table : tuple of ClusterStatistics
        One for each cluster, in the order of their numbers.
    chosen : tuple of int
        The clusters that were taken as lung; empty where the scan holds no lungs.
    settings : Settings
        What it was made with (the device resolved).
    timings : dict of str to float
        Seconds by stage, and ``"total"``.
    warnings : tuple of str
        Sentences for the user; empty where nothing is wrong.
    """

    lungs: sitk.Image
    clusters: sitk.Image
    table: tuple[ClusterStatistics, ...]
    chosen: tuple[int, ...]
    settings: Settings
    timings: dict[str, float]
    warnings: tuple[str, ...]

    @property
    def lungs_found(self) -> bool:
        """Whether any voxel is lung."""
        raise NotImplementedError

    def choose(self, image: sitk.Image, cluster_numbers: Iterable[int]) -> LungResult:
        """The lungs decided anew from other clusters, without fitting again.

        Parameters
        ----------
        image : SimpleITK.Image
            The image that was segmented.
        cluster_numbers : iterable of int
            The clusters to take as lung.

        Raises
        ------
        InputError
            If a number is not a cluster of this result.
        """
        raise NotImplementedError

    def measurements(self, image: sitk.Image) -> tuple[LungMeasurements, ...]:
        """Volume, mean HU and share below -950 HU of the right and of the left lung."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write everything as ``.npy`` arrays and one JSON file, for another process."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> LungResult:
        """Read what `save` wrote."""
        raise NotImplementedError

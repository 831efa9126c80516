"""What a segmentation yields, and choosing other clusters without fitting again. No torch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .geometry import Geometry
from .lung.clusters import (
    ClusterStatistics,
    checked_numbers,
    choose_lung_clusters,
    cluster_map,
    describe_clusters,
)
from .lung.decision import decide_lungs
from .lung.measure import NAMES, LungMeasurements, measure_lungs
from .lung.orientation import AxialOrder
from .lung.quality import Quality, assess, interruptions, ranges
from .lung.scan import Scan
from .settings import Settings

ARRAYS = ("lung_array", "cluster_array", "labels")
"""What is saved of a result as it is."""


@dataclass(frozen=True, eq=False)  # arrays can neither be compared nor hashed as a whole
class LungResult:
    """Clusters and lungs of one scan.

    Attributes
    ----------
    lung_array : ndarray of uint8, (k, j, i)
        In the input's order of storage: 0 background, 1 right lung, 2 left lung.
    cluster_array : ndarray of uint8, (k, j, i)
        Likewise: 0 outside the body, else the cluster's number; the numbers ascend with the
        clusters' median intensity.
    geometry : Geometry
        Of the input.
    table : tuple of ClusterStatistics
        One for each cluster, in the order of their numbers.
    chosen : tuple of int
        The clusters that were taken as lung; empty where none looks like lung.
    settings : Settings
        What it was made with (the device resolved).
    timings : dict of str to float
        Seconds by stage, and ``"total"``.
    warnings : tuple of str
        Sentences for the user; empty where nothing is wrong.
    scan : Scan
        The scan on the working grid.
    labels : ndarray of uint8
        Cluster numbers on the working grid, which decide the lungs.
    """

    lung_array: np.ndarray
    cluster_array: np.ndarray
    geometry: Geometry
    table: tuple[ClusterStatistics, ...]
    chosen: tuple[int, ...]
    settings: Settings
    timings: dict[str, float]
    warnings: tuple[str, ...]
    scan: Scan
    labels: np.ndarray

    @cached_property
    def lungs(self) -> sitk.Image:
        """`lung_array` with the geometry of the input."""
        return self.geometry.image(self.lung_array)

    @cached_property
    def clusters(self) -> sitk.Image:
        """`cluster_array` with the geometry of the input."""
        return self.geometry.image(self.cluster_array)

    @cached_property
    def slice_quality(self) -> Quality:
        """Estimate of the quality for the scan and for each of its axial slices."""
        lungs = AxialOrder(self.geometry).apply(self.lung_array) > 0
        return assess(self.scan.grid.down(lungs)[self.scan.box] > 0.5, self.scan)

    @property
    def quality(self) -> float:
        """How far the lungs can be trusted, estimated from the scan alone, 0 to 1."""
        return self.slice_quality.score

    @property
    def stored_slice_quality(self) -> np.ndarray:
        """Quality of each axial slice in the order of storage; NaN without lung."""
        return AxialOrder(self.geometry).along_storage(self.slice_quality.slices)

    @property
    def hints(self) -> tuple[str, ...]:
        """Sentences that say where to look; empty where nothing is doubtful."""
        order = AxialOrder(self.geometry)
        lungs = order.apply(self.lung_array)
        count, doubtful = len(lungs), self.slice_quality.doubtful
        present = {name: (lungs == label).any((1, 2)) for label, name in NAMES.items()}
        sentences = [
            f"The {name} was not found; if the scan shows it, choose its clusters or paint it."
            for name, slices in present.items()
            if not slices.any() and self.lungs_found
        ]
        for name, slices in present.items():
            missing = interruptions(slices)
            doubtful = doubtful & ~missing
            sentences += [
                f"Look at {_slices(first, last)} of {count}: the {name} is missing there, and is "
                "found above and below."
                for first, last in ranges(order.along_storage(missing))
            ]
        sentences += [
            f"Look at the lungs in {_slices(first, last)} of {count}: they hold much that is as "
            "bright as tissue, or leave out much that is as dark as lung."
            for first, last in ranges(order.along_storage(doubtful))
        ]
        return tuple(sentences)

    @classmethod
    def decide(
        cls,
        hounsfield: np.ndarray,
        geometry: Geometry,
        scan: Scan,
        labels: np.ndarray,
        settings: Settings,
        warnings: Iterable[str] = (),
    ) -> LungResult:
        """Describe the clusters, choose those that are lung, and decide the lungs.

        Parameters
        ----------
        hounsfield : ndarray, (k, j, i)
            The voxels in order of storage.
        geometry : Geometry
        scan : Scan
        labels : ndarray of uint8, (z, y, x)
            Ordered cluster numbers on the working grid.
        settings : Settings
        warnings : iterable of str
        """
        order = AxialOrder(geometry)
        clusters = cluster_map(labels, scan)
        axial = order.apply(hounsfield)
        table = describe_clusters(labels, scan, clusters, axial, geometry.voxel_ml)
        chosen = choose_lung_clusters(table)
        return cls(
            lung_array=_lungs(hounsfield, geometry, scan, labels, chosen, settings),
            cluster_array=np.ascontiguousarray(order.restore(clusters)),
            geometry=geometry,
            table=table,
            chosen=chosen,
            settings=settings,
            timings={},
            warnings=tuple(warnings),
            scan=scan,
            labels=labels,
        )

    @classmethod
    def restore(
        cls,
        hounsfield: np.ndarray,
        geometry: Geometry,
        clusters: np.ndarray,
        table: Iterable[ClusterStatistics],
        chosen: Iterable[int],
        settings: Settings,
        scan: str,
    ) -> LungResult:
        """A result from what a scene keeps of it, with any choice of clusters.

        Parameters
        ----------
        hounsfield : ndarray, (k, j, i)
            The voxels that were segmented, in order of storage.
        geometry : Geometry
        clusters : ndarray of uint8
            The `cluster_array`.
        table, settings
            As they were.
        chosen : iterable of int
            The clusters to take as lung.
        scan : str
            Text of `scan`.

        Raises
        ------
        InputError
            If a number is not a cluster of this result.
        """
        table = tuple(table)
        chosen = checked_numbers(chosen, len(table))
        order = AxialOrder(geometry)
        scan = Scan.from_text(scan, order.apply(hounsfield))
        labels = scan.grid.centers(order.apply(clusters))[scan.box]
        return cls(
            lung_array=_lungs(hounsfield, geometry, scan, labels, chosen, settings),
            cluster_array=clusters,
            geometry=geometry,
            table=table,
            chosen=chosen,
            settings=settings,
            timings={},
            warnings=(),
            scan=scan,
            labels=labels,
        )

    @property
    def lungs_found(self) -> bool:
        """Whether any voxel is lung."""
        return bool(self.lung_array.any())

    def choose(self, hounsfield: np.ndarray, cluster_numbers: Iterable[int]) -> LungResult:
        """The lungs decided anew from other clusters, without fitting again.

        Parameters
        ----------
        hounsfield : ndarray, (k, j, i)
            The voxels that were segmented, in order of storage.
        cluster_numbers : iterable of int
            The clusters to take as lung.

        Raises
        ------
        InputError
            If a number is not a cluster of this result, or the voxels are other ones.
        """
        start = time.perf_counter()
        chosen = checked_numbers(cluster_numbers, len(self.table))
        if hounsfield.shape != self.lung_array.shape:
            raise InputError("This is not the image that was segmented: its size differs.")
        lungs = _lungs(hounsfield, self.geometry, self.scan, self.labels, chosen, self.settings)
        timings = {**self.timings, "choose": time.perf_counter() - start}
        return replace(self, lung_array=lungs, chosen=chosen, timings=timings)

    def measurements(self, hounsfield: np.ndarray) -> tuple[LungMeasurements, ...]:
        """Volume, mean HU and share below -950 HU of the right and of the left lung.

        Parameters
        ----------
        hounsfield : ndarray, (k, j, i)
            The voxels that were segmented, in order of storage.
        """
        return measure_lungs(self.lung_array, hounsfield, self.geometry.voxel_ml)

    def save(self, folder: Path) -> None:
        """Write everything as ``.npy`` arrays and one JSON file, for another process."""
        folder = Path(folder)
        scan, arrays = self.scan.to_arrays()
        arrays |= {name: getattr(self, name) for name in ARRAYS}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        description = {
            "scan": scan,
            "geometry": asdict(self.geometry),
            "table": [asdict(row) for row in self.table],
            "chosen": self.chosen,
            "settings": self.settings.as_dict(),
            "timings": self.timings,
            "warnings": self.warnings,
        }
        (folder / "result.json").write_text(json.dumps(description), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LungResult:
        """Read what `save` wrote."""
        folder = Path(folder)
        description = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
        return cls(
            **{name: arrays[name] for name in ARRAYS},
            geometry=Geometry(**description["geometry"]),
            table=tuple(ClusterStatistics(**row) for row in description["table"]),
            chosen=tuple(description["chosen"]),
            settings=Settings.from_dict(description["settings"]),
            timings=description["timings"],
            warnings=tuple(description["warnings"]),
            scan=Scan.from_arrays(description["scan"], arrays),
        )


def _lungs(
    hounsfield: np.ndarray, geometry: Geometry, scan: Scan, labels, chosen, settings: Settings
) -> np.ndarray:
    """The label map of the lungs in order of storage."""
    order = AxialOrder(geometry)
    lungs = np.zeros(hounsfield.shape, np.uint8)
    decide_lungs(
        labels,
        chosen,
        scan,
        order.apply(hounsfield),
        order.leftward(scan.body.shape, scan.grid.block),
        settings,
        order.apply(lungs),
    )
    return lungs


def _slices(first: int, last: int) -> str:
    """Slices counted from 1."""
    return f"slice {first + 1}" if first == last else f"slices {first + 1} to {last + 1}"

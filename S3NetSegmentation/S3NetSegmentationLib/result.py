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
from .lung.clusters import (
    ClusterStatistics,
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

    lungs: sitk.Image
    clusters: sitk.Image
    table: tuple[ClusterStatistics, ...]
    chosen: tuple[int, ...]
    settings: Settings
    timings: dict[str, float]
    warnings: tuple[str, ...]
    scan: Scan
    labels: np.ndarray

    @cached_property
    def slice_quality(self) -> Quality:
        """Estimate of the quality for the scan and for each of its axial slices."""
        order = AxialOrder(self.lungs)
        lungs = order.apply(sitk.GetArrayViewFromImage(self.lungs)) > 0
        return assess(self.scan.grid.down(lungs)[self.scan.box] > 0.5, self.scan)

    @property
    def quality(self) -> float:
        """How far the lungs can be trusted, estimated from the scan alone, 0 to 1."""
        return self.slice_quality.score

    @property
    def stored_slice_quality(self) -> np.ndarray:
        """Quality of each axial slice in the order of storage; NaN without lung."""
        return AxialOrder(self.lungs).along_storage(self.slice_quality.slices)

    @property
    def hints(self) -> tuple[str, ...]:
        """Sentences that say where to look; empty where nothing is doubtful."""
        order = AxialOrder(self.lungs)
        lungs = order.apply(sitk.GetArrayViewFromImage(self.lungs))
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
        image: sitk.Image,
        scan: Scan,
        labels: np.ndarray,
        settings: Settings,
        warnings: Iterable[str] = (),
    ) -> LungResult:
        """Describe the clusters, choose those that are lung, and decide the lungs.

        Parameters
        ----------
        image : SimpleITK.Image
            The scan in Hounsfield units.
        scan : Scan
        labels : ndarray of uint8, (z, y, x)
            Ordered cluster numbers on the working grid.
        settings : Settings
        warnings : iterable of str
        """
        order = AxialOrder(image)
        hounsfield = order.apply(sitk.GetArrayViewFromImage(image))
        clusters = cluster_map(labels, scan)
        table = describe_clusters(labels, scan, clusters, hounsfield, voxel_ml(image))
        chosen = choose_lung_clusters(table)
        return cls(
            lungs=_lungs(image, scan, labels, chosen, settings),
            clusters=_like(image, order.restore(clusters)),
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
        image: sitk.Image,
        clusters: np.ndarray,
        table: Iterable[ClusterStatistics],
        chosen: Iterable[int],
        settings: Settings,
        scan: str,
    ) -> LungResult:
        """A result from what a scene keeps of it, with any choice of clusters.

        Parameters
        ----------
        image : SimpleITK.Image
            The image that was segmented.
        clusters : ndarray of uint8
            The array of `clusters`.
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
        chosen = _checked(chosen, table)
        order = AxialOrder(image)
        scan = Scan.from_text(scan, order.apply(sitk.GetArrayViewFromImage(image)))
        labels = scan.grid.centers(order.apply(clusters))[scan.box]
        return cls(
            lungs=_lungs(image, scan, labels, chosen, settings),
            clusters=_like(image, clusters),
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
        return bool(sitk.GetArrayViewFromImage(self.lungs).any())

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
            If a number is not a cluster of this result, or the image is another one.
        """
        start = time.perf_counter()
        chosen = _checked(cluster_numbers, self.table)
        if image.GetSize() != self.lungs.GetSize():
            raise InputError("This is not the image that was segmented: its size differs.")
        lungs = _lungs(image, self.scan, self.labels, chosen, self.settings)
        timings = {**self.timings, "choose": time.perf_counter() - start}
        return replace(self, lungs=lungs, chosen=chosen, timings=timings)

    def measurements(self, image: sitk.Image) -> tuple[LungMeasurements, ...]:
        """Volume, mean HU and share below -950 HU of the right and of the left lung."""
        return measure_lungs(
            sitk.GetArrayViewFromImage(self.lungs),
            sitk.GetArrayViewFromImage(image),
            voxel_ml(image),
        )

    def save(self, folder: Path) -> None:
        """Write everything as ``.npy`` arrays and one JSON file, for another process."""
        folder = Path(folder)
        scan, arrays = self.scan.to_arrays()
        arrays["labels"] = self.labels
        arrays["lungs"] = sitk.GetArrayViewFromImage(self.lungs)
        arrays["clusters"] = sitk.GetArrayViewFromImage(self.clusters)
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        description = {
            "scan": scan,
            "geometry": {
                "spacing": self.lungs.GetSpacing(),
                "origin": self.lungs.GetOrigin(),
                "direction": self.lungs.GetDirection(),
            },
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

        def image(name: str) -> sitk.Image:
            geometry = description["geometry"]
            made = sitk.GetImageFromArray(arrays[name])
            made.SetSpacing(geometry["spacing"])
            made.SetOrigin(geometry["origin"])
            made.SetDirection(geometry["direction"])
            return made

        return cls(
            lungs=image("lungs"),
            clusters=image("clusters"),
            table=tuple(ClusterStatistics(**row) for row in description["table"]),
            chosen=tuple(description["chosen"]),
            settings=Settings.from_dict(description["settings"]),
            timings=description["timings"],
            warnings=tuple(description["warnings"]),
            scan=Scan.from_arrays(description["scan"], arrays),
            labels=arrays["labels"],
        )


def _checked(numbers: Iterable[int], table: tuple[ClusterStatistics, ...]) -> tuple[int, ...]:
    """The numbers in order, each once, all of them clusters."""
    chosen = tuple(sorted(set(numbers)))
    for number in chosen:
        if not 1 <= number <= len(table):
            raise InputError(f"There is no cluster {number}; choose from 1 to {len(table)}.")
    return chosen


def _lungs(image: sitk.Image, scan: Scan, labels, chosen, settings: Settings) -> sitk.Image:
    """The label map of the lungs with the geometry of the image."""
    order = AxialOrder(image)
    lungs = decide_lungs(
        labels,
        chosen,
        scan,
        order.apply(sitk.GetArrayViewFromImage(image)),
        order.leftward(scan.body.shape, scan.grid.block),
        settings,
    )
    return _like(image, order.restore(lungs))


def _like(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(np.ascontiguousarray(array))
    made.CopyInformation(image)
    return made


def _slices(first: int, last: int) -> str:
    """Slices counted from 1."""
    return f"slice {first + 1}" if first == last else f"slices {first + 1} to {last + 1}"


def voxel_ml(image: sitk.Image) -> float:
    """Volume of a voxel in milliliters, also where a transform has sheared the axes."""
    shear = abs(np.linalg.det(np.reshape(image.GetDirection(), (3, 3))))
    return float(np.prod(image.GetSpacing()) * shear) / 1000

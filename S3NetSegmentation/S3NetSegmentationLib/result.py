"""What a segmentation yields. Plain data that can be saved and loaded; no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .geometry import Geometry
from .lung.clusters import ClusterStatistics
from .lung.figures import LungFigures
from .lung.measure import LungMeasurements
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
    figures : LungFigures
        Volumes and intensities of the lungs, the estimated quality, and where to look.
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
    figures: LungFigures
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

    @property
    def lungs_found(self) -> bool:
        """Whether any voxel is lung."""
        return bool(self.lung_array.any())

    def save(self, folder: Path) -> None:
        """Write everything as ``.npy`` arrays and one JSON file, for another process."""
        folder = Path(folder)
        scan, arrays = self.scan.to_arrays()
        arrays |= {name: getattr(self, name) for name in ARRAYS}
        arrays["slice_quality"] = self.figures.slice_quality
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        description = {
            "scan": scan,
            "geometry": asdict(self.geometry),
            "table": [asdict(row) for row in self.table],
            "chosen": self.chosen,
            "lungs": [asdict(lung) for lung in self.figures.lungs],
            "quality": self.figures.quality,
            "hints": self.figures.hints,
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
            lung_array=arrays["lung_array"],
            cluster_array=arrays["cluster_array"],
            geometry=Geometry(**description["geometry"]),
            table=tuple(ClusterStatistics(**row) for row in description["table"]),
            chosen=tuple(description["chosen"]),
            figures=LungFigures(
                lungs=tuple(LungMeasurements(**lung) for lung in description["lungs"]),
                quality=description["quality"],
                slice_quality=arrays["slice_quality"],
                hints=tuple(description["hints"]),
            ),
            settings=Settings.from_dict(description["settings"]),
            timings=description["timings"],
            warnings=tuple(description["warnings"]),
            scan=Scan.from_arrays(description["scan"], arrays),
            labels=arrays["labels"],
        )

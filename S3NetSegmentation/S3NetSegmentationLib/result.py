"""The result of a segmentation: plain data that can be saved and loaded; no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .geometry import Geometry
from .lung.clusters import cluster_map
from .lung.figures import LungFigures
from .lung.scan import Scan
from .lung.tissues import Tissue
from .orientation import AxialOrientation
from .settings import Settings

ARRAYS = ("lung_array", "tissue_array", "labels", "merges", "automatic", "picks")
"""The arrays of a result that are saved as they are."""

Part = tuple[int, int]
"""A connected part of a tissue: the numbers of the tissue and of the part, from 1; part 0 is the
whole tissue."""


@dataclass(frozen=True, eq=False)  # arrays can neither be compared nor hashed as a whole
class LungResult:
    """Tissues and lungs of one scan.

    Attributes
    ----------
    lung_array : ndarray of uint8, (k, j, i)
        In the input's storage order: 0 background, 1 right lung, 2 left lung.
    tissue_array : ndarray of uint8, (k, j, i)
        In the same order: 0 outside the body, otherwise the tissue's number, which increases with
        the mean intensity.
    tissue_table : tuple of Tissue
        One for each tissue, in the order of their numbers.
    geometry : Geometry
        Geometry of the input.
    chosen : tuple of int
        The clusters of the network that were chosen as lung; empty if none looks like lung.
    figures : LungFigures
        Volumes and intensities of the lungs, the estimated quality, and which slices to check.
    settings : Settings
        The settings used (with the actual device).
    timings : dict of str to float
        Seconds by stage, and ``"total"``.
    warnings : tuple of str
        Sentences for the user; empty if nothing is wrong.
    scan : Scan
        The scan on the working grid.
    labels : ndarray of uint8
        Cluster numbers on the working grid, from which the lungs are decided.
    merges : ndarray of uint8, (clusters - 1, 2)
        The order in which clusters are merged into tissues, from `merge_order`.
    automatic : ndarray of bool
        The lungs on the working grid before any manual choice.
    picks : ndarray of uint8
        Manual choices on the working grid: `TAKEN`, `GIVEN_BACK`, or 0.
    """

    lung_array: np.ndarray
    tissue_array: np.ndarray
    tissue_table: tuple[Tissue, ...]
    geometry: Geometry
    chosen: tuple[int, ...]
    figures: LungFigures
    settings: Settings
    timings: dict[str, float]
    warnings: tuple[str, ...]
    scan: Scan
    labels: np.ndarray
    merges: np.ndarray
    automatic: np.ndarray
    picks: np.ndarray

    @cached_property
    def lungs(self) -> sitk.Image:
        """`lung_array` with the geometry of the input."""
        return self.geometry.image(self.lung_array)

    @cached_property
    def tissues(self) -> sitk.Image:
        """`tissue_array` with the geometry of the input."""
        return self.geometry.image(self.tissue_array)

    @cached_property
    def cluster_array(self) -> np.ndarray:
        """The cluster of every voxel (k, j, i), 0 outside the body."""
        return self.order.restore(cluster_map(self.labels, self.scan))

    @cached_property
    def order(self) -> AxialOrientation:
        """The conversion from storage order to axial order, in which the lungs are decided."""
        return AxialOrientation(self.geometry)

    @cached_property
    def tissue_labels(self) -> np.ndarray:
        """The tissues on the working grid."""
        return self.scan.centers(self.order.apply(self.tissue_array))

    @cached_property
    def to_working(self) -> np.ndarray:
        """Matrix (4, 4) that maps an index (k, j, i) to an index (z, y, x) of the working grid."""
        return self.scan.to_working @ self.order.to_axial(self.tissue_array.shape)

    @property
    def chosen_tissues(self) -> tuple[int, ...]:
        """The tissues that are mostly lung."""
        return tuple(row.number for row in self.tissue_table if row.is_lung)

    def part_at(self, index: Sequence[int], whole: bool = False) -> Part | None:
        """The connected part of a tissue, or the whole tissue, at a voxel (k, j, i).

        None outside the image or the body.
        """
        if not all(0 <= at < size for at, size in zip(index, self.tissue_array.shape, strict=True)):
            return None
        tissue = int(self.tissue_array[tuple(index)])
        if not tissue or whole:
            return (tissue, 0) if tissue else None
        z, y, x = np.rint(self.to_working @ [*index, 1])[:3].astype(int)
        # A tissue of the scan may end a fraction of a pixel beyond its own pixels.
        around = np.pad(self._parts(tissue)[z], 1)[y : y + 3, x : x + 3]
        beside = around[around > 0]
        return tissue, int(around[1, 1] or np.bincount(beside).argmax())

    def part_mask(self, part: Part) -> np.ndarray:
        """Mask of a part on the working grid, (z, y, x) bool."""
        tissue, number = part
        return self._parts(tissue) == number if number else self.tissue_labels == tissue

    def _parts(self, tissue: int) -> np.ndarray:
        """The number of the part in each pixel of a tissue, 0 elsewhere."""
        if tissue not in self._known_parts:
            self._known_parts[tissue] = ndimage.label(self.tissue_labels == tissue)[0]
        return self._known_parts[tissue]

    @cached_property
    def _known_parts(self) -> dict[int, np.ndarray]:
        return {}

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
            "tissue_table": [asdict(row) for row in self.tissue_table],
            "chosen": self.chosen,
            "numbers": self.figures.numbers,
            "quality": self.figures.quality,
            "hints": self.figures.hints,
            "settings": self.settings.as_dict(),
            "timings": self.timings,
            "warnings": self.warnings,
        }
        (folder / "result.json").write_text(json.dumps(description), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LungResult:
        """Read a result that `save` wrote."""
        folder = Path(folder)
        description = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
        return cls(
            lung_array=arrays["lung_array"],
            tissue_array=arrays["tissue_array"],
            tissue_table=tuple(Tissue(**row) for row in description["tissue_table"]),
            geometry=Geometry(**description["geometry"]),
            chosen=tuple(description["chosen"]),
            figures=LungFigures(
                numbers=description["numbers"],
                quality=description["quality"],
                slice_quality=arrays["slice_quality"],
                hints=tuple(description["hints"]),
            ),
            settings=Settings.from_dict(description["settings"]),
            timings=description["timings"],
            warnings=tuple(description["warnings"]),
            scan=Scan.from_arrays(description["scan"], arrays),
            labels=arrays["labels"],
            merges=arrays["merges"],
            automatic=arrays["automatic"],
            picks=arrays["picks"],
        )

"""The images that the methods are judged on, from a folder laid out as the README there says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from S3NetSegmentationLib.labels import LEFT, RIGHT

CHESTS = {
    "cip_copd": ("cip_copd/ct-64.nrrd", "cip_copd/wholeLung-64.nrrd"),
    "elastix_lung": (
        "elastix_lung/baseline_small_ct.nii.gz",
        "elastix_lung/baseline_small_lung.nii.gz",
    ),
}
ABDOMENS = {
    name: (f"abdomen_lung_bases/{name}.nii.gz", f"abdomen_lung_bases/{name}_lungbases.nii.gz")
    for name in ("example_ct", "example_ct_sm")
}

LOBES = {LEFT: (10, 11), RIGHT: (12, 13, 14)}
"""Labels of the lobes of each lung in the structures of the sample chest (TotalSegmentator)."""

SCANS = ("chest CT", "diseased chest CT", "abdomen CT")
"""The groups that are volumes."""

WRONG_REFERENCES = {
    "dev_52": "takes in the air around the body",
    "dev_79": "leaves out the right lung",
}
"""What is plainly wrong with a reference, seen by looking at it; the table has both figures."""


@dataclass(frozen=True)
class Case:
    """One image with its truth.

    Attributes
    ----------
    group : str
        Which kind of image it is.
    name : str
    image : SimpleITK.Image or ndarray
        A volume in Hounsfield units, or a picture (y, x) or (y, x, 3).
    truth : ndarray of bool
        In the image's storage order.
    infection : ndarray of bool, optional
        The part of the lungs that an infection fills, where it is marked.
    """

    group: str
    name: str
    image: sitk.Image | np.ndarray
    truth: np.ndarray
    infection: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """``"volume"``, ``"slice"`` (gray) or ``"skin"`` (RGB)."""
        if isinstance(self.image, sitk.Image):
            return "volume"
        return "slice" if self.image.ndim == 2 else "skin"


def cases(data: Path, sample: Path | None, quick: bool) -> Iterator[Case]:
    """Everything there is; with `quick` a few images of each group."""
    yield from _every(_kaggle(data), 10 if quick else 1)
    yield from _every(_pictures("LungSegDB", data / "lungsegdb_512"), 4 if quick else 1)
    diseased = data / "diseased"
    yield from _every(_pictures("COVID-19 slices", diseased / "lungsegdb_512"), 27 if quick else 1)
    yield from _every(_pictures("PH2 skin", data / "ph2_skin"), 7 if quick else 1)
    yield from chests(data)
    if quick:
        return
    if sample:
        yield _sample(sample)
    yield from chests(diseased, "diseased chest CT")
    yield from _volumes("abdomen CT", _found(data, ABDOMENS))


def chests(data: Path, group: str = "chest CT") -> Iterator[Case]:
    """The volumes of chests in a folder."""
    yield from _volumes(group, _found(data, CHESTS) | _named_chests(data / "chest3d"))


def _every(found: Iterator[Case], step: int) -> Iterator[Case]:
    return (case for number, case in enumerate(found) if number % step == 0)


def _kaggle(data: Path) -> Iterator[Case]:
    for path in sorted((data / "kaggle_lung_2d_64").glob("*.npz")):
        with np.load(path) as arrays:
            for name, image, mask in zip(
                arrays["ids"], arrays["images"], arrays["masks"], strict=True
            ):
                yield Case("Kaggle slices", f"{path.stem}_{name}", image, mask > 0)


def _pictures(group: str, folder: Path) -> Iterator[Case]:
    for path in sorted((folder / "images").glob("*.png")):
        image, mask = (_array(each) for each in (path, folder / "masks" / path.name))
        yield Case(group, path.stem, image, mask > 0 if mask.ndim == 2 else mask.any(-1))


def _array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _found(data: Path, pairs: dict) -> dict[str, tuple[Path, Path]]:
    paths = {name: (data / scan, data / mask) for name, (scan, mask) in pairs.items()}
    return {name: pair for name, pair in paths.items() if pair[0].exists()}


def _named_chests(folder: Path) -> dict[str, tuple[Path, Path]]:
    pairs = {}
    for scan in sorted(folder.glob("*.nii.gz")):
        mask = scan.with_name(scan.name.replace(".nii.gz", "_lung.nii.gz"))
        if mask.exists():
            pairs[scan.name.removesuffix(".nii.gz")] = (scan, mask)
    return pairs


def _volumes(group: str, pairs: dict[str, tuple[Path, Path]]) -> Iterator[Case]:
    for name, (scan, mask) in pairs.items():
        marked = scan.with_name(scan.name.replace(".nii.gz", "_infection.nii.gz"))
        infection = _array(marked) > 0 if marked != scan and marked.exists() else None
        yield Case(group, name, sitk.ReadImage(str(scan)), _array(mask) > 0, infection)


def _sample(folder: Path) -> Case:
    structures = _array(folder / "chest_structures.nii.gz")
    lobes = np.isin(structures, [*LOBES[LEFT], *LOBES[RIGHT]])
    return Case("chest CT", "sample", sitk.ReadImage(str(folder / "chest.nii.gz")), lobes)

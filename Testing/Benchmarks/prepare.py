"""Turns public downloads into the folder of images that the benchmarks read.

    .venv/bin/python Testing/Benchmarks/prepare.py lctsc DOWNLOAD --data DATA

Each set is downloaded and unpacked by hand, as its license has to be accepted; ``prepare.py SET
--help`` says where it is. Below DOWNLOAD, files are found by the names that they were published
with. Volumes are averaged over 2x2 pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.dicom import find_series, read_header, read_series
from S3NetSegmentationLib.io.files import files_below

SLICE_SIZE, SKIN_SIZE = 64, 256
"""Pixels across."""

LUNG = re.compile(r"lung[ _-]?(l|r|left|right)", re.IGNORECASE)
"""A lung among the structures of LCTSC: Lung_L, Lung_R."""

ALSO_WHOLE = ("medseg_1",)
"""Also written with its own pixels, as NAMEfull."""


def kaggle(download: Path, data: Path) -> None:
    """Slices of "Finding and Measuring Lungs in CT Data".

    Download: https://www.kaggle.com/datasets/kmader/finding-lungs-in-ct-data.
    Read: 2d_images/ID_*.tif and 2d_masks/ID_*.tif. Written: kaggle_lung_2d_64/kaggle.npz.
    """
    names, images, masks = [], [], []
    for path in found(download, "2d_images/*.tif"):
        image = reduced(Image.open(path).convert("F"), SLICE_SIZE)
        names.append(path.stem)
        images.append((image - image.min()) / max(float(np.ptp(image)), 1e-6))
        masks.append(reduced_mask(path.parents[1] / "2d_masks" / path.name, SLICE_SIZE))
    folder = data / "kaggle_lung_2d_64"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "kaggle.npz", ids=names, images=np.stack(images), masks=np.stack(masks)
    )


def ph2(download: Path, data: Path) -> None:
    """Dermoscopic pictures of PH2.

    Download: https://www.fc.up.pt/addi/ph2%20database.html.
    Read: IMD*/IMD*_Dermoscopic_Image/IMD*.bmp and IMD*/IMD*_lesion/IMD*_lesion.bmp.
    Written: ph2_skin/images and ph2_skin/masks, both sides reduced to 256 pixels.
    """
    for kind in ("images", "masks"):
        (data / "ph2_skin" / kind).mkdir(parents=True, exist_ok=True)
    for path in found(download, "*_Dermoscopic_Image/*.bmp"):
        name = path.stem
        bands = [reduced(band.convert("F"), SKIN_SIZE) for band in Image.open(path).split()[:3]]
        color = np.stack(bands, -1).round().astype(np.uint8)
        lesion = reduced_mask(path.parents[1] / f"{name}_lesion" / f"{name}_lesion.bmp", SKIN_SIZE)
        Image.fromarray(color).save(data / "ph2_skin" / "images" / f"{name}.png")
        Image.fromarray(255 * lesion).save(data / "ph2_skin" / "masks" / f"{name}.png")


def medseg(download: Path, data: Path) -> None:
    """Nine chests with COVID-19, lungs and infection drawn by MedSeg.

    Download: rp_im.zip, rp_lung_msk.zip, and rp_msk.zip of
    https://doi.org/10.6084/m9.figshare.13521509.
    Read: rp_im/N.nii.gz, rp_lung_msk/N.nii.gz, and rp_msk/N.nii.gz.
    Written: diseased/chest3d/medseg_N.nii.gz, medseg_N_lung.nii.gz, and medseg_N_infection.nii.gz.
    """
    for path in found(download, "rp_im/*.nii*"):
        name = f"medseg_{path.name.split('.')[0]}"
        with reporting(name):
            image = read(path)
            lung, infection = (
                on_grid(read(path.parents[1] / folder / path.name), image)
                for folder in ("rp_lung_msk", "rp_msk")
            )
            masks = {"lung": lung | infection, "infection": infection}
            write(data / "diseased" / "chest3d", name, image, masks)


def lctsc(download: Path, data: Path) -> None:
    """Chests of the Lung CT Segmentation Challenge 2017, lungs drawn by clinicians.

    Download: https://doi.org/10.7937/K9/TCIA.2017.3R3FVZ08 (The Cancer Imaging Archive).
    Read: the CT and the RTSTRUCT below each folder LCTSC-*.
    Written: diseased/chest3d/LCTSC-*.nii.gz and LCTSC-*_lung.nii.gz.
    """
    for folder in filter(Path.is_dir, found(download, "LCTSC-*")):
        with reporting(folder.name):
            image = ct_below(folder)
            lung = like(filled(contours_of(structures_below(folder), LUNG), image), image)
            write(data / "diseased" / "chest3d", folder.name, image, {"lung": lung})


def plethora(download: Path, data: Path) -> None:
    """Pleural fluid that PleThora marks in NSCLC-Radiomics (LUNG1).

    Download: https://doi.org/10.7937/K9/TCIA.2015.PF0M9REI, the CT, and
    https://doi.org/10.7937/tcia.2020.6c7y-gq39, the effusions (The Cancer Imaging Archive).
    Read: Effusions/LUNG1-*/LUNG1-*_effusion_first_reviewer.nii.gz and the CT below LUNG1-*.
    Written: diseased/effusion/LUNG1-*.nii.gz and LUNG1-*_effusion.nii.gz.
    """
    for path in found(download, "*_effusion_first_reviewer.nii.gz"):
        name = path.name.split("_")[0]
        with reporting(name):
            image = ct_below(*found(download, name))
            effusion = on_grid(read(path), image)
            write(data / "diseased" / "effusion", name, image, {"effusion": effusion})


def found(folder: Path, pattern: str) -> list[Path]:
    """What lies anywhere below a folder under such a name."""
    paths = sorted(folder.rglob(pattern))
    if not paths:
        raise InputError(f"There is no {pattern} below '{folder}'.")
    return paths


@contextlib.contextmanager
def reporting(name: str) -> Iterator[None]:
    """Go on with the next patient where something is missing."""
    try:
        yield
    except InputError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)


def read(path: Path) -> sitk.Image:
    if not path.exists():
        raise InputError(f"There is no '{path}'.")
    return sitk.ReadImage(str(path))


def reduced(image: Image.Image, size: int) -> np.ndarray:
    """Averaged over the area of each pixel, to as many pixels along both sides."""
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def reduced_mask(path: Path, size: int) -> np.ndarray:
    """1 where at least half of a pixel's area is marked."""
    marked = np.asarray(Image.open(path)) > 0
    marked = marked.any(-1) if marked.ndim == 3 else marked
    return (reduced(Image.fromarray(marked.astype(np.float32)), size) >= 0.5).astype(np.uint8)


def ct_below(*folders: Path) -> sitk.Image:
    """The CT with the most slices."""
    files = (path for folder in folders for path in files_below(folder))
    series = [each for each in find_series(files) if each.images[0].kind.is_ct]
    if not series:
        raise InputError("There is no CT of this patient.")
    return read_series(max(series, key=lambda each: len(each.images))).image


def structures_below(folder: Path) -> pydicom.Dataset:
    """The RTSTRUCT of a patient."""
    for path in files_below(folder):
        header = read_header(path)
        if header and header.get("Modality") == "RTSTRUCT":
            return pydicom.dcmread(path)
    raise InputError("There is no RTSTRUCT of this patient.")


def contours_of(structures: pydicom.Dataset, name: re.Pattern) -> dict[str, list[np.ndarray]]:
    """The contours of each structure of such a name, (n, 3) in millimeters."""
    names = {each.ROINumber: each.ROIName for each in structures.StructureSetROISequence}
    return {
        names[each.ReferencedROINumber]: [
            np.reshape(np.array(contour.ContourData, float), (-1, 3))
            for contour in each.get("ContourSequence", [])
        ]
        for each in structures.ROIContourSequence
        if name.match(names[each.ReferencedROINumber])
    }


def filled(structures: dict[str, list[np.ndarray]], image: sitk.Image) -> np.ndarray:
    """Voxels whose centers lie inside a structure; a contour within another is a hole."""
    whole = np.zeros(image.GetSize()[::-1], bool)
    to_index = np.linalg.inv(np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing()))
    for contours in structures.values():
        part = np.zeros_like(whole)
        for contour in contours:
            points = (contour - image.GetOrigin()) @ to_index.T
            z = round(points[:, 2].mean())
            if 0 <= z < len(part):
                part[z] ^= polygon(points[:, :2], part.shape[1:])
        whole |= part
    return whole


def polygon(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels (y, x) whose centers lie inside a closed line through points (x, y)."""
    inside = np.zeros(shape, bool)
    x, y = points.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    for row in range(max(0, int(y.min())), min(shape[0], int(y.max()) + 2)):
        crossed = (y > row) != (next_y > row)
        share = (row - y[crossed]) / (next_y - y)[crossed]
        crossings = np.sort(x[crossed] + share * (next_x - x)[crossed])
        # Inside, an odd number of them lies to the left.
        inside[row] = np.searchsorted(crossings, np.arange(shape[1])) % 2 == 1
    return inside


def on_grid(mask: sitk.Image, image: sitk.Image) -> sitk.Image:
    """What is marked, at the places of the image's voxels."""
    marked = sitk.Resample(mask != 0, image, sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.Cast(marked, sitk.sitkUInt8)


def like(mask: np.ndarray, image: sitk.Image) -> sitk.Image:
    made = sitk.GetImageFromArray(mask.astype(np.uint8))
    made.CopyInformation(image)
    return made


def write(folder: Path, name: str, image: sitk.Image, masks: dict[str, sitk.Image]) -> None:
    """A volume averaged over 2x2 pixels, and its masks where they mark at least half of those."""
    for kind, mask in masks.items():
        if not sitk.GetArrayViewFromImage(mask).any():
            raise InputError(f"The {kind} lies nowhere in the scan.")
    folder.mkdir(parents=True, exist_ok=True)
    rounded = sitk.Cast(sitk.Round(sitk.Cast(image, sitk.sitkFloat32)), sitk.sitkInt16)
    if name in ALSO_WHOLE:
        sitk.WriteImage(rounded, str(folder / f"{name}full.nii.gz"))
    sitk.WriteImage(sitk.BinShrink(rounded, (2, 2, 1)), str(folder / f"{name}.nii.gz"))
    for kind, mask in masks.items():
        if name in ALSO_WHOLE:
            sitk.WriteImage(mask, str(folder / f"{name}full_{kind}.nii.gz"))
        share = sitk.BinShrink(sitk.Cast(mask, sitk.sitkFloat32), (2, 2, 1))
        sitk.WriteImage(share >= 0.5, str(folder / f"{name}_{kind}.nii.gz"))
    print(name)


SETS = {each.__name__: each for each in (kaggle, ph2, medseg, lctsc, plethora)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare one set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = parser.add_subparsers(dest="set", required=True, metavar="SET")
    for name, prepare in SETS.items():
        about = prepare.__doc__
        each = sets.add_parser(
            name, help=about.splitlines()[0], description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        each.add_argument("download", type=Path, help="folder of the unpacked download")
        each.add_argument("--data", type=Path, required=True, help="folder of the images")
    chosen = parser.parse_args(arguments)
    try:
        SETS[chosen.set](chosen.download, chosen.data)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

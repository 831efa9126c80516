"""The tissues that a user chooses from: their names, sizes, and how coherent they are; the time.

    .venv/bin/python Testing/Benchmarks/tissues.py .cache/sample/chest.nii.gz SCAN...

prints a row for each tissue of each scan, then for each scan the CPU seconds that merging and a
pick take, and how many voxels of the lungs a pick changes beyond its part. With
``--pictures FOLDER`` it writes slices of the tissues over the scans.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from record import add_option, record
from S3NetSegmentationLib.lung.tissues import colors_of
from S3NetSegmentationLib.manual_choice import merge_tissues, pick
from S3NetSegmentationLib.pipeline import segment_lungs
from S3NetSegmentationLib.result import LungResult
from S3NetSegmentationLib.settings import Settings
from scipy import ndimage

PIECE_ML = 1.0
COUNTS = (8, 16, 32)
WINDOW_HU = (-1350.0, 250.0)


def main() -> int:
    """Segment the scans and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--pictures", type=Path)
    add_option(parser)
    arguments = parser.parse_args()
    print("| scan | tissues | tissue | mean HU | mL | in pieces over 1 mL, % | in the lungs, % |")
    print("|---|---|---|---|---|---|---|")
    times, rows = [], []
    for path in arguments.scans:
        name = path.name.split(".")[0]
        image = sitk.ReadImage(str(path))
        result = segment_lungs(image, Settings(device="cpu"))
        times.append(" | ".join([name, *(f"{each:.2f}" for each in _costs(image, result))]))
        for count in COUNTS:
            _print_tissues(name, merge_tissues(result, count))
        rows += [
            {"scan": name, "tissue": each.name, "mean_hu": each.mean_hu, "ml": each.volume_ml}
            for each in merge_tissues(result, COUNTS[0]).tissue_table
        ]
        if arguments.pictures:
            _draw(image, result, arguments.pictures / f"{name}.png")
    print("\n| scan | merge, CPU s | pick, CPU s | voxels of the lungs changed beyond it, % |")
    print("|---|---|---|---|")
    for row in times:
        print(f"| {row} |")
    if arguments.record:
        record("tissues", rows, ("scan", "tissue"))
    return 0


def _print_tissues(name: str, result: LungResult) -> None:
    table = result.tissue_table
    for tissue in table:
        pieces, _ = ndimage.label(result.tissue_array == tissue.number)
        sizes = np.bincount(pieces.ravel())[1:] * result.geometry.voxel_ml
        coherent = sizes[sizes > PIECE_ML].sum() / sizes.sum()
        print(
            f"| {name} | {len(table)} | {tissue.name} | {tissue.mean_hu:.0f} | {sizes.sum():.0f} "
            f"| {100 * coherent:.1f} | {100 * tissue.lung_fraction:.0f} |",
            flush=True,
        )


def _costs(image: sitk.Image, result: LungResult) -> tuple[float, float, float]:
    """CPU seconds to merge and to pick, and what a pick changes beyond its part, in percent."""
    start = time.process_time()
    merge_tissues(result, 16)
    merged = time.process_time()
    tissue = min(result.tissue_table, key=lambda tissue: abs(tissue.volume_ml - 500))
    distance = ndimage.distance_transform_edt(result.tissue_array == tissue.number)
    index = np.unravel_index(distance.argmax(), distance.shape)
    before = time.process_time()
    picked = pick(result, sitk.GetArrayViewFromImage(image), index)
    after = time.process_time()
    part = result.order.restore(result.scan.paste(result.part_mask(result.part_at(index))))
    beyond = ~ndimage.binary_dilation(part, iterations=5)
    changed = (picked.lung_array > 0) != (result.lung_array > 0)
    share = (changed & beyond).sum() / max((result.lung_array > 0).sum(), 1)
    return merged - start, after - before, 100 * share


def _draw(image: sitk.Image, result: LungResult, path: Path) -> None:
    """Three axial slices, each beside itself with its tissues."""
    path.parent.mkdir(parents=True, exist_ok=True)
    low, high = WINDOW_HU
    axial = result.order.apply(sitk.GetArrayViewFromImage(image))
    tissues = result.order.apply(result.tissue_array)
    colors = np.array([(0, 0, 0), *colors_of(result.tissue_table)]) * 255
    rows = []
    for z in (len(axial) // 4, len(axial) // 2, 3 * len(axial) // 4):
        gray = ((axial[z] - low) / (high - low)).clip(0, 1)[..., None].repeat(3, -1) * 255
        shown = np.where(tissues[z, ..., None] > 0, (gray + colors[tissues[z]]) / 2, gray)
        rows.append(np.concatenate([gray, shown], 1))
    picture = np.concatenate(rows).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(path))


if __name__ == "__main__":
    sys.exit(main())

"""Print the Dice score of segmented lungs against labeled lung lobes."""

import sys

import SimpleITK as sitk
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.labels import LEFT, RIGHT

LOBES = {"left lung": (LEFT, (10, 11)), "right lung": (RIGHT, (12, 13, 14))}
"""Label of each lung, and those of its lobes in the reference."""


def main() -> int:
    """Compare the two files named on the command line."""
    lungs, structures = (sitk.GetArrayFromImage(sitk.ReadImage(path)) for path in sys.argv[1:3])
    for name, (label, lobes) in LOBES.items():
        truth = (structures >= min(lobes)) & (structures <= max(lobes))
        print(f"Dice {name}: {dice(lungs == label, truth):.4f}")
    both = (structures >= 10) & (structures <= 14)
    print(f"Dice both lungs: {dice(lungs > 0, both):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

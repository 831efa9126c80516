"""Print the Dice score of segmented lungs against labeled lung lobes."""

import sys

import numpy as np
import SimpleITK as sitk
from cases import LOBES
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.labels import LUNG_NAMES


def main() -> int:
    """Compare the two files named on the command line."""
    lungs, structures = (sitk.GetArrayFromImage(sitk.ReadImage(path)) for path in sys.argv[1:3])
    truths = {label: np.isin(structures, lobes) for label, lobes in LOBES.items()}
    for label, truth in truths.items():
        print(f"Dice {LUNG_NAMES[label]}: {dice(lungs == label, truth):.4f}")
    both = np.logical_or(*truths.values())
    print(f"Dice both lungs: {dice(lungs > 0, both):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

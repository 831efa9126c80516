"""Bodies that are not the usual ones: the lungs are found, or the user is told where to look."""

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from quick import QUICK
from S3NetSegmentationLib import segment_lungs
from S3NetSegmentationLib.evaluation.overlap import dice

WIDE = {"size": (150, 110, 76)}
"""A field of view with room beside the chest."""


def fat_all_around(values, x, y, z):
    """An obese patient, whose fat is as wide as the field of view."""
    around = outside(x, y) & (np.hypot(x / 260, y / 190) < 1)
    return np.where(around, -100, values)


def arms_down(values, x, y, z):
    """Upper arms beside the chest, which touch it."""
    arm = np.hypot(np.abs(x) - 210, y) < 38
    bone = np.hypot(np.abs(x) - 210, y) < 11
    return np.where(bone, 400, np.where(arm & outside(x, y), 45, values))


def implants(values, x, y, z):
    """Breasts with silicone in front of the chest."""
    breast = sum(phantom.ellipsoid(x, y, z, (s * 85, -112, 0), (68, 52, 68)) for s in (-1, 1)) > 0
    implant = sum(phantom.ellipsoid(x, y, z, (s * 85, -118, 0), (54, 38, 54)) for s in (-1, 1)) > 0
    changed = np.where(breast & outside(x, y), -90, values)
    return np.where(implant & outside(x, y), 110, changed)


def outside(x, y) -> np.ndarray:
    """What is not in the trunk of the phantom."""
    return np.hypot(x / 175, y / 118) >= 1


def changed(found: phantom.Phantom, change) -> sitk.Image:
    """The scan after a change that is given its values and the positions of the voxels."""
    k, j, i = np.indices(found.image.GetSize()[::-1])
    x, y, z = (
        index * size + start
        for index, size, start in zip(
            (i, j, k), found.image.GetSpacing(), found.image.GetOrigin(), strict=True
        )
    )
    made = sitk.GetImageFromArray(change(found.hounsfield, x, y, z).astype(np.int16))
    made.CopyInformation(found.image)
    return made


def agreement(image: sitk.Image, lungs: sitk.Image) -> float:
    """Dice score of each lung with its truth, the lower one."""
    made, truth = segment_lungs(image, QUICK).lung_array, sitk.GetArrayViewFromImage(lungs)
    return min(dice(made == label, truth == label) for label in (1, 2))


@pytest.mark.parametrize("change", [fat_all_around, arms_down, implants])
def test_what_lies_around_the_chest_changes_nothing(change):
    found = phantom.thorax(**WIDE)
    assert agreement(changed(found, change), found.lungs) > 0.95


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_the_lungs_of_a_child(share):
    found = phantom.thorax(noise=15)
    for image in (found.image, found.lungs):
        image.SetSpacing([share * size for size in image.GetSpacing()])
    assert agreement(found.image, found.lungs) > 0.95


@pytest.mark.parametrize("columns", [10, 14])
def test_a_body_that_fills_the_image_or_leaves_it(columns):
    found = phantom.thorax()
    image, lungs = (each[columns:-columns] for each in (found.image, found.lungs))
    assert agreement(image, lungs) > 0.95


def test_a_lung_that_was_removed_is_named():
    result = segment_lungs(phantom.thorax(lungs="left").image, QUICK)
    assert "The right lung was not found" in " ".join(result.figures.hints)

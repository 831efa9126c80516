"""Slices that no anatomy explains are named, and slices of real scans never are."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from real_data import DATA, needs_data
from S3NetSegmentationLib.io.read import read_scan
from S3NetSegmentationLib.io.slices import implausible_slices

REAL = [
    "cip_copd/ct-64.nrrd",
    "elastix_lung/baseline_small_ct.nii.gz",
    "abdomen_lung_bases/example_ct_sm.nii.gz",
    "diseased/chest3d/lctsc_1.nii.gz",
    "diseased/chest3d/medseg_5.nii.gz",
    "diseased/effusion/LUNG1-005.nii.gz",
]


@pytest.fixture(scope="module")
def chest():
    return phantom.thorax((4, 3.5, 4), (88, 66, 76)).hounsfield.astype(np.int16)


def found(voxels: np.ndarray) -> str:
    return " ".join(implausible_slices(sitk.GetImageFromArray(voxels)))


def brighter(voxels):
    voxels[30:] += 1024


def one_brighter(voxels):
    voxels[30] += 1024


def noisier(voxels):
    noise = np.random.default_rng(1).normal(0, 200, voxels[30:].shape)
    voxels[30:] += noise.astype(np.int16)


def empty(voxels):
    voxels[30] = -1000


def repeated(voxels):
    voxels[30] = voxels[29]


def mirrored(voxels):
    voxels[30] = voxels[30, ::-1].copy()


def exchanged(voxels):
    voxels[[30, 60]] = voxels[[60, 30]]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (brighter, "31 is much brighter or darker"),
        (one_brighter, "31 is unlike both neighbors"),
        (noisier, "31 is much noisier"),
        (empty, "31 is empty"),
        (repeated, "31 is identical to the one before"),
        (mirrored, "31 is unlike both neighbors"),
        (exchanged, "31, 61 are each unlike both neighbors"),
    ],
)
def test_a_jump_that_no_anatomy_makes_is_named(chest, spoil, what):
    assert found(chest) == ""
    voxels = chest.copy()
    spoil(voxels)
    assert what in found(voxels)


def test_many_slices_are_counted(chest):
    voxels = chest.copy()
    voxels[20:40] = -1000
    assert "Slices 21, 22, 23, 24, 25 and 15 more are each empty" in found(voxels)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_few_slices_are_no_problem(chest, depth):
    assert found(chest[30 : 30 + depth]) == ""


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_scans_are_plausible(name):
    assert implausible_slices(read_scan(DATA / name).image) == ()

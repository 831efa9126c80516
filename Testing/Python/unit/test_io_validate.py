"""CT in Hounsfield units is told from everything else, with the reason."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from real_data import DATA, needs_data
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.read import read_scan
from S3NetSegmentationLib.io.validate import check_ct


def body(air=-1000, tissue=40, fat=-100, bone=700, lung=-850, noise=15) -> np.ndarray:
    """A coarse chest: air around fat around tissue with a spine and, unless None, lungs."""
    _, y, x = np.indices((12, 48, 64))
    radius = np.hypot((x - 32) / 26, (y - 24) / 18)
    values = np.where(radius < 1, fat, air)
    values[radius < 0.9] = tissue
    values[np.hypot(x - 32, y - 36) < 4] = bone
    if lung is not None:
        for center in (20, 44):
            values[np.hypot((x - center) / 8, (y - 22) / 10) < 1] = lung
    noisy = values + np.random.default_rng(0).normal(0, noise, values.shape)
    return np.rint(noisy).astype(np.int16)


def image(values: np.ndarray) -> sitk.Image:
    return sitk.GetImageFromArray(values)


def padded(values: np.ndarray, padding: int) -> np.ndarray:
    """Everything outside the circular field of view set to a padding value."""
    _, y, x = np.indices(values.shape)
    return np.where(np.hypot((x - 32) / 30, (y - 24) / 22) < 1, values, padding)


CT = {
    "chest": body(),
    "head or abdomen": body(lung=None),
    "padded": padded(body(), -3024),
    "as float": body().astype(np.float32),
    "metal": np.where(np.indices((12, 48, 64))[2] == 5, 20000, body()),
    "cropped to the body": body()[:, 14:34, 14:50],
    "cropped to tissue, fat and bone": body(lung=None)[:, 8:40, 8:56],
    "one slice": body()[:1],
}


@pytest.mark.parametrize("name", CT)
def test_ct_passes(name):
    check_ct(image(CT[name]))


HU = body()
NOT_CT = {
    "8 bit": (np.clip((HU + 1000) / 8, 0, 255).astype(np.uint8), "0 to 255"),
    "min-max scaled": (((HU + 1100) / 2000).clip(0, 1).astype(np.float32), "scaled to 0 to 1"),
    "standardized": (((HU - HU.mean()) / HU.std()).astype(np.float32), "run from"),
    "label map": ((HU > -500).astype(np.uint8), "label map"),
    "no intercept": ((HU + 1024).clip(0).astype(np.uint16), "rescale intercept is missing"),
    "no intercept, padded": (padded(HU + 1024, -2000), "rescale intercept is missing"),
    "intercept twice": (HU - 1024, "not CT"),
    "MR": (np.abs(body(0, 400, 900, 60, 30)).astype(np.uint16), "run from 0 to"),
    "windowed": (np.clip(HU, -160, 240), "not CT"),
    "all padding": (np.where(HU > 0, -2000, -3000).astype(np.int16), "not CT"),
}


@pytest.mark.parametrize("name", NOT_CT)
def test_what_is_no_ct_is_refused_with_the_reason(name):
    values, reason = NOT_CT[name]
    with pytest.raises(InputError, match=reason) as caught:
        check_ct(image(values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spacing", [(8, 8, 8), (0.15, 0.15, 0.15), (8, 8, 50), (8, 50, 8)])
def test_chest_or_small_animal_passes(spacing):
    ct = image(CT["chest"])
    ct.SetSpacing(spacing)
    check_ct(ct)


def test_whole_body_passes():
    ct = image(np.repeat(CT["chest"], 10, axis=0))
    ct.SetSpacing((8, 8, 18))
    check_ct(ct)


@pytest.mark.parametrize("factor", [10, 1000])
def test_voxels_that_are_not_in_millimeters_are_refused(factor):
    ct = image(CT["chest"])
    ct.SetSpacing([8 * factor] * 3)
    with pytest.raises(InputError, match=f"{48 * 8 * factor / 1000:.4g} m wide.* millimeters"):
        check_ct(ct)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [1e-9, 0.001, 60, 400, 4000, 1e9])
def test_a_voxel_that_no_ct_has_is_refused(axis, size):
    """However short or long the volume is."""
    for depth in (1, 12):
        ct = image(CT["chest"][:depth])
        spacing = [0.8, 0.8, 5.0]
        spacing[axis] = size
        ct.SetSpacing(spacing)
        with pytest.raises(InputError, match="impossible for CT: its voxel size is wrong"):
            check_ct(ct)


@needs_data
@pytest.mark.parametrize(
    "name",
    [
        "cip_copd/ct-64.nrrd",
        "cip_copd/crop_ct_2slices.nrrd",
        "elastix_lung/baseline_small_ct.nii.gz",
        "abdomen_lung_bases/example_ct.nii.gz",
        "abdomen_lung_bases/example_ct_sm.nii.gz",
        "dicom_awkward/cornerstone_testImages/CT1_J2KR",
    ],
)
def test_real_ct_passes(name):
    check_ct(read_scan(DATA / name).image)


@needs_data
@pytest.mark.parametrize(
    "name", ["cip_copd/wholeLung-64.nrrd", "elastix_lung/baseline_small_lung.nii.gz"]
)
def test_real_label_map_is_refused(name):
    with pytest.raises(InputError, match="label map"):
        check_ct(read_scan(DATA / name).image)

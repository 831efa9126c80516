"""Scans come in with the right voxels in the right place, or are refused with a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import OBLIQUE, UPRIGHT, enhanced, hounsfield, save_dicom, write_series
from pydicom.uid import generate_uid
from real_data import DATA, needs_data
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.read import read_scan


def assert_volume(image: sitk.Image, voxels: np.ndarray, axes=UPRIGHT) -> None:
    assert np.array_equal(sitk.GetArrayFromImage(image), voxels)
    assert image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5), abs=1e-5)
    assert image.GetOrigin() == pytest.approx((10, -20, 30), abs=1e-5)
    expected = np.array([*axes, np.cross(*axes)]).T
    assert np.reshape(image.GetDirection(), (3, 3)) == pytest.approx(expected, abs=1e-5)


def refusal(path: Path, series: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(path, series)
    return str(caught.value)


# DICOM


@pytest.mark.parametrize("axes", [UPRIGHT, OBLIQUE], ids=["upright", "oblique"])
def test_dicom_folder_is_ordered_by_position(tmp_path, axes):
    write_series(tmp_path / "Ünïcode 肺" / "deep", hounsfield(), axes)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert_volume(read_scan(tmp_path).image, hounsfield(), axes)


def test_each_slice_has_its_own_rescale(tmp_path):
    def change(index, image):
        image.RescaleIntercept = -1000 - index
        image.RescaleSlope = 0.5 if index == 2 else 1

    voxels = hounsfield()
    write_series(tmp_path, voxels, change=change)
    slopes = np.array([0.5 if i == 2 else 1 for i in range(len(voxels))])[:, None, None]
    intercepts = np.array([-1000 - i for i in range(len(voxels))])[:, None, None]
    assert np.array_equal(
        sitk.GetArrayFromImage(read_scan(tmp_path).image), (voxels + 1000.0) * slopes + intercepts
    )


def test_localizers_and_copies_in_a_series_are_left_out(tmp_path):
    series = generate_uid()
    paths = write_series(tmp_path, hounsfield(), series=series)
    shutil.copy(paths[0], tmp_path / "copy")
    coronal = ((1, 0, 0), (0, 0, -1))
    write_series(tmp_path / "scout", hounsfield(1), coronal, series=series)
    write_series(tmp_path / "small", hounsfield(2, 18, 18), series=series)
    scan = read_scan(tmp_path)
    assert_volume(scan.image, hounsfield())
    assert scan.warnings[0].startswith("3 images of another size or orientation")


def test_several_series_are_listed_without_patient_and_can_be_chosen(tmp_path):
    first, second = generate_uid(), generate_uid()
    write_series(tmp_path / "b", hounsfield(), series=first, number=3)
    write_series(tmp_path / "a", hounsfield(3), series=second, number=7)
    listing = refusal(tmp_path)
    assert "choose one by its number" in listing
    assert "1: CT, 6 slices, 24 x 20" in listing
    assert "2: CT, 3 slices, 24 x 20" in listing
    assert "series number 7" in listing
    for private in ("Doe", "Jane", "4711"):
        assert private not in listing
    assert read_scan(tmp_path, "1").image.GetDepth() == 6
    assert read_scan(tmp_path, "2").image.GetDepth() == 3
    assert read_scan(tmp_path, second).image.GetDepth() == 3
    assert "no series '3'" in refusal(tmp_path, "3")


def test_one_file_is_a_volume_of_one_slice(tmp_path):
    paths = write_series(tmp_path, hounsfield())
    image = read_scan(paths[2]).image
    assert np.array_equal(sitk.GetArrayFromImage(image), hounsfield()[2:3])
    assert image.GetOrigin() == pytest.approx((10, -20, 35))
    assert image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5))


def test_enhanced_multiframe_is_ordered_by_position(tmp_path):
    voxels = hounsfield()
    image = enhanced(voxels, order=[3, 0, 5, 1, 4, 2], axes=OBLIQUE)
    save_dicom(image, tmp_path / "enhanced.dcm")
    assert_volume(read_scan(tmp_path / "enhanced.dcm").image, voxels, OBLIQUE)
    assert_volume(read_scan(tmp_path).image, voxels, OBLIQUE)


def test_missing_slice_is_refused(tmp_path):
    write_series(tmp_path, hounsfield())[3].unlink()
    assert "not evenly spaced" in refusal(tmp_path)


@pytest.mark.parametrize("left", [0, 100, 250, 500])
def test_damaged_slice_at_the_end_is_a_warning(tmp_path, left):
    """It leaves no gap behind, so nothing else tells that the scan is not complete."""
    last = write_series(tmp_path, hounsfield())[-1]
    last.write_bytes(last.read_bytes()[:left])
    scan = read_scan(tmp_path)
    assert scan.image.GetDepth() == 5
    assert scan.warnings[0].startswith("1 file in the same folder can't be read as DICOM")


def test_two_scans_in_one_series_are_refused(tmp_path):
    series = generate_uid()
    write_series(tmp_path / "a", hounsfield(), series=series)
    write_series(tmp_path / "b", hounsfield() + 1, series=series)
    assert "same place" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("keyword", "what"),
    [
        ("PixelSpacing", "pixel spacing"),
        ("ImagePositionPatient", "position"),
        ("ImageOrientationPatient", "orientation"),
    ],
)
def test_dicom_without_geometry_is_refused(tmp_path, keyword, what):
    write_series(tmp_path, hounsfield(), change=lambda index, image: delattr(image, keyword))
    assert f"no {what}" in refusal(tmp_path)


def test_damaged_dicom_is_refused(tmp_path):
    path = write_series(tmp_path, hounsfield())[2]
    path.write_bytes(path.read_bytes()[:-300])
    assert path.name in refusal(tmp_path)


def test_dicom_without_pixels_is_refused(tmp_path):
    paths = write_series(
        tmp_path, hounsfield(), change=lambda index, image: delattr(image, "PixelData")
    )
    assert "can't be read" in refusal(tmp_path)
    assert "can't be read" in refusal(paths[0])


@needs_data
def test_dicom_series_equals_the_same_volume_as_nrrd():
    series = read_scan(DATA / "cip_copd" / "ct-64Dicom").image
    nrrd = read_scan(DATA / "cip_copd" / "ct-64.nrrd").image
    assert np.array_equal(sitk.GetArrayViewFromImage(series), sitk.GetArrayViewFromImage(nrrd))
    assert series.GetSize() == nrrd.GetSize()
    # The DICOM headers are rounded to a micrometer.
    assert series.GetSpacing() == pytest.approx(nrrd.GetSpacing(), abs=1e-5)
    assert series.GetOrigin() == pytest.approx(nrrd.GetOrigin(), abs=1e-3)
    assert series.GetDirection() == pytest.approx(nrrd.GetDirection(), abs=1e-9)


@needs_data
@pytest.mark.parametrize("syntax", ["JPEG2000", "JPEGLS", "JPEGProcess14SV1", "RLE"])
def test_compressed_dicom_reads_as_pydicom_decodes_it(syntax):
    folder = DATA / "dicom_awkward" / "cornerstone_testImages"
    image = read_scan(next(folder.glob(f"CTImage.dcm_{syntax}*"))).image
    truth = pydicom.dcmread(next(folder.glob("CTImage.dcm_RLE*")))
    expected = truth.pixel_array.astype(int) * int(truth.RescaleSlope) + int(truth.RescaleIntercept)
    assert np.array_equal(sitk.GetArrayFromImage(image)[0], expected)


@needs_data
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cornerstone_testImages/no-pixel-data.dcm", "without an image"),
        ("cornerstone_testImages/no-pixel-spacing.dcm", "no pixel spacing"),
        ("cornerstone_testImages", "choose one by its number"),
    ],
)
def test_awkward_dicom_is_refused(name, sentence):
    assert sentence in refusal(DATA / "dicom_awkward" / name)


# Other formats

GEOMETRIES = {
    "axial": np.eye(3),
    "flipped": np.diag([-1.0, -1, 1]),
    "left-handed": np.diag([1.0, -1, 1]),
    "oblique": np.array([*OBLIQUE, np.cross(*OBLIQUE)]).T,
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
}


def volume(direction: np.ndarray, voxels: np.ndarray | None = None) -> sitk.Image:
    image = sitk.GetImageFromArray(hounsfield(18) if voxels is None else voxels)
    image.SetDirection(np.asarray(direction, float).ravel().tolist())
    image.SetSpacing((0.5, 0.7, 2.5))
    image.SetOrigin((10, -20, 30))
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_file_formats_keep_voxels_and_geometry(tmp_path, suffix, geometry):
    image = volume(GEOMETRIES[geometry])
    path = tmp_path / f"Größe 肺 scan{suffix}"
    sitk.WriteImage(image, str(path))
    read = read_scan(path).image
    assert np.array_equal(sitk.GetArrayFromImage(read), sitk.GetArrayFromImage(image))
    assert read.GetSpacing() == pytest.approx(image.GetSpacing(), abs=1e-5)
    assert read.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-4)
    assert read.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-5)


BAD_FILES = {
    "color": (sitk.GetImageFromArray(np.zeros((20, 20, 20, 3), np.uint8), isVector=True), "color"),
    "flat": (sitk.GetImageFromArray(np.zeros((20, 20), np.int16)), "2D image"),
    "moving": (sitk.Image([20, 20, 20, 3], sitk.sitkInt16), "4 dimensions"),
    "constant": (volume(np.eye(3), np.full((20, 20, 20), 7, np.int16)), "Every voxel"),
    "tiny": (volume(np.eye(3), hounsfield(3, 4, 5)), "too small"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_unusable_image_is_refused(tmp_path, name):
    image, sentence = BAD_FILES[name]
    path = tmp_path / f"{name}.nrrd"
    sitk.WriteImage(image, str(path))
    assert sentence in refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_picture_is_refused(tmp_path, suffix, channels):
    pixels = np.zeros((20, 20, channels), np.uint8).squeeze()
    path = tmp_path / f"picture{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=channels > 1), str(path))
    assert f"'{path.name}' is a picture" in refusal(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", ".nii.gz"])
@pytest.mark.parametrize("compressed", [True, False])
def test_truncated_file_is_refused(tmp_path, suffix, compressed):
    path = tmp_path / f"half{suffix}"
    noise = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    sitk.WriteImage(volume(np.eye(3), noise), str(path), useCompression=compressed)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("name", [b"\0LOCAL", b"chest\0.raw"])
def test_a_null_byte_in_the_name_of_the_voxels_is_refused(tmp_path, name):
    path = tmp_path / "null.mha"
    sitk.WriteImage(volume(np.eye(3)), str(path))
    path.write_bytes(path.read_bytes().replace(b"LOCAL", name))
    assert "missing" in refusal(path) or "damaged" in refusal(path)


def test_sheared_axes_are_refused(tmp_path):
    path = tmp_path / "sheared.nrrd"
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 20 20 20\n"
        "space directions: (1,0,0) (0,1,0) (0,0.3,2)\nkinds: domain domain domain\n"
        "endian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(header.encode() + np.arange(8000, dtype="<i2").tobytes())
    assert "right angles" in refusal(path)


def test_what_is_no_image_is_refused(tmp_path):
    assert "no file or folder" in refusal(tmp_path / "missing")
    assert "no DICOM image in the folder" in refusal(tmp_path)
    for name, content in {"a.txt": b"hello", "b.nii.gz": b"hello", "c.dcm": b"\0" * 500}.items():
        (tmp_path / name).write_bytes(content)
        assert f"'{name}' is not an image" in refusal(tmp_path / name)
    assert "no DICOM image in the folder" in refusal(tmp_path)


def test_series_of_a_file_is_refused(tmp_path):
    sitk.WriteImage(volume(np.eye(3)), str(tmp_path / "a.nrrd"))
    assert "leave the series out" in refusal(tmp_path / "a.nrrd", "1")

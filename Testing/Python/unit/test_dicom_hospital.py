"""DICOM as it is in hospitals: read right, corrected with a warning, or refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import OBLIQUE, UPRIGHT, dataset, enhanced, hounsfield, save_dicom, write_series
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from real_data import DATA, needs_data
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.dicom import find_series
from S3NetSegmentationLib.io.files import files_below
from S3NetSegmentationLib.io.read import read_scan

SAGITTAL = ((0, 1, 0), (0, 0, -1))
CORONAL = ((1, 0, 0), (0, 0, -1))
AWKWARD = DATA / "dicom_awkward"


def array(path: Path, series: str | None = None) -> np.ndarray:
    return sitk.GetArrayFromImage(read_scan(path, series).image)


def refusal(path: Path, series: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(path, series)
    return str(caught.value)


# Transfer syntaxes


def deflated(path: Path, image) -> None:
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save_dicom(image, path)


def implicit(path: Path, image) -> None:
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    save_dicom(image, path)


def big_endian(path: Path, image) -> None:
    image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    image.PixelData = np.frombuffer(image.PixelData, "<u2").astype(">u2").tobytes()
    image["PixelData"].VR = "OW"
    save_dicom(image, path)


def run_length(path: Path, image) -> None:
    image.compress(RLELossless, generate_instance_uid=False)
    save_dicom(image, path)


def jpeg_ls(path: Path, image) -> None:
    pytest.importorskip("jpeg_ls", reason="pydicom needs pyjpegls to write JPEG-LS")
    image.compress(JPEGLSLossless, generate_instance_uid=False)
    save_dicom(image, path)


@pytest.mark.parametrize("write", [deflated, implicit, big_endian, run_length, jpeg_ls])
def test_transfer_syntax(tmp_path, write):
    for path in write_series(tmp_path, hounsfield(), OBLIQUE):
        write(path, pydicom.dcmread(path))
    scan = read_scan(tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(scan.image), hounsfield())
    assert scan.warnings == ()
    assert len(scan.files) == 6


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_by_gdcm(tmp_path, compressor):
    """Lossless JPEG and JPEG 2000, written by the library that most archives use."""
    voxels = hounsfield()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    series = generate_uid()
    for index, plane in enumerate(voxels):
        image = sitk.GetImageFromArray(plane)
        image.SetSpacing((0.5, 0.7))
        for tag, value in {
            "0008|0060": "CT",
            "0020|000e": series,
            "0008|0018": generate_uid(),
            "0020|0032": f"10\\-20\\{30 + 2.5 * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(tmp_path / f"{index}.dcm"))
        writer.Execute(image)
    syntax = pydicom.dcmread(tmp_path / "0.dcm").file_meta.TransferSyntaxUID
    assert syntax.is_compressed
    assert np.array_equal(array(tmp_path), voxels)


@needs_data
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("syntax", ["JPEG2000", "JPEGLS", "JPEGProcess14SV1", "RLE"])
def test_truncated_compressed_file_is_refused(tmp_path, syntax, share):
    whole = next((AWKWARD / "cornerstone_testImages").glob(f"CTImage.dcm_{syntax}*"))
    data = whole.read_bytes()
    (tmp_path / "half.dcm").write_bytes(data[: int(len(data) * share)])
    assert "damaged" in refusal(tmp_path / "half.dcm")


@pytest.mark.parametrize("write", [deflated, implicit, big_endian, run_length])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_one_truncated_slice_refuses_the_series(tmp_path, write, share):
    paths = write_series(tmp_path, hounsfield())
    write(paths[2], pydicom.dcmread(paths[2]))
    data = paths[2].read_bytes()
    paths[2].write_bytes(data[: int(len(data) * share)])
    assert "damaged" in refusal(tmp_path) or "not evenly spaced" in refusal(tmp_path)


# Values


@pytest.mark.parametrize(
    ("slope", "intercept"), [("0.5", "-1024.5"), ("2", "-1e3"), ("-1", "0"), ("1.0 ", "-24")]
)
def test_odd_rescale(tmp_path, slope, intercept):
    def change(index, image):
        image.RescaleSlope, image.RescaleIntercept = slope, intercept

    write_series(tmp_path, hounsfield(), change=change)
    expected = (hounsfield() + 1000.0) * float(slope) + float(intercept)
    assert np.array_equal(array(tmp_path), expected)


@pytest.mark.parametrize("slope", ["0", "1e400"])
def test_impossible_rescale_is_refused(tmp_path, slope):
    def change(index, image):
        image.RescaleSlope = slope

    paths = write_series(tmp_path, hounsfield())
    for path in paths:
        image = pydicom.dcmread(path)
        image["RescaleSlope"]._value = slope
        image.save_as(path)
    assert "rescale" in refusal(tmp_path)


def test_each_frame_of_an_enhanced_image_has_its_own_rescale(tmp_path):
    def rescale(index):
        return (2 if index == 3 else 1), -1000 - 10 * index

    image = enhanced(hounsfield(), [3, 0, 5, 1, 4, 2], rescale=rescale)
    save_dicom(image, tmp_path / "enhanced")
    expected = [
        (plane + 1000.0) * rescale(index)[0] + rescale(index)[1]
        for index, plane in enumerate(hounsfield())
    ]
    assert np.array_equal(array(tmp_path), expected)


def with_padding(index, image) -> None:
    """Signed pixels: a padded frame of -2000 (-3000 HU), and -2000 in the middle, too."""
    stored = np.frombuffer(image.PixelData, "<u2").reshape(20, 24).astype("<i2").copy()
    stored[:3] = stored[:, :2] = -2000
    stored[10, 10] = -2000
    image.PixelRepresentation = 1
    image.add_new("PixelPaddingValue", "SS", -2000)
    image.PixelData = stored.tobytes()


@pytest.mark.parametrize("encode", [None, implicit])
def test_padding_becomes_air(tmp_path, encode):
    paths = write_series(tmp_path, hounsfield(), change=with_padding)
    for path in paths if encode else ():
        encode(path, pydicom.dcmread(path))
    expected = hounsfield()
    expected[:, :3] = expected[:, :, :2] = -1024
    expected[:, 10, 10] = -3000  # what is not joined to the border is no padding
    assert np.array_equal(array(tmp_path), expected)


# What belongs together


def test_localizer_of_the_same_orientation_is_left_out(tmp_path):
    series = generate_uid()

    def localizer(index, image):
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / "a", hounsfield(), series=series)
    write_series(tmp_path / "b", hounsfield(2) + 1, series=series, change=localizer)
    assert np.array_equal(array(tmp_path), hounsfield())


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "TemporalPositionIdentifier", "KVP"])
def test_phases_in_one_series_are_taken_apart(tmp_path, keyword):
    series = generate_uid()
    for phase in (1, 2):
        write_series(
            tmp_path / f"p{phase}",
            hounsfield() + phase,
            series=series,
            change=lambda index, image, phase=phase: setattr(image, keyword, phase),
        )
    listing = refusal(tmp_path)
    assert "6 slices" in listing
    assert "acquisition 2 of 2" in listing
    assert "several acquisitions" in refusal(tmp_path, series)
    for number in (1, 2):
        scan = read_scan(tmp_path, str(number))
        assert np.array_equal(sitk.GetArrayFromImage(scan.image), hounsfield() + number)
        assert f"this is acquisition {number}" in scan.warnings[0]


def test_acquisitions_that_follow_each_other_are_one_scan(tmp_path):
    def change(index, image):
        image.AcquisitionNumber = 1 if index < 3 else 2

    write_series(tmp_path, hounsfield(), change=change)
    assert np.array_equal(array(tmp_path), hounsfield())


@pytest.mark.parametrize("whole", ["a", "b"])
def test_a_truncated_copy_does_no_harm(tmp_path, whole):
    write_series(tmp_path / "a", hounsfield())
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for path in (tmp_path / ({"a", "b"} - {whole}).pop()).iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(array(tmp_path), hounsfield())


def test_copies_under_new_identifiers_are_taken_once(tmp_path):
    series = generate_uid()
    write_series(tmp_path / "a", hounsfield(), series=series)
    write_series(tmp_path / "b", hounsfield()[:2], series=series)
    scan = read_scan(tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(scan.image), hounsfield())
    assert scan.warnings == ("2 slices appear twice in the series; each was used once.",)
    assert len(scan.files) == 6


# Geometry


@pytest.mark.parametrize("axes", [SAGITTAL, CORONAL, OBLIQUE], ids=str)
def test_storage_in_other_planes(tmp_path, axes):
    write_series(tmp_path, hounsfield(), axes)
    image = read_scan(tmp_path).image
    assert np.array_equal(sitk.GetArrayFromImage(image), hounsfield())
    expected = np.array([*axes, np.cross(*axes)]).T
    assert np.reshape(image.GetDirection(), (3, 3)) == pytest.approx(expected, abs=1e-5)
    assert image.GetOrigin() == pytest.approx((10, -20, 30), abs=1e-5)


def ramp(x, y, z):
    """Hounsfield units that rise evenly in every direction, so that interpolation is exact."""
    return 4 * x - 3 * y + 2 * z


@pytest.mark.parametrize("axes", [UPRIGHT, OBLIQUE], ids=["upright", "oblique"])
@pytest.mark.parametrize("tilt", [-20, 8, 30])
def test_gantry_tilt_is_taken_back_to_the_voxel(tmp_path, axes, tilt):
    row, column = np.array(axes, float)
    step = 2.5 * (np.cross(row, column) + np.tan(np.radians(tilt)) * column)
    k, j, i = np.indices((6, 40, 24))
    origin = np.array([10, -20, 30])
    place = origin + i[..., None] * 0.5 * row + j[..., None] * 0.7 * column + k[..., None] * step
    voxels = np.rint(ramp(*np.moveaxis(place, -1, 0))).astype(np.int16)
    write_series(tmp_path, voxels, axes, step)
    scan = read_scan(tmp_path)
    assert f"tilted by {abs(tilt):.1f} degrees" in scan.warnings[0]
    image = scan.image
    assert image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5), abs=1e-5)
    expected = np.array([row, column, np.cross(row, column)]).T
    assert np.reshape(image.GetDirection(), (3, 3)) == pytest.approx(expected, abs=1e-5)
    found = sitk.GetArrayFromImage(image)
    inside = np.argwhere(found > -1024)
    # All but a pixel at each edge of each slice is there, at its true place.
    assert len(inside) >= 6 * 38 * 22
    for z, y, x in inside[::97]:
        point = image.TransformIndexToPhysicalPoint((int(x), int(y), int(z)))
        assert found[z, y, x] == pytest.approx(ramp(*point), abs=1.1)


@needs_data
def test_tilted_head_of_a_real_scanner():
    scan = read_scan(AWKWARD / "dicom2nifti_failing" / "gantrytilting")
    assert "tilted by 14.0 degrees" in scan.warnings[0]
    # The tilted slices are 5 mm apart along the table.
    assert scan.image.GetSpacing()[2] == pytest.approx(5 * np.cos(np.radians(14)), abs=1e-3)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelSpacing", [0, 0.5]),
        ("PixelSpacing", [-0.7, 0.5]),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [1, 0, 0, 0, 5, 0]),
    ],
)
def test_impossible_geometry_is_refused(tmp_path, keyword, value):
    write_series(tmp_path, hounsfield(), change=lambda i, image: setattr(image, keyword, value))
    assert "impossible" in refusal(tmp_path)


def test_frames_that_are_not_there_are_refused(tmp_path):
    image = enhanced(hounsfield())
    image.PixelData = image.PixelData[: len(image.PixelData) // 2]
    image.NumberOfFrames = 3
    save_dicom(image, tmp_path / "a")
    assert "damaged" in refusal(tmp_path)


# Files between files


def test_names_in_any_language(tmp_path):
    folder = tmp_path / "Łukasz_이름_名前"

    def change(index, image):
        image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        image.PatientName = "Yamada^Tarou=山田^太郎"
        image.InstitutionName = "病院"

    write_series(folder, hounsfield(), change=change)
    assert np.array_equal(array(folder), hounsfield())


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_names_that_are_no_text(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(folder)
    path = Path(os.fsdecode(folder + b"/a\xff.nrrd"))
    path.write_bytes(b"NRRD0004\n")
    assert "rename it" in refusal(path)
    write_series(Path(os.fsdecode(folder)), hounsfield())
    assert "rename it" in refusal(Path(os.fsdecode(folder)))


@pytest.mark.skipif(os.name != "posix", reason="pipes and links as on Linux and macOS")
def test_pipes_loops_and_strangers_between_the_slices(tmp_path):
    write_series(tmp_path / "a", hounsfield())
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / "a" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\2\0" * 50)
    (tmp_path / "a" / "report.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "a" / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    assert np.array_equal(array(tmp_path), hounsfield())
    assert "not a regular file" in refusal(tmp_path / "a" / "pipe")


@pytest.fixture
def deep_folder(tmp_path):
    """A folder with 1200 folders in each other; pytest itself could not remove it."""
    folder = tmp_path / "deep"
    folder.mkdir()
    inside = os.open(folder, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=inside)
        deeper = os.open("d", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = deeper
    os.close(inside)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.skipif(os.name != "posix", reason="made and removed as on Linux and macOS")
def test_folders_nested_deeper_than_python_recurses(deep_folder):
    (deep_folder / "d" / "a.txt").touch()
    assert [path.name for path in files_below(deep_folder)] == ["a.txt"]


def test_image_without_preamble(tmp_path):
    for path in write_series(tmp_path, hounsfield()):
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        save_dicom(image, path)
        whole = path.read_bytes()
        # Without preamble and meta information, whose first element, of 12 bytes, is its length.
        length = int.from_bytes(whole[140:144], "little")
        path.write_bytes(whole[144 + length :])
    assert len(find_series(files_below(tmp_path))[0].images) == 6


def test_series_of_another_modality_is_no_ct(tmp_path):
    write_series(tmp_path / "a", hounsfield())
    write_series(
        tmp_path / "b", hounsfield(), change=lambda index, image: setattr(image, "Modality", "MR")
    )
    assert sorted(series.is_ct for series in find_series(files_below(tmp_path))) == [False, True]


def test_a_file_that_only_claims_to_be_dicom(tmp_path):
    image = dataset(hounsfield(1), generate_uid())
    save_dicom(image, tmp_path / "a.dcm")
    data = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(data[:140])
    assert "is not an image" in refusal(tmp_path / "a.dcm")

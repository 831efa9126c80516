"""What a header leaves out or contradicts is refused; nothing is made up in its place."""

from __future__ import annotations

import gzip
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import hounsfield
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.picture import read_picture
from S3NetSegmentationLib.io.read import read_scan

SUFFIXES = [".nrrd", ".mha", ".nii", ".nii.gz"]
VOXELS = hounsfield(18)


def write(path: Path, voxels: np.ndarray = VOXELS) -> Path:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.7, 2.5))
    sitk.WriteImage(image, str(path))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    return str(caught.value)


def replace_line(path: Path, begin: bytes, instead: bytes) -> None:
    """Another line in a text header in place of the one that begins so."""
    data = path.read_bytes()
    start = data.index(b"\n" + begin) + 1
    path.write_bytes(data[:start] + instead + data[data.index(b"\n", start) + bool(not instead) :])


def patch(path: Path, place: int, form: str, *values: float) -> None:
    """Other numbers in a binary header."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + form, data, place, *values)
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused_in_every_format(tmp_path, suffix, kind, value):
    voxels = VOXELS.astype(kind)
    voxels[3, 4, 5] = value
    assert "not numbers" in refusal(write(tmp_path / f"nan{suffix}", voxels))


@pytest.mark.parametrize(
    "instead",
    [
        b"space directions: none (0,0.7,0) (0,0,2.5)",
        b"space directions: (0.5,0,0) (0,0.7,0) none",
        b"space directions: (0.5,0,0) (0,0.7,0) (0,0,0)",
        b"",
    ],
)
def test_an_axis_without_a_length_is_refused_in_nrrd(tmp_path, instead):
    path = write(tmp_path / "a.nrrd")
    replace_line(path, b"space directions:", instead)
    assert "does not say how large a voxel is" in refusal(path)


def test_no_spacing_is_refused_in_metaimage(tmp_path):
    path = write(tmp_path / "a.mha")
    replace_line(path, b"ElementSpacing", b"")
    assert "does not say how large a voxel is" in refusal(path)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_no_spacing_is_refused_in_nifti(tmp_path, axis, value):
    path = write(tmp_path / "a.nii")
    patch(path, 76 + 4 * axis, "f", value)
    assert "does not say how large a voxel is" in refusal(path)


def test_two_voxel_sizes_that_contradict_each_other_are_refused_in_nifti(tmp_path):
    path = write(tmp_path / "a.nii")
    patch(path, 76, "4f", 1, 1, 1, 1)
    patch(path, 252, "2h", 0, 1)
    assert "contradict" in refusal(path)


def test_sheared_axes_are_refused_in_nifti(tmp_path):
    path = write(tmp_path / "a.nii")
    patch(path, 252, "2h", 0, 1)
    patch(path, 280, "12f", 0.5, 0, 0, 0, 0, 0.7, 0.7, 0, 0, 0, 2.4, 0)
    assert "right angles" in refusal(path)


@pytest.mark.parametrize("place", [256, 268, 280, 296, 324])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_an_impossible_place_is_refused_in_nifti(tmp_path, place, value):
    """ITK never ends over some of them."""
    path = write(tmp_path / "a.nii")
    patch(path, 252, "2h", 1, 1)
    patch(path, place, "f", value)
    assert "impossible" in refusal(path)


@pytest.mark.parametrize(("unit", "factor"), [(1, 1000), (3, 0.001), (0, 1), (2, 1)])
def test_nifti_in_other_units_is_read_in_millimeters(tmp_path, unit, factor):
    path = write(tmp_path / "a.nii")
    patch(path, 123, "B", unit)
    patch(path, 76, "4f", 1, 0.5 / factor, 0.7 / factor, 2.5 / factor)
    patch(path, 252, "2h", 0, 0)
    assert read_scan(path).image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5))


def test_nrrd_in_other_units_is_refused(tmp_path):
    path = write(tmp_path / "a.nrrd")
    replace_line(path, b"space origin", b'space origin: (0,0,0)\nspace units: "cm" "cm" "cm"')
    assert "millimeters" in refusal(path)
    for millimeters in (b'"mm" "mm" "mm"', b'"" "" ""', b'"millimeter" "millimeter" "millimeter"'):
        replace_line(path, b"space units", b"space units: " + millimeters)
        assert read_scan(path).image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5))


LONG = b"a" * 100_000
HOSTILE = {
    f"{name}, long": b"%s: %s" % (name.encode(), LONG)
    for name in ("content", "labels", "units", "space units", "space", "type", "encoding", "thing")
}
HOSTILE |= {
    "key, long": b"key:=" + LONG,
    "no colon": LONG,
    "100,000 numbers": b"sizes: " + b"1 " * 100_000,
    "100,000 vectors": b"space directions: " + b"(1,0,0) " * 100_000,
    "open bracket": b"space directions: " + b"(" * 100_000,
    "200,000 keys": b"\n".join(b"k%d:=v" % number for number in range(200_000)),
    "16 dimensions": b"dimension: 16\nsizes: " + b"2 " * 16 + b"\nkinds: " + b"domain " * 16,
    "no dimension": b"dimension: 0",
    "less than none": b"sizes: -1 -1 -1",
    "skip": b"byte skip: -5",
    "far skip": b"byte skip: 999999999999999999999",
    "lines": b"line skip: 999999999",
}


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_nrrd_header_is_read_or_refused_in_no_time(tmp_path, suffix, name):
    """Over some of them ITK ends the process, or takes minutes."""
    path = write(tmp_path / f"a{suffix}")
    head, body = path.read_bytes(), b""
    if suffix == ".nrrd":
        head, _, body = head.partition(b"\n\n")
    head = head.rstrip(b"\n") + b"\n" + HOSTILE[name]
    path.write_bytes(head + (b"\n\n" + body if body else b"\n"))
    start = time.process_time()
    try:
        assert np.array_equal(sitk.GetArrayFromImage(read_scan(path).image), VOXELS)
    except InputError as error:
        assert str(error).endswith(".")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("line", [b"NDims = 9", b"DimSize = -1 2 3", b"NDims = 1" + b"0" * 5000])
def test_a_hostile_metaimage_header_is_refused(tmp_path, line):
    path = write(tmp_path / "a.mha")
    replace_line(path, line.split(b" ")[0], line)
    assert refusal(path).endswith(".")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes as files")
@pytest.mark.parametrize("name", ["a.nhdr", "a.mhd"])
def test_a_pipe_in_place_of_the_voxels_is_refused(tmp_path, name):
    path = write(tmp_path / name)
    (voxels,) = (each for each in tmp_path.iterdir() if each != path)
    voxels.unlink()
    os.mkfifo(voxels)
    assert "missing" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes as files")
@pytest.mark.parametrize("name", ["a.nii", "a.nrrd", "a.mha", "a.dcm", "a.png"])
def test_a_pipe_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "not a regular file" in refusal(tmp_path / name)
    with pytest.raises(InputError, match="not a regular file"):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_2_is_named_with_what_helps(tmp_path, suffix, order):
    header = struct.pack(order + "i", 540) + b"n+2\0\r\n\x1a\n" + bytes(532)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(header) if suffix.endswith("gz") else header)
    assert "is a NIfTI-2 file; save it again as NIfTI-1" in refusal(path)

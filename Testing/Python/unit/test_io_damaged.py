"""Damaged files are refused, or read as they were: never a voxel that is wrong without a word."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.read import read_scan

NOISE = np.random.default_rng(0).integers(-1000, 1000, (20, 24, 28)).astype(np.int16)
COMPRESSED = [".nrrd", ".mha", ".nii.gz"]
PLAIN = [".nrrd", ".mha", ".nii"]


def write(path: Path, compressed: bool) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(NOISE), str(path), useCompression=compressed)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    return str(caught.value)


def flip_a_bit(data: bytearray, place: int) -> None:
    data[place] ^= 1 << place % 8


def zero_64_bytes(data: bytearray, place: int) -> None:
    data[place : place + 64] = bytes(min(64, len(data) - place))


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize("damage", [flip_a_bit, zero_64_bytes])
def test_a_damaged_compressed_file_never_gives_other_voxels(tmp_path, suffix, damage):
    path = write(tmp_path / f"noise{suffix}", compressed=True)
    whole = path.read_bytes()
    header = 10 if suffix == ".nii.gz" else whole.index(b"LOCAL\n" if suffix == ".mha" else b"\n\n")
    refused = 0
    places = np.linspace(header + 20, len(whole) - 1, 80).astype(int)
    for place in places:
        data = bytearray(whole)
        damage(data, place)
        path.write_bytes(data)
        try:
            voxels = sitk.GetArrayFromImage(read_scan(path).image)
        except InputError as error:
            assert "damaged" in str(error)
            refused += 1
        else:
            assert np.array_equal(voxels, NOISE)
    assert refused >= len(places) - 1  # the last byte may be one that means nothing


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_header_that_promises_another_size_than_its_stream_is_refused(tmp_path, suffix, by):
    path = write(tmp_path / f"noise{suffix}", compressed=True)
    path.write_bytes(with_columns(path.read_bytes(), suffix, 28 + by))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", PLAIN)
def test_a_header_that_leaves_most_of_the_file_out_is_refused(tmp_path, suffix):
    path = write(tmp_path / f"noise{suffix}", compressed=False)
    path.write_bytes(with_columns(path.read_bytes(), suffix, 20))
    assert "damaged" in refusal(path)


def with_columns(data: bytes, suffix: str, columns: int) -> bytes:
    """The file with another number of columns in its header."""
    if suffix.startswith(".nii"):
        plain = gzip.decompress(data) if suffix == ".nii.gz" else data
        plain = plain[:42] + columns.to_bytes(2, "little") + plain[44:]
        return gzip.compress(plain) if suffix == ".nii.gz" else plain
    field = b"DimSize = " if suffix == ".mha" else b"sizes: "
    return re.sub(field + b"28 ", field + b"%d " % columns, data, count=1)


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize("rest", [b"", bytes(512)])
def test_a_stream_in_several_parts_is_read_whole(tmp_path, suffix, rest):
    """As bgzip writes it; some programs fill the last block up."""
    path = tmp_path / f"noise{suffix}"
    data = write(tmp_path / f"plain{suffix.removesuffix('.gz')}", compressed=False).read_bytes()
    start = 0 if suffix == ".nii.gz" else len(data) - NOISE.nbytes
    parts = [data[start : start + 9000], data[start + 9000 :]]
    head = data[:start].replace(b"encoding: raw", b"encoding: gzip")
    head = head.replace(b"CompressedData = False", b"CompressedData = True")
    path.write_bytes(head + b"".join(map(gzip.compress, parts)) + rest)
    assert np.array_equal(sitk.GetArrayFromImage(read_scan(path).image), NOISE)


def test_a_scan_is_not_mixed_with_a_file_of_a_similar_name(tmp_path):
    """ITK takes the voxels of one and the header of the other."""
    path = write(tmp_path / "chest.nii.gz", compressed=True)
    sitk.WriteImage(sitk.GetImageFromArray(NOISE[::-1]), str(tmp_path / "chest.nii"))
    assert np.array_equal(sitk.GetArrayFromImage(read_scan(path).image), NOISE)


@pytest.mark.parametrize(
    ("field", "instead"),
    [
        (b"encoding: raw", b"encoding: hex"),
        (b"encoding: raw", b"data file: LIST\nencoding: raw"),
        (b"encoding: raw", b"data file: %03d.raw 1 9 1\nencoding: raw"),
        (b"BinaryData = True", b"BinaryData = False"),
        (b"LOCAL", b"LIST"),
        (b"LOCAL", b"%03d.raw 1 9 1"),
    ],
)
def test_a_rare_kind_of_file_is_refused_with_what_helps(tmp_path, field, instead):
    path = write(tmp_path / ("rare.nrrd" if b"encoding" in field else "rare.mha"), compressed=False)
    path.write_bytes(path.read_bytes().replace(field, instead))
    assert "save it again as" in refusal(path)


def test_voxels_are_scaled_as_a_metaimage_header_says(tmp_path):
    path = write(tmp_path / "scaled.mha", compressed=False)
    scale = b"ElementToIntensityFunctionSlope = 2\nElementToIntensityFunctionOffset = -24\nDimSize"
    path.write_bytes(path.read_bytes().replace(b"DimSize", scale))
    assert np.array_equal(sitk.GetArrayFromImage(read_scan(path).image), NOISE * 2.0 - 24)

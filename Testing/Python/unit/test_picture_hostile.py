"""Damaged and hostile pictures: one sentence, little memory, and never other pixels in silence."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import S3NetSegmentationLib
import SimpleITK as sitk
from dicom_files import hounsfield, save_dicom, write_series
from pydicom.uid import RLELossless
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.picture import read_picture

KINDS = ["png", "jpg", "bmp", "tif", "z.tif"]


@pytest.fixture
def picture(tmp_path):
    """Writes the same colors in a format."""
    y, x = np.mgrid[:90, :121]
    waves = np.stack([120 + 60 * np.sin(x / 9), 120 + 60 * np.cos(y / 7), (x + y) % 200], -1)
    image = sitk.GetImageFromArray(waves.astype(np.uint8), isVector=True)

    def write(kind: str) -> Path:
        path = tmp_path / f"a.{kind}"
        sitk.WriteImage(image, str(path), useCompression=kind == "z.tif")
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(InputError, match=r"\.$") as caught:
        read_picture(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [0.01, 0.3, 0.9, 0.99])
def test_a_picture_that_was_cut_off_is_refused(picture, kind, left):
    path = picture(kind)
    assert read_picture(path).shape == (90, 121, 3)
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data))])
    assert "damaged" in refusal(path)


def test_a_picture_is_known_by_its_content(picture):
    """Browsers save JPEG under names of PNG."""
    path = picture("jpg")
    expected = read_picture(path)
    assert np.array_equal(read_picture(path.rename(path.with_suffix(".png"))), expected)


@pytest.mark.parametrize("kind", ["nrrd", "mha", "nii"])
def test_another_format_under_the_name_of_a_picture_is_refused(tmp_path, kind):
    sitk.WriteImage(sitk.GetImageFromArray(hounsfield(18)), str(tmp_path / f"a.{kind}"))
    assert "not a picture" in refusal((tmp_path / f"a.{kind}").rename(tmp_path / "a.png"))


def png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def bomb() -> bytes:
    """A PNG file of 1 MB that holds a gigabyte."""
    squeeze = zlib.compressobj(1)
    rows = [squeeze.compress(bytes(1 + 32768)) for _ in range(32768)]
    return png(32768, 32768, b"".join(rows) + squeeze.flush())


def bmp(width: int, height: int, colors: int = 0, compression: int = 0) -> bytes:
    head = struct.pack("<2i2H6I", width, height, 1, 8, compression, 0, 0, 0, colors, 0)
    return struct.pack("<2sI2HI", b"BM", 2000, 0, 0, 1078) + struct.pack("<I", 40) + head


def jpeg(width: int, height: int, scans: int) -> bytes:
    size = struct.pack(">HB2HB3B", 11, 8, height, width, 1, 1, 17, 0)
    scan = b"\xff\xda" + struct.pack(">H6B", 8, 1, 1, 0, 0, 63, 0) + b"\0"
    return b"\xff\xd8\xff\xc2" + size + scan * scans + b"\xff\xd9"


def tiff(width: int, height: int) -> bytes:
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    entries += [(278, height), (279, 4)]
    directory = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)


HOSTILE = {
    "bomb.png": bomb,
    "wide.png": lambda: png(2**31 - 1, 2**31 - 1, b""),
    "long part.png": lambda: png(20, 20, b"").replace(b"\0\0\0\0IDAT", b"\x7f\0\0\0sCAL"),
    "back.bmp": lambda: bmp(-(2**31) + 30, 0) + bytes(2000),
    "wide.bmp": lambda: bmp(2**31 - 1, 2**31 - 1) + bytes(2000),
    "down.bmp": lambda: bmp(30, -(2**31)) + bytes(2000),
    "flat.bmp": lambda: bmp(20, 0) + bytes(2000),
    "colors.bmp": lambda: bmp(20, 20, colors=2**32 - 1) + bytes(2000),
    "runs.bmp": lambda: bmp(60000, 60000, compression=1) + bytes(2000),
    "wide.jpg": lambda: jpeg(65500, 65500, 1),
    "scans.jpg": lambda: jpeg(9000, 9000, 50000),
    "wide.tif": lambda: tiff(2**31 - 1, 2**31 - 1),
    "large.tif": lambda: tiff(60000, 60000),
}
READ = """
import resource, sys
import SimpleITK, pydicom, numpy, scipy.ndimage
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.picture import read_picture

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
for path in sys.argv[1:]:
    try:
        read_picture(path)
        said = "read"
    except InputError as error:
        said = str(error)
    print(f"{peak() - before}\\t{said}")
"""


@pytest.mark.skipif(os.name != "posix", reason="limits as on Linux and macOS")
def test_a_picture_that_claims_too_much_takes_no_memory(tmp_path):
    paths = [tmp_path / name for name in HOSTILE]
    for path in paths:
        path.write_bytes(HOSTILE[path.name]())
    library = str(Path(S3NetSegmentationLib.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", READ, *paths],
        env={**os.environ, "PYTHONPATH": library},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    for path, line in zip(paths, run.stdout.splitlines(), strict=True):
        kilobytes, said = line.split("\t")
        assert int(kilobytes) < 100_000, path.name
        assert said.endswith("."), path.name
        assert path.name in said


# DICOM


def rgb(folder: Path, syntax: str | None = None) -> tuple[Path, np.ndarray]:
    (path,) = write_series(folder, hounsfield(1))
    image = pydicom.dcmread(path)
    colors = np.random.default_rng(0).integers(0, 255, (image.Rows, image.Columns, 3), np.uint8)
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.PixelData = colors.tobytes()
    image["PixelData"].VR = "OB"
    if syntax:
        image.compress(syntax, generate_instance_uid=False)
    save_dicom(image, path)
    return path, colors


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_the_colors_of_a_dicom_image_are_read(tmp_path, syntax):
    path, colors = rgb(tmp_path, syntax)
    assert np.array_equal(read_picture(path), colors)


def test_a_dicom_slice_keeps_its_hounsfield_units(tmp_path):
    (path,) = write_series(tmp_path, hounsfield(1))
    assert np.array_equal(read_picture(path), hounsfield(1)[0])


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_a_dicom_image_that_claims_too_much_is_refused(tmp_path, syntax):
    path, _ = rgb(tmp_path, syntax)
    image = pydicom.dcmread(path)
    image.Rows = image.Columns = 65535
    save_dicom(image, path)
    assert "damaged" in refusal(path)

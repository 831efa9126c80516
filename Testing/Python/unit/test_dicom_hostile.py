"""No value in a DICOM file stops more than the reading of this file."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
import S3NetSegmentationLib
import SimpleITK as sitk
from dicom_files import enhanced, hounsfield, save_dicom, write_series
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from S3NetSegmentationLib.batch.find import find_scans
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.dicom import TAGS, find_series, read_series
from S3NetSegmentationLib.io.read import read_scan

VALUES = [
    b"3A",
    b"1\\2\\3",
    b"-inf",
    b"1e400",
    b"-1",
    b"1" * 400,
    b"\1\0\2\0",
    b"\xff\xff\xff\xff",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
]
PLACES = ["one slice", "all frames"]


@contextmanager
def without_types():
    """Elements stay bytes, though pydicom knows what they ought to be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom.config, "replace_un_with_known_vr", False)
        yield


def put(dataset: Dataset, keyword: str, value: bytes) -> None:
    """An element that holds these bytes, whatever they are."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    with without_types():
        dataset[tag] = DataElement(tag, "UN", value + b" " * (len(value) % 2))


def save(image: Dataset, path: Path) -> None:
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    with without_types():
        save_dicom(image, path)


def write(folder: Path, place: str, keyword: str, value: bytes) -> None:
    if "slice" in place:
        for number, path in enumerate(write_series(folder, hounsfield(18)[:3])):
            image = pydicom.dcmread(path)
            if place == "every slice" or number == 1:
                put(image, keyword, value)
            save(image, path)
        return
    image = enhanced(hounsfield(18)[:3])
    if place == "all frames":
        groups = image.SharedFunctionalGroupsSequence
    else:
        groups = [image.PerFrameFunctionalGroupsSequence[1]]
    for group in groups:
        for element in list(group):
            put(element.value[0], keyword, value)
        put(group, keyword, value)
    save(image, folder / "enhanced.dcm")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("keyword", TAGS)
def test_any_value_of_any_tag_is_read_or_refused(tmp_path, place, keyword):
    for number, value in enumerate(VALUES):
        if keyword.startswith("SOP") and not value.isascii():  # pydicom can't write it
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, place, keyword, value)
        for series in find_series(sorted(folder.iterdir())):
            assert "Doe" not in f"{series} {series.is_ct} {series.notes}"
            try:
                image = read_series(series).image
            except InputError as error:
                assert str(error).endswith(".")
            else:
                assert np.isfinite(sitk.GetArrayViewFromImage(image)).all()
    scans, skipped = find_scans(tmp_path, tmp_path / "out")
    assert scans or skipped


@pytest.mark.parametrize("value", [b"3A", b"1\\2", b"nan", b"9" * 400])
@pytest.mark.parametrize("keyword", ["SeriesNumber", "SliceThickness", "KVP", "AcquisitionNumber"])
def test_a_value_that_places_nothing_costs_no_scan(tmp_path, keyword, value):
    write(tmp_path, "every slice", keyword, value)
    scan = read_scan(tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(scan.image), hounsfield(18)[:3])
    assert scan.warnings == ()


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_a_size_that_is_none_is_named_as_damage(tmp_path, keyword):
    write(tmp_path, "one slice", keyword, b"\x14\0\x14\0")
    scan = read_scan(tmp_path)
    assert scan.image.GetDepth() == 2
    assert scan.warnings[0].startswith("1 file in the same folder can't be read as DICOM")


def test_a_mask_is_not_taken_for_damage(tmp_path):
    (path,) = write_series(tmp_path, hounsfield(1))
    image = pydicom.dcmread(path)
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 1, 1, 0, 0
    image.PixelData = bytes(image.Rows * image.Columns // 8 + 2)
    save_dicom(image, path)
    with pytest.raises(InputError, match=r"is a mask with one bit per pixel"):
        read_scan(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits as on Linux")
def test_an_element_that_claims_gigabytes_takes_no_memory(tmp_path):
    import resource

    (path,) = write_series(tmp_path, hounsfield(1))
    data = path.read_bytes()
    place = data.rindex(b"\xe0\x7f\x10\x00OW\0\0") + 8
    path.write_bytes(data[:place] + b"\xf0\xff\xff\x7f" + data[place + 4 :])
    used = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0]) * 1024
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, before[1]))
    try:
        assert np.array_equal(sitk.GetArrayFromImage(read_scan(path).image), hounsfield(1))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


# Deflated files


def deflated(path: Path, rest: bytes = b"", megabytes: int = 0) -> None:
    """Deflate a file, followed by `rest` and by so many megabytes of zeros."""
    image = pydicom.dcmread(path)
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save_dicom(image, path)
    data = path.read_bytes()
    end = data.index(b"1.2.840.10008.1.2.1.99") + 22
    end += struct.unpack("<I", data[140:144])[0] - (end - 144)  # of the group of the file itself
    squeeze = zlib.compressobj(1, wbits=-15)
    body = zlib.decompress(data[end:], wbits=-15)
    pieces = [squeeze.compress(body + rest)]
    pieces += [squeeze.compress(bytes(2**20)) for _ in range(megabytes)]
    path.write_bytes(data[:end] + b"".join(pieces) + squeeze.flush())


def test_a_deflated_series_is_read(tmp_path):
    for path in write_series(tmp_path, hounsfield(18)):
        deflated(path)
    assert np.array_equal(sitk.GetArrayFromImage(read_scan(tmp_path).image), hounsfield(18))


@pytest.mark.skipif(os.name != "posix", reason="limits as on Linux and macOS")
@pytest.mark.parametrize("place", ["before the pixels", "after the pixels"])
def test_a_deflated_file_is_inflated_no_further_than_needed(tmp_path, place):
    """Hundreds of megabytes in a few: not in the process that only looks for scans."""
    paths = write_series(tmp_path, hounsfield(18))
    tag = b"\x20\x00\x00\x40" if place == "before the pixels" else b"\xfc\xff\xfc\xff"
    for path in paths[:1]:
        image = pydicom.dcmread(path)
        if place == "before the pixels":
            del image.PixelData
        save_dicom(image, path)
        deflated(path, tag + b"OB\0\0" + struct.pack("<I", 300 * 2**20), megabytes=300)
    # The peak is that of this process from its start, so another one is asked.
    script = (
        "import resource, sys, pathlib\n"
        "from S3NetSegmentationLib.io.dicom import find_series\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "find_series(sorted(pathlib.Path(sys.argv[1]).iterdir()))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    library = str(Path(S3NetSegmentationLib.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        env={**os.environ, "PYTHONPATH": library},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < 200_000  # kilobytes

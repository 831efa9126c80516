"""What may not be read, and temporary files without room: a sentence of their own, nothing left."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import hounsfield, save_dicom, write_series
from pydicom.uid import RLELossless
from S3NetSegmentationLib.batch.find import find_scans
from S3NetSegmentationLib.errors import InputError, S3NetError
from S3NetSegmentationLib.io.files import out_of_reach
from S3NetSegmentationLib.io.picture import read_picture
from S3NetSegmentationLib.io.read import read_scan

posix = pytest.mark.skipif(os.name != "posix", reason="modes and limits as on Linux and macOS")
NOBODY = 65534


@pytest.fixture
def folder():
    """A folder that everybody may look into, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def as_somebody():
    """Not as root, who may read everything."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def refusal(read, *arguments) -> str:
    with as_somebody(), pytest.raises(InputError, match=r"\.$") as caught:
        read(*arguments)
    return str(caught.value)


def volume(path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(hounsfield(18)), str(path))
    read_scan(path)  # and what it imports, for somebody may not
    return path


@posix
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_a_volume_that_may_not_be_read(folder, name):
    path = volume(folder / name)
    path.chmod(0)
    assert refusal(read_scan, path).startswith(f"You may not read '{path}'")


@posix
@pytest.mark.parametrize("name", ["a.nhdr", "a.mhd"])
def test_voxels_that_may_not_be_read(folder, name):
    path = volume(folder / name)
    (voxels,) = (each for each in folder.iterdir() if each != path)
    voxels.chmod(0)
    assert refusal(read_scan, path).startswith("You may not read")


@posix
def test_dicom_files_that_may_not_be_read(folder):
    paths = write_series(folder, hounsfield(18))
    read_scan(folder)
    for path in paths:
        path.chmod(0)
    assert refusal(read_scan, folder).startswith("You may not read")
    assert refusal(read_scan, paths[0]).startswith(f"You may not read '{paths[0]}'")
    assert refusal(read_picture, paths[0]).startswith(f"You may not read '{paths[0]}'")
    with as_somebody():
        scans, skipped = find_scans(folder, folder / "out")
    assert scans == []
    assert {each.reason for each in skipped} == {"the file can't be read"}


@posix
@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_that_may_not_be_read(folder, inside):
    closed = folder / "closed"
    paths = write_series(closed, hounsfield(18))
    closed.chmod(0)
    for path in [closed, folder] if inside else [paths[0], closed / "missing.nii"]:
        assert refusal(read_scan, path).startswith("You may not read")
    assert refusal(find_scans, closed, folder / "out").startswith("You may not read")
    closed.chmod(0o700)


@posix
@pytest.mark.parametrize("name", ["a.png", "list.txt"])
def test_a_picture_or_a_list_that_may_not_be_read(folder, name):
    path = folder / name
    path.write_bytes(b"x")
    path.chmod(0)
    read = read_picture if name == "a.png" else find_scans
    more = [] if name == "a.png" else [folder / "out"]
    assert refusal(read, path, *more).startswith(f"You may not read '{path}'")


@pytest.mark.parametrize("code", [errno.EIO, errno.ETIMEDOUT])
def test_a_disk_that_fails_is_not_taken_for_a_damaged_file(code):
    said = str(out_of_reach(Path("a.nii"), OSError(code, os.strerror(code))))
    assert os.strerror(code) in said
    assert said.endswith("check the disk or the network.")
    assert out_of_reach(Path("a.nii"), OSError(errno.EINVAL, "")) is None
    assert out_of_reach(Path("a.nii"), EOFError()) is None


@posix
@pytest.mark.parametrize("fault", ["gone", "full"])
def test_a_folder_for_temporary_files_that_fails_is_named(tmp_path, monkeypatch, fault):
    import resource

    paths = write_series(tmp_path / "in", hounsfield(18))
    for path in paths:
        image = pydicom.dcmread(path)
        image.compress(RLELossless, generate_instance_uid=False)
        save_dicom(image, path)
    temporary = tmp_path / "temporary"
    if fault == "full":
        temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(S3NetError, match=r"folder for temporary files .*make room there.*\.$"):
            read_scan(tmp_path / "in")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not temporary.exists() or not any(temporary.iterdir())

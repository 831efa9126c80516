"""Results go out whole, in the right place, and leave nothing behind when they can't."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from open_files import in_use, needs_programs
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io import files, write
from S3NetSegmentationLib.io.formats import SEGMENTATION_SUFFIXES
from S3NetSegmentationLib.io.overview import write_overview
from S3NetSegmentationLib.io.segments import LUNG_SEGMENTS

OBLIQUE = np.array([[0.8, -0.48, -0.36], [0.6, 0.64, 0.48], [0, -0.6, 0.8]])
GEOMETRIES = {
    "axial": np.eye(3),
    "flipped": np.diag([-1.0, -1, 1]),
    "left-handed": np.diag([1.0, -1, 1]),
    "oblique": OBLIQUE,
    "oblique left-handed": OBLIQUE * [1, 1, -1],
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
}


def placed(values: np.ndarray, direction=GEOMETRIES["axial"]) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetDirection(np.asarray(direction, float).ravel().tolist())
    image.SetSpacing((0.5, 0.75, 2.5))
    image.SetOrigin((10.25, -20.5, 30))
    return image


def lungs(direction=GEOMETRIES["axial"]) -> sitk.Image:
    values = np.zeros((6, 8, 10), np.uint8)
    values[1:5, 2:7, 1:4] = 1
    values[1:4, 2:6, 6:9] = 2
    return placed(values, direction)


@pytest.mark.parametrize("suffix", SEGMENTATION_SUFFIXES)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_label_map_keeps_voxels_and_geometry(tmp_path, suffix, geometry):
    image = lungs(GEOMETRIES[geometry])
    path = tmp_path / f"Lungen Größe 肺{suffix}"
    write.write_segmentation(path, image)
    read = sitk.ReadImage(str(path))
    assert read.GetPixelID() == sitk.sitkUInt8
    assert np.array_equal(sitk.GetArrayFromImage(read), sitk.GetArrayFromImage(image))
    assert read.GetSpacing() == pytest.approx(image.GetSpacing(), abs=1e-6)
    assert read.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-5)
    assert read.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-6)
    assert os.listdir(tmp_path) == [path.name]


def test_seg_nrrd_holds_what_slicer_looks_for(tmp_path):
    path = tmp_path / "lungs.seg.nrrd"
    write.write_segmentation(path, lungs())
    image = sitk.ReadImage(str(path))
    found = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert found["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert found["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    colors = set()
    for index, (label, name, code) in enumerate(
        [(1, "right lung", "SCT^24028007^Right"), (2, "left lung", "SCT^7771000^Left")]
    ):
        segment = {
            key.split("_", 1)[1]: value
            for key, value in found.items()
            if key.startswith(f"Segment{index}_")
        }
        assert segment["LabelValue"] == str(label)
        assert segment["Name"] == name
        assert segment["Layer"] == "0"
        assert segment["Extent"] == "0 9 0 7 0 5"
        assert segment["ID"]
        assert "~SCT^39607008^Lung~" + code in segment["Tags"]
        assert segment["Tags"].startswith("TerminologyEntry:")
        colors.add(segment["Color"])
    assert len(colors) == 2
    assert "Segment2_ID" not in found


def test_segments_agree_with_the_label_map():
    assert [(s.label, s.name) for s in LUNG_SEGMENTS] == [(1, "right lung"), (2, "left lung")]


def test_writing_does_not_touch_the_given_image(tmp_path):
    image = lungs()
    write.write_segmentation(tmp_path / "lungs.seg.nrrd", image)
    assert not image.GetMetaDataKeys()


def test_existing_file_is_replaced_whole(tmp_path):
    path = tmp_path / "lungs.nrrd"
    path.write_text("old")
    write.write_segmentation(path, lungs())
    assert sitk.ReadImage(str(path)).GetSize() == (10, 8, 6)
    assert os.listdir(tmp_path) == ["lungs.nrrd"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["lungs.seg.nrrd", "lungs.nii.gz", "lungs.json"])
def test_failed_write_leaves_everything_as_it_was(tmp_path, monkeypatch, error, name):
    path = tmp_path / name
    path.write_text("old")

    def fail(source, target):
        raise error

    monkeypatch.setattr(write.os, "replace", fail)
    with pytest.raises(InputError if error is OSError else error):
        if name.endswith("json"):
            write.write_json(path, {"a": 1})
        else:
            write.write_segmentation(path, lungs())
    assert os.listdir(tmp_path) == [name]
    assert path.read_text() == "old"


# Windows refuses what other programs have open, virus scanners for a moment.


def refused(times: int, monkeypatch) -> None:
    """The next replacements fail as on Windows."""
    replace, left = os.replace, [times]

    def fail_at_first(source, target):
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(13, "The process cannot access the file", str(source))
        replace(source, target)

    monkeypatch.setattr(write.os, "replace", fail_at_first)


def test_a_scanner_for_viruses_is_waited_for(tmp_path, monkeypatch):
    refused(2, monkeypatch)
    write.write_json(tmp_path / "lungs.json", {"a": 1})
    assert json.loads((tmp_path / "lungs.json").read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["lungs.json"]


def test_a_file_that_stays_open_elsewhere_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "lungs.json"
    path.write_text("old")
    monkeypatch.setattr(files, "RETRY_SECONDS", ())
    refused(1, monkeypatch)
    with pytest.raises(InputError, match="open in another program"):
        write.write_json(path, {"a": 1})
    assert os.listdir(tmp_path) == ["lungs.json"]
    assert path.read_text() == "old"


def test_what_cannot_be_removed_does_not_hide_what_went_wrong(tmp_path, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError

    monkeypatch.setattr(files, "RETRY_SECONDS", ())
    monkeypatch.setattr(write.Path, "unlink", refuse)
    with pytest.raises(ZeroDivisionError), write.replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018


@needs_programs
def test_a_file_in_use_is_refused_beforehand(tmp_path):
    path = tmp_path / "lungs.nrrd"
    with in_use(path), pytest.raises(InputError, match="open in another program"):
        write.check_writable(path, SEGMENTATION_SUFFIXES)
    assert os.listdir(tmp_path) == ["lungs.nrrd"]


@pytest.mark.skipif(os.name != "posix", reason="modes and links as on Linux")
def test_a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_one(tmp_path):
    made, link = tmp_path / "real" / "lungs", tmp_path / "lungs.nii.gz"
    made.parent.mkdir()
    made.touch(mode=0o640)
    link.symlink_to(made)
    write.write_segmentation(link, lungs())
    assert link.is_symlink()
    assert made.stat().st_mode & 0o777 == 0o640
    assert sitk.ReadImage(str(link)).GetSize() == lungs().GetSize()
    assert os.listdir(made.parent) == ["lungs"]


def test_the_file_is_named_and_not_a_temporary_one(tmp_path, monkeypatch):
    """As when an image is one of several files that are all written or none."""

    def full(made, place):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with (
        pytest.raises(InputError, match=r"lungs\.nii\.gz' can't be written"),
        write.replacing(tmp_path / "lungs.nii.gz") as temporary,
    ):
        write.write_segmentation(temporary, lungs())
    assert os.listdir(tmp_path) == []


def test_what_is_being_written_is_for_its_owner_alone(tmp_path):
    before = os.umask(0o022)
    try:
        with write.replacing(tmp_path / "a.json") as temporary:
            temporary.write_text("{}")
            assert os.name != "posix" or temporary.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    assert os.name != "posix" or (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_error_while_writing_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), write.replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert not os.listdir(tmp_path)


def test_vanished_folder_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="can't be written"):
        write.write_segmentation(tmp_path / "gone" / "lungs.nrrd", lungs())


def test_json_has_null_for_nan(tmp_path):
    path = tmp_path / "résultat.json"
    write.write_json(path, {"lungs": [{"mean": float("nan"), "name": "é"}], "t": (1.5, 2)})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "lungs": [{"mean": None, "name": "é"}],
        "t": [1.5, 2],
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lungs.txt", "must end in"),
        ("lungs", "must end in"),
        ("missing/lungs.nrrd", "no folder"),
        ("file/lungs.nrrd", "no folder"),
        ("folder.nrrd", "is a folder"),
    ],
)
def test_unwritable_output_is_refused_beforehand(tmp_path, name, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "folder.nrrd").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InputError, match=sentence):
        write.check_writable(tmp_path / name, SEGMENTATION_SUFFIXES)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that refuses files")
def test_protected_folder_is_refused_beforehand():
    with pytest.raises(InputError, match="can't be written"):
        write.check_writable(write.Path("/proc/self/lungs.nrrd"), SEGMENTATION_SUFFIXES)


def test_good_output_is_accepted_without_a_trace(tmp_path):
    write.check_writable(tmp_path / "LUNGS.SEG.NRRD", SEGMENTATION_SUFFIXES)
    assert not os.listdir(tmp_path)


# The overview. A dark right lung on the patient's right, whatever the storage order.


def patient(direction) -> tuple[sitk.Image, sitk.Image]:
    """Air, with tissue and a right lung that is bigger than the left one, cut in any order."""
    upright = np.full((20, 40, 48), -1000, np.int16)
    upright[:, 8:32, 4:44] = 40
    labels = np.zeros(upright.shape, np.uint8)
    labels[3:17, 12:30, 7:20] = 1
    labels[3:17, 16:26, 30:38] = 2
    upright[labels > 0] = -850
    images = []
    for values in (upright, labels):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((1, 1, 2))
        images.append(sitk.DICOMOrient(image, direction))
    return images[0], images[1]


def picture(tmp_path, image, labels) -> np.ndarray:
    path = tmp_path / "Übersicht.png"
    write_overview(path, image, labels)
    assert os.listdir(tmp_path) == [path.name]
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)


def test_overview_shows_the_patients_right_on_the_left(tmp_path):
    pixels = picture(tmp_path, *patient("LPS"))
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    axial = pixels[-200:, :320]
    red, blue = (np.argwhere(tint > 20) for tint in (axial @ [1, 0, -1], axial @ [-1, 0, 1]))
    assert red[:, 1].mean() < 160 < blue[:, 1].mean()
    # The right lung is 13 by 18 mm, of 48 mm that are 320 pixels wide.
    assert np.ptp(red[:, 1]) == pytest.approx(13 / 48 * 320, abs=4)
    assert np.ptp(red[:, 0]) == pytest.approx(18 / 48 * 320, abs=4)


@pytest.mark.parametrize("direction", ["RAS", "PIR", "LAS", "SAL"])
def test_overview_does_not_depend_on_the_storage_order(tmp_path, direction):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = picture(tmp_path / "a", *patient("LPS"))
    assert np.array_equal(picture(tmp_path / "b", *patient(direction)), expected)


def test_overview_of_a_scan_without_lungs_is_grey(tmp_path):
    image, labels = patient("LPS")
    pixels = picture(tmp_path, image, labels * 0)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert np.ptp(pixels) > 200


def test_overview_of_a_single_slice(tmp_path):
    image, labels = patient("LPS")
    assert picture(tmp_path, image[:, :, 10:11], labels[:, :, 10:11]).shape[1] >= 320


def test_overview_of_a_few_sagittal_slices_is_no_larger(tmp_path):
    image, labels = patient("LPS")
    assert max(picture(tmp_path, image[10:12], labels[10:12]).shape) < 1500

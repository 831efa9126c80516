"""A folder of scans from Slicer's Python console."""

import os

import pytest
from batch_data import QUICK, is_right, write_chest
from S3NetSegmentationLib.errors import Cancelled, S3NetError
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from slicer_scene import state


@pytest.fixture
def temporary(application, tmp_path, monkeypatch):
    """The application's folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(application, "temporaryPath", str(tmp_path / "temporary"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "temporary"


def test_segment_folder(scene, temporary, tmp_path):
    source, output = tmp_path / "Größe, 肺", tmp_path / "out"
    truth = write_chest(source / "scan.nrrd")
    (source / "bad.nrrd").write_bytes(b"no image")
    before, seen = state(), []
    records = SegmentationLogic().segmentFolder(
        str(source), str(output), QUICK, nameBy="path", onProgress=seen.append
    )
    statuses = {record["name"]: record["status"] for record in records}
    assert statuses == {"bad": "failed", "scan": "done"}
    assert is_right(output / "scan.seg.nrrd", truth)
    assert seen[-1].fraction == 1
    assert state() == before
    assert os.listdir(temporary) == []


def test_segment_folder_can_be_stopped_and_says_what_is_wrong(scene, temporary, tmp_path):
    write_chest(tmp_path / "in" / "scan.nrrd")
    with pytest.raises(Cancelled):
        SegmentationLogic().segmentFolder(
            str(tmp_path / "in"), str(tmp_path / "out"), QUICK, isCancelled=lambda: True
        )
    with pytest.raises(S3NetError, match="no folder or list"):
        SegmentationLogic().segmentFolder(str(tmp_path / "missing"), str(tmp_path / "out"))
    assert os.listdir(temporary) == []

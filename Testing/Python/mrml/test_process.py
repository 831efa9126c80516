"""The logic with its process: the scene changes only if all goes well, and no file is left."""

import os
import signal

import pytest
import SimpleITK as sitk
from engine_here import LONG, segmented, small_chest
from launchers import TELLS_ITS_PID, needs_posix, until
from quick import QUICK
from S3NetSegmentationLib.errors import Cancelled, S3NetError
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from S3NetSegmentationLib.settings import Settings
from slicer_scene import add_volume, lungs_array, state


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As in this process, for the same result to the bit; and faster on a busy machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def temporary(application, tmp_path, monkeypatch):
    """The application's folder for temporary files, with all that makes paths hard."""
    folder = tmp_path / "Größe, 肺 (a b)"
    folder.mkdir()
    monkeypatch.setattr(application, "temporaryPath", str(folder))
    return folder


def test_the_process_gives_what_the_engine_gives(scene, application, temporary):
    image = small_chest("oblique").image
    volume, logic = add_volume(image), SegmentationLogic()
    progress, events = [], application.events
    segmentation = logic.segment(volume, QUICK, onProgress=progress.append)
    expected = segmented(image)
    assert (lungs_array(segmentation, volume) == sitk.GetArrayFromImage(expected.lungs)).all()
    assert logic.tissues(segmentation) == expected.tissue_table
    assert logic.warnings(segmentation) == expected.warnings
    fractions = [report.fraction for report in progress]
    assert fractions == sorted(fractions)
    assert {report.stage for report in progress} <= {
        "Preparing",
        "Fitting",
        "Clustering",
        "Deciding",
    }
    assert progress[-1].fraction == pytest.approx(1)
    assert application.events > events
    assert list(temporary.iterdir()) == []


def test_cancel_while_it_fits(scene, temporary):
    volume, logic, seen = add_volume(small_chest().image), SegmentationLogic(), []
    before = state()
    with pytest.raises(Cancelled, match="the scene is as it was"):
        logic.segment(
            volume,
            LONG,
            onProgress=seen.append,
            isCancelled=lambda: bool(seen) and seen[-1].stage == "Fitting",
        )
    assert state() == before
    assert list(temporary.iterdir()) == []


def test_cancel_before_anything_happened(scene, temporary):
    run = SegmentationLogic().start(add_volume(small_chest().image), LONG)
    assert run.job.poll()
    assert until(lambda: list(temporary.iterdir()), 10)
    run.job.cancel()
    run.job.cancel()
    assert not run.job.poll()
    assert list(temporary.iterdir()) == []


def test_a_device_that_does_not_exist(scene, temporary):
    volume, said = add_volume(small_chest().image), []
    before = state()
    with pytest.raises(S3NetError, match="device|CUDA"):
        SegmentationLogic().segment(volume, Settings(device="cuda:77"), onLog=said.append)
    assert state() == before
    assert list(temporary.iterdir()) == []


@needs_posix
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("kill -9 $$", r"ended unexpectedly \(code -9\).*memory"),
        ("kill -SEGV $$", r"ended unexpectedly \(code -11, SIGSEGV\), most likely because a lib"),
        ("exit 3", r"ended unexpectedly \(code 3\)"),
        ("echo; echo '[1]'; echo '{{\"a\": 1}}'; echo nonsense; exit 3", "ended unexpectedly"),
    ],
)
def test_a_worker_that_dies(scene, launcher, temporary, lines, message):
    launcher(lines)
    volume, said = add_volume(small_chest().image), []
    before = state()
    with pytest.raises(S3NetError, match=message):
        SegmentationLogic().segment(volume, QUICK, onLog=said.append)
    assert state() == before
    assert list(temporary.iterdir()) == []
    assert ("nonsense" in said) == ("nonsense" in lines)


@needs_posix
def test_a_worker_that_is_killed_at_work(scene, launcher, temporary):
    pid = launcher(TELLS_ITS_PID)
    volume, logic, seen = add_volume(small_chest().image), SegmentationLogic(), []
    before = state()
    run = logic.start(volume, LONG)
    assert until(lambda: not run.job.poll(seen.append) or bool(seen), 60)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert until(lambda: not run.job.poll())
    with pytest.raises(S3NetError, match="ended unexpectedly"):
        logic.finish(run)
    assert state() == before
    assert list(temporary.iterdir()) == []


def test_no_room_for_temporary_files(scene, application, tmp_path, monkeypatch):
    monkeypatch.setattr(application, "temporaryPath", str(tmp_path / "missing"))
    volume = add_volume(small_chest().image)
    before = state()
    with pytest.raises(S3NetError, match="temporary files.*missing.*settings"):
        SegmentationLogic().segment(volume, QUICK)
    assert state() == before


def test_a_volume_that_is_not_ct_leaves_nothing_behind(scene, temporary):
    volume = add_volume(small_chest().image + 3000)
    before = state()
    with pytest.raises(S3NetError, match="Hounsfield"):
        SegmentationLogic().segment(volume, QUICK)
    assert state() == before
    assert list(temporary.iterdir()) == []

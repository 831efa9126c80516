"""The worker: a process of its own, which ends and cleans up whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import S3NetSegmentationLib
import SimpleITK as sitk
from engine_here import segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import Cancelled, InputError, S3NetError
from S3NetSegmentationLib.mrml.job import SegmentationJob
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from S3NetSegmentationLib.process import WorkerProcess
from S3NetSegmentationLib.settings import Settings
from S3NetSegmentationLib.worker import write_job
from slicer_scene import add_volume, lungs_array, state

LONG = Settings(device="cpu", working_size=128, iterations=2000)
"""Takes minutes."""

needs_posix = pytest.mark.skipif(os.name != "posix", reason="the launcher is a shell script")


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


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Make a PythonSlicer of shell lines, as Slicer's is a launcher of the real Python."""

    def make(lines: str) -> Path:
        folder, pid = tmp_path / "bin", tmp_path / "pid"
        folder.mkdir()
        script = folder / "PythonSlicer"
        script.write_text(lines.format(python=f'"{sys.executable}" "$@"', pid=f'"{pid}"'))
        script.write_text("#!/bin/sh\n" + script.read_text() + "\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        return pid

    return make


def until(condition, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def begun(pid: Path, temporary: Path) -> tuple[SegmentationJob, int]:
    """A long job, and the process that its launcher has started and told of."""
    job = SegmentationJob(small_chest().image, LONG, str(temporary))
    assert until(lambda: pid.exists() and pid.read_text().strip())
    return job, int(pid.read_text())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Nobody may be there to collect an orphan that has ended.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_the_process_gives_what_the_engine_gives(scene, application, temporary):
    image = small_chest("oblique").image
    volume, logic = add_volume(image), SegmentationLogic()
    progress, events = [], application.events
    segmentation = logic.segment(volume, QUICK, progress=progress.append)
    expected = segmented(image)
    assert (lungs_array(segmentation, volume) == sitk.GetArrayFromImage(expected.lungs)).all()
    assert logic.clusters(segmentation) == (expected.table, expected.chosen)
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


def test_a_worker_that_has_finished_ends_in_peace(temporary):
    write_job(temporary, small_chest().image, QUICK)
    worker, said = WorkerProcess(str(temporary)), []
    assert until(lambda: said.extend(worker.messages()) or not worker.running, 90)
    assert worker.exit_code == 0
    assert said[-1]["event"] == "finished"
    assert not [message for message in said if message["event"] == "log"]
    worker.stop()


def test_cancel_while_it_fits(scene, temporary):
    volume, logic, seen = add_volume(small_chest().image), SegmentationLogic(), []
    before = state()
    with pytest.raises(Cancelled, match="the scene is as it was"):
        logic.segment(
            volume,
            LONG,
            progress=seen.append,
            cancelled=lambda: bool(seen) and seen[-1].stage == "Fitting",
        )
    assert state() == before
    assert list(temporary.iterdir()) == []


def test_cancel_before_anything_happened(scene, temporary):
    run = SegmentationLogic().start(add_volume(small_chest().image), LONG)
    assert run.job.poll()
    assert len(list(temporary.iterdir())) == 1
    run.job.cancel()
    run.job.cancel()
    assert not run.job.poll()
    assert list(temporary.iterdir()) == []


@needs_posix
def test_cancel_ends_what_a_launcher_has_started(launcher, temporary):
    # A shell gives what it starts in the background no standard input of its own accord.
    pid = launcher("exec 3<&0\n{python} <&3 &\necho $! > {pid}\nwait")
    job, worker = begun(pid, temporary)
    assert is_running(worker)
    job.cancel()
    assert until(lambda: not is_running(worker), 5)
    assert list(temporary.iterdir()) == []


@needs_posix
def test_cancel_does_not_wait_for_what_it_cannot_end(launcher, temporary):
    # As on Windows, where the worker is out of reach until it reads its standard input.
    pid = launcher("setsid sh -c 'echo $$ > {pid}; exec sleep 60' &\nwait")
    job, worker = begun(pid, temporary)
    try:
        job.cancel()
        assert is_running(worker)
    finally:
        os.kill(worker, signal.SIGKILL)
    assert list(temporary.iterdir()) == []


def test_a_device_that_does_not_exist(scene, temporary):
    volume, said = add_volume(small_chest().image), []
    before = state()
    with pytest.raises(S3NetError, match="device|CUDA"):
        SegmentationLogic().segment(
            volume, Settings.from_preset("lung-ct", device="cuda:77"), log=said.append
        )
    assert state() == before
    assert list(temporary.iterdir()) == []


@needs_posix
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("kill -9 $$", r"ended unexpectedly \(code -9\).*memory"),
        ("exit 3", r"ended unexpectedly \(code 3\)"),
        ("echo; echo '[1]'; echo '{{\"a\": 1}}'; echo nonsense; exit 3", "ended unexpectedly"),
    ],
)
def test_a_worker_that_dies(scene, launcher, temporary, lines, message):
    launcher(lines)
    volume, said = add_volume(small_chest().image), []
    before = state()
    with pytest.raises(S3NetError, match=message):
        SegmentationLogic().segment(volume, QUICK, log=said.append)
    assert state() == before
    assert list(temporary.iterdir()) == []
    assert ("nonsense" in said) == ("nonsense" in lines)


@needs_posix
def test_a_worker_that_is_killed_at_work(scene, launcher, temporary):
    pid = launcher("echo $$ > {pid}\nexec {python}")
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


@needs_posix
@pytest.mark.parametrize(
    ("lines", "message", "details"),
    [
        ('for last; do :; done; : > "$last/image.npy"\nexec {python}', "unexpectedly", "Traceback"),
        ('for last; do :; done; rm "$last/image.npy"\nexec {python}', "temporary files", "image"),
        (
            'd=$(mktemp -d); echo "import no_such_library" > "$d/torch.py"\n'
            'export PYTHONPATH="$d:$PYTHONPATH"\n{python}; rm -r "$d"',
            r"can't load.*no_such_library.*PyTorch",
            "Traceback",
        ),
        (
            'd=$(mktemp -d); echo "raise RuntimeError(\'CUDA error: unknown\')" > "$d/torch.py"\n'
            'export PYTHONPATH="$d:$PYTHONPATH"\n{python}; rm -r "$d"',
            "The GPU failed",
            "Traceback",
        ),
    ],
)
def test_what_goes_wrong_in_the_worker_is_told(launcher, temporary, lines, message, details):
    launcher(lines)
    job, said = SegmentationJob(small_chest().image, QUICK, str(temporary)), []
    assert until(lambda: not job.poll(log=said.append), 60)
    with pytest.raises(S3NetError, match=message):
        job.result()
    assert details in "\n".join(said)
    assert list(temporary.iterdir()) == []


@needs_posix
def test_the_worker_ends_with_its_parent(launcher, temporary):
    pid = launcher("echo $$ > {pid}\nexec {python}")
    program = f"""
import time
from engine_here import small_chest
from S3NetSegmentationLib.mrml.job import SegmentationJob
from S3NetSegmentationLib.settings import Settings
job = SegmentationJob(small_chest().image, Settings(device="cpu"), {str(temporary)!r})
time.sleep(600)
"""
    paths = [Path(S3NetSegmentationLib.__file__).parents[1], Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment)
    try:
        assert until(lambda: pid.exists() and pid.read_text().strip(), 60)
        assert len(list(temporary.iterdir())) == 1
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not is_running(int(pid.read_text())))
    assert list(temporary.iterdir()) == []


def test_no_room_for_temporary_files(scene, application, tmp_path, monkeypatch):
    monkeypatch.setattr(application, "temporaryPath", str(tmp_path / "missing"))
    volume = add_volume(small_chest().image)
    before = state()
    with pytest.raises(S3NetError, match="temporary files.*missing.*settings"):
        SegmentationLogic().segment(volume, QUICK)
    assert state() == before


def test_the_devices_of_this_machine():
    worker, said = WorkerProcess("--devices"), []
    assert until(lambda: said.extend(worker.messages()) or not worker.running, 60)
    worker.stop()
    (found,) = [message for message in said if message["event"] == "devices"]
    assert found["torch"]
    (cpu,) = [device for device in found["devices"] if device["name"] == "cpu"]
    assert str(os.cpu_count()) in cpu["title"]
    assert all({"name", "title", "memory"} == set(device) for device in found["devices"])


def test_a_volume_that_is_not_ct_starts_no_process(scene, temporary):
    volume = add_volume(small_chest().image + 3000)
    with pytest.raises(InputError, match="Hounsfield"):
        SegmentationLogic().start(volume, QUICK)
    assert list(temporary.iterdir()) == []

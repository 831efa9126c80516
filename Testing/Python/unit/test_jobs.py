"""A job in a child process: its result, its failure, its end, and what is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import S3NetSegmentationLib
import tasks
from batch_data import ENVIRONMENT
from engine_here import LONG, small_chest
from launchers import TELLS_ITS_PID, is_running, needs_posix, pid_in, until
from quick import QUICK
from S3NetSegmentationLib.errors import S3NetError
from S3NetSegmentationLib.jobs.devices import find_devices
from S3NetSegmentationLib.jobs.job import Job, JobDied, JobFailed, wait_for
from S3NetSegmentationLib.jobs.process import WorkerProcess
from S3NetSegmentationLib.jobs.protocol import Began, Failed, Finished, Log, parse, serialize
from S3NetSegmentationLib.jobs.segmentation import SegmentationJob, segment, write_scan
from S3NetSegmentationLib.progress import Progress

LIBRARY = Path(S3NetSegmentationLib.__file__).parents[1]


@pytest.fixture
def temporary(tmp_path):
    """A folder for temporary files, with all that makes paths hard."""
    folder = tmp_path / "Größe, 肺 (a b)"
    folder.mkdir()
    return folder


@pytest.fixture
def with_tasks(monkeypatch):
    """Child processes can import `tasks`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(tasks.__file__).parent))


def begun(pid: Path, temporary: Path) -> tuple[SegmentationJob, int]:
    """A long job, and the process that its launcher has started and told of."""
    job = SegmentationJob(small_chest().image, LONG, str(temporary))
    return job, pid_in(pid)


@pytest.mark.parametrize(
    "message",
    [
        Progress("Fitting", 3, 50, 0.25),
        Began(),
        Finished({"records": [{"name": "Größe"}]}),
        Failed("There is no body.", "Traceback:\n line"),
    ],
)
def test_a_message_arrives_as_it_was_sent(message):
    line = serialize(message)
    assert "\n" not in line
    assert parse(line + "\n") == message


@pytest.mark.parametrize(
    "line",
    [
        *("", "nonsense", "[1]", "3", '"text"', '{"a": 1}', '{"event": "other"}'),
        *('{"event": "failed"}', '{"event": ["failed"]}'),
    ],
)
def test_what_is_no_message_goes_to_the_log(line):
    assert parse(line + "\n") == Log(line)


def test_a_job_gives_what_its_task_returns_and_prints(with_tasks, temporary):
    said = []
    assert wait_for(Job(tasks.say, temporary), on_log=said.append) == {"said": ["one"]}
    assert said == ["one"]
    assert list(temporary.iterdir()) == []


def test_a_job_that_is_given_up_while_idle_is_ended(with_tasks, launcher, temporary):
    pid = launcher(TELLS_ITS_PID)
    job = Job(tasks.wait_for_ever, temporary)

    def give_up():
        if pid.exists() and pid.read_text():
            raise TimeoutError

    with pytest.raises(TimeoutError):
        wait_for(job, on_idle=give_up)
    assert not is_running(pid_in(pid))
    assert not job.poll()
    with pytest.raises(JobDied):
        job.result()


def test_what_a_finished_task_leaves_is_safe_while_its_process_ends(temporary):
    """On Windows the process may still be about to end when its parent lets go of it."""
    own, job = temporary / "own", temporary / "job"
    for folder in (own, job):
        folder.mkdir()
    paths = [LIBRARY, Path(tasks.__file__).parent]
    worker = subprocess.Popen(
        [sys.executable, "-m", "S3NetSegmentationLib.jobs.worker", "tasks:leave_slowly", own, job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    )
    assert parse(worker.stdout.readline().decode()) == Began()
    assert parse(worker.stdout.readline().decode()) == Finished(None, reusable=True)
    worker.communicate()
    assert (job / "result").exists()
    assert not own.exists()


def test_a_worker_that_has_finished_waits_in_peace(temporary):
    write_scan(temporary, small_chest().image, QUICK)
    worker, said = WorkerProcess(segment, temporary), []
    done = Finished(None, reusable=True)
    assert until(lambda: said.extend(worker.messages()) or done in said, 90)
    worker.release()
    assert worker.is_running
    worker.stop()
    said += worker.messages()
    assert said[-1] == done
    assert not [message for message in said if isinstance(message, Log)]


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
    assert until(lambda: not job.poll(on_log=said.append), 60)
    with pytest.raises(S3NetError, match=message):
        job.result()
    assert details in "\n".join(said)
    assert list(temporary.iterdir()) == []


@needs_posix
def test_the_worker_ends_with_its_parent(launcher, temporary):
    pid = launcher(TELLS_ITS_PID)
    program = f"""
import time
from engine_here import small_chest
from S3NetSegmentationLib.jobs.segmentation import SegmentationJob
from S3NetSegmentationLib.settings import Settings
job = SegmentationJob(small_chest().image, Settings(device="cpu"), {str(temporary)!r})
time.sleep(600)
"""
    paths = [Path(S3NetSegmentationLib.__file__).parents[1], Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment)
    try:
        worker = pid_in(pid)
        assert len(list(temporary.iterdir())) == 1
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not is_running(worker))
    assert list(temporary.iterdir()) == []


def test_a_worker_whose_parent_ends_at_once_leaves_nothing(tmp_path):
    folders = [tmp_path / "temporary", tmp_path / "job"]
    for folder in folders:
        folder.mkdir()
    command = [sys.executable, "-m", "S3NetSegmentationLib.jobs.worker", "time:sleep", *folders]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    for pipe in (worker.stdin, worker.stdout):
        pipe.close()
    worker.wait(30)
    assert not any(folder.exists() for folder in folders)


def test_the_devices_of_this_machine():
    found = wait_for(Job(find_devices))
    assert found["torch"]
    (cpu,) = [device for device in found["devices"] if device["name"] == "cpu"]
    assert cpu["name"] == "cpu"
    assert str(os.cpu_count()) in cpu["title"]
    assert all({"name", "title", "memory"} == set(device) for device in found["devices"])


@pytest.mark.parametrize(
    ("code", "sentence"), [(126, "install PyTorch again"), (1455, "not enough memory")]
)
def test_libraries_that_cannot_be_loaded_are_not_taken_for_files(
    tmp_path, monkeypatch, code, sentence
):
    """What torch raises on Windows when one of its libraries lacks another one, or memory."""
    (tmp_path / "torch.py").write_text(
        "error = OSError(22, 'Error loading \"c10.dll\" or one of its dependencies.')\n"
        f"error.winerror = {code}\n"
        "raise error\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("S3NetSegmentationLib.jobs.process.LIBRARY", tmp_path)
    (tmp_path / "S3NetSegmentationLib").symlink_to(LIBRARY / "S3NetSegmentationLib")
    with pytest.raises(JobFailed, match=sentence) as failed:
        wait_for(Job(find_devices))
    assert "c10.dll" in failed.value.details

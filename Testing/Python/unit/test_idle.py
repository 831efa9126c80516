"""A process that does one task after another: when it is kept, and that nobody notices."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import S3NetSegmentationLib
import SimpleITK as sitk
import tasks
from batch_data import QUICK as QUICK_SCAN
from batch_data import write_chest
from engine_here import small_chest
from launchers import is_running, needs_posix, until
from quick import QUICK
from S3NetSegmentationLib.batch.run import run_batch
from S3NetSegmentationLib.jobs import idle
from S3NetSegmentationLib.jobs.job import Job, JobDied, JobFailed, wait_for
from S3NetSegmentationLib.jobs.segmentation import SegmentationJob
from S3NetSegmentationLib.summary import as_dict

PATHS = os.pathsep.join(
    str(Path(module.__file__).parents[above])
    for module, above in ((S3NetSegmentationLib, 1), (tasks, 0))
)


@pytest.fixture(autouse=True)
def with_tasks(monkeypatch):
    """Child processes can import `tasks`."""
    monkeypatch.setenv("PYTHONPATH", PATHS)


@pytest.fixture
def told(tmp_path):
    """What a process tells of itself, of those that are idle if there is one."""
    return lambda **more: wait_for(Job(tasks.tell, tmp_path, **more))


def test_a_process_does_one_task_after_another(told):
    first, second = told(), told()
    assert first["pid"] == second["pid"] != os.getpid()


def test_each_task_has_its_own_temporary_files_and_log(tmp_path):
    logs = [], []
    first, second = (wait_for(Job(tasks.tell, tmp_path), on_log=log.append) for log in logs)
    assert first["pid"] == second["pid"]
    for each, log in zip((first, second), logs, strict=True):
        assert log == [f"in {each['temporary']}"]
        assert not Path(each["temporary"]).parent.exists()
    assert Path(first["temporary"]).parent != Path(second["temporary"]).parent


def test_a_refusal_is_no_harm(told, tmp_path):
    before = told()
    with pytest.raises(JobFailed, match="no body"):
        wait_for(Job(tasks.refuse, tmp_path))
    assert told()["pid"] == before["pid"]


@needs_posix
@pytest.mark.parametrize(
    ("task", "error"), [(tasks.fail, JobFailed), (tasks.crash, JobDied), (tasks.use_a_gpu, None)]
)
def test_a_process_that_may_be_damaged_or_holds_a_gpu_is_not_used_again(
    told, tmp_path, task, error
):
    before = told()
    if error:
        with pytest.raises(error):
            wait_for(Job(task, tmp_path))
    else:
        wait_for(Job(task, tmp_path))
    assert not is_running(before["pid"])
    assert told()["pid"] != before["pid"]


@needs_posix
def test_a_cancelled_task_ends_with_its_process(told, tmp_path):
    before = told()
    job = Job(tasks.wait_for_ever, tmp_path)
    assert job.poll()
    job.cancel()
    assert not is_running(before["pid"])
    assert told()["pid"] != before["pid"]


@needs_posix
def test_an_idle_process_that_was_killed_costs_nothing(told):
    for _ in range(3):  # it may die before or after it is given the next task
        before = told()
        os.kill(before["pid"], signal.SIGKILL)
        assert told()["pid"] != before["pid"]


def test_who_wants_other_cores_or_another_environment_gets_a_new_process(told, monkeypatch):
    found = {told()["pid"], told(threads=2)["pid"]}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found.add(told()["pid"])
    assert len(found) == 3


def test_jobs_that_run_at_once_have_a_process_each(tmp_path):
    jobs = [Job(tasks.tell, tmp_path) for _ in range(2)]
    first, second = (wait_for(job)["pid"] for job in jobs)
    assert first != second


@needs_posix
def test_an_idle_process_ends_after_a_while(told, monkeypatch):
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.2)
    pid = told()["pid"]
    assert until(lambda: not is_running(pid))


@needs_posix
@pytest.mark.parametrize("end", ["", "time.sleep(600)"])
def test_an_idle_process_ends_with_its_parent(tmp_path, end):
    program = f"""
import tasks, time
from pathlib import Path
from S3NetSegmentationLib.jobs.job import Job, wait_for
print(wait_for(Job(tasks.tell, Path({str(tmp_path)!r})))["pid"], flush=True)
{end}
"""
    run = [sys.executable, "-c", program]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        if end:
            parent.kill()
    assert until(lambda: not is_running(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take memory back by themselves")
def test_an_idle_process_gives_its_memory_back(told, tmp_path):
    process = psutil.Process(told()["pid"])
    before = process.memory_info().rss
    for _ in range(3):
        wait_for(Job(tasks.take_memory, tmp_path))
    assert until(lambda: process.memory_info().rss < before + 50 * 2**20)


def test_lungs_are_the_same_from_a_process_that_has_found_others(told):
    image, other = small_chest().image, small_chest("oblique", seed=1).image

    def found():
        result = wait_for(SegmentationJob(image, QUICK))
        figures = as_dict(result)
        del figures["timings_s"]
        return sitk.GetArrayFromImage(result.lungs), figures

    first = found()
    pid = told()["pid"]
    wait_for(SegmentationJob(other, replace(QUICK, seed=1)))
    again = found()
    assert told()["pid"] == pid
    np.testing.assert_equal(again, first)


def test_a_batch_needs_one_process_and_leaves_none(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    for seed in range(2):
        write_chest(source / f"{seed}.nrrd", seed=seed)
    (source / "bad.nrrd").write_bytes(b"no image")
    seen = set()

    def look(name, progress):
        seen.update(child.pid for child in psutil.Process().children())

    records = run_batch(source, output, QUICK_SCAN, on_scan_progress=look)
    assert sorted(record["status"] for record in records) == ["done", "done", "failed"]
    assert len(seen) == 1
    assert not psutil.Process().children()

"""Faults of the machine: full disk, vanished folder, no memory. One sentence, nothing half done."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tasks
from batch_data import (
    ENVIRONMENT,
    QUICK,
    batch_script,
    by_place,
    is_right,
    leftovers,
    scan_processes,
    wait_for,
    write_chest,
)
from open_files import in_use, needs_programs
from S3NetSegmentationLib.batch import attempts
from S3NetSegmentationLib.batch.plan import plan_batch
from S3NetSegmentationLib.batch.records import begin_run
from S3NetSegmentationLib.batch.run import run_batch
from S3NetSegmentationLib.errors import InputError, out_of_memory
from S3NetSegmentationLib.io import files
from S3NetSegmentationLib.jobs.job import JobFailed

posix = pytest.mark.skipif(os.name != "posix", reason="limits and mounts as on Linux")


@pytest.fixture
def small_disk(tmp_path):
    """A folder that is a disk of 256 KiB."""
    folder = tmp_path / "out"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_full_disk(tmp_path, small_disk):
    source = tmp_path / "in"
    truth = {f"{seed}.nrrd": write_chest(source / f"{seed}.nrrd", seed=seed) for seed in range(2)}
    filler = small_disk / "filler"
    ended = []

    def fill_after_the_first(record):
        ended.append(record)
        if len(ended) == 1:
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(b"\0" * 1024)

    with pytest.raises(InputError, match=r"disk is not full.*\.$"):
        run_batch(source, small_disk, QUICK, on_record=fill_after_the_first)
    good, bad = ended
    assert (good["status"], bad["status"]) == ("done", "failed")
    assert "disk" in bad["error"]
    assert "\n" not in bad["error"]
    assert len(list(small_disk.glob("*.seg.nrrd"))) == 1
    filler.unlink()
    records = run_batch(source, small_disk, QUICK)
    for place, record in by_place(small_disk, records).items():
        assert is_right(small_disk / f"{record['name']}.seg.nrrd", truth[place])
    assert not leftovers(small_disk)


def test_read_only_disk_is_one_sentence(tmp_path, small_disk):
    write_chest(tmp_path / "in" / "a.nrrd")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(InputError, match=r"can't be written to; choose another one\.$"):
        run_batch(tmp_path / "in", small_disk, QUICK)


WRITE = """
import resource, signal, sys
from pathlib import Path
import SimpleITK as sitk
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.write import write_image, write_segmentation
path, source, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
image = sitk.ReadImage(source)
write = write_image if path.suffix == ".png" else write_segmentation
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write(path, image)
except InputError:
    sys.exit(2)
"""


@posix
@pytest.mark.parametrize("name", ["a.seg.nrrd", "a.nii", "a.nii.gz", "a.mha", "a.png"])
def test_no_file_is_better_than_half_a_file(tmp_path, name):
    """ITK's writers leave the end of a file away when the disk is full, and say nothing."""
    noise = np.random.default_rng(0).random((12, 60, 60))
    voxels = (noise > 0.8).astype(np.uint8)
    image = sitk.GetImageFromArray(voxels[0] if name.endswith("png") else voxels)
    source = tmp_path / ("in.png" if name.endswith("png") else "in.mha")
    sitk.WriteImage(image, str(source))
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / name

    def write(limit: int) -> int:
        path.unlink(missing_ok=True)
        command = [sys.executable, "-c", WRITE, path, source, str(limit)]
        run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False)
        assert b"Traceback" not in run.stderr
        return run.returncode

    assert write(2**20) == 0
    size = path.stat().st_size
    for missing in (1, 7, size // 2):
        assert write(size - missing) == 2
        assert os.listdir(path.parent) == []


@needs_programs
def test_a_table_that_is_open_elsewhere_is_told_before_the_work(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    output.mkdir()
    refusal = pytest.raises(InputError, match=r"results\.csv.*open in another program")
    with in_use(output / "results.csv"), refusal:
        run_batch(source, output, QUICK)
    assert os.listdir(output) == ["results.csv"]


def test_a_table_that_cannot_be_replaced_leaves_a_report(tmp_path, monkeypatch):
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    replace = os.replace

    def refuse(made, place):
        if str(place).endswith("results.csv"):
            raise PermissionError(13, "The process cannot access the file")
        replace(made, place)

    monkeypatch.setattr(files, "RETRY_SECONDS", ())
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match=r"results\.csv.*open in another program"):
        run_batch(source, output, QUICK)
    assert "1 scan: 1 done" in (output / "report.html").read_text(encoding="utf-8")
    assert leftovers(output) == []
    monkeypatch.undo()
    assert run_batch(source, output, QUICK)[0]["attempts"] == 1


def test_output_folder_vanishes(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    write_chest(source / "b.nrrd", seed=1)
    ended = []

    def move(name, report):
        # In one step: the scan's process may be writing there.
        if report is not None and output.exists():
            output.rename(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="can't be written"):
        run_batch(source, output, QUICK, on_scan_progress=move, on_record=ended.append)
    assert [record["status"] for record in ended] == ["failed", "failed"]
    assert all("output folder" in record["error"] for record in ended)
    assert not output.exists()
    assert {record["status"] for record in run_batch(source, output, QUICK, jobs=2)} == {"done"}


def test_a_process_that_fails_for_lack_of_its_folder_says_so(tmp_path, monkeypatch):
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    (task,) = plan_batch(source, output, QUICK).tasks
    begin_run(output, task.run)
    monkeypatch.setenv("PYTHONPATH", str(Path(tasks.__file__).parent))
    monkeypatch.setattr(attempts, "segment_scan", tasks.lose_folder)
    assert "is gone" in attempts.run_scan(task)["error"]


@posix
def test_errors_tell_no_path_however_it_is_spelled(tmp_path, monkeypatch):
    """As on Windows: Python's errors double backslashes."""
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    path = (source / "a.nrrd").rename(source / "Ward 3\\Erika Muster.nrrd")
    (task,) = plan_batch(source, output, QUICK).tasks
    begin_run(output, task.run)

    def fail(*arguments, **options):
        error = FileNotFoundError(2, "No such file or directory", str(path))
        assert str(path) not in str(error)
        raise JobFailed("It failed.", f"Traceback: {error}")

    monkeypatch.setattr(attempts, "Job", fail)
    record = attempts.run_scan(task)
    assert record["details"].startswith("Traceback: [Errno 2]")
    assert "Erika" not in json.dumps(record)


def test_an_output_folder_whose_path_is_too_long_is_not_taken_for_gone(tmp_path, monkeypatch):
    """Windows says that there is no such folder."""
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    (task,) = plan_batch(source, output, QUICK).tasks
    begin_run(output, task.run)

    def too_long(path, *arguments, **options):
        raise FileNotFoundError(2, "The system cannot find the path specified")

    monkeypatch.setattr(type(output), "mkdir", too_long)
    assert "its path is not too long" in attempts.run_scan(task)["error"]
    shutil.rmtree(output)
    assert "is gone" in attempts.run_scan(task)["error"]


@posix
def test_out_of_memory_costs_only_that_scan(tmp_path):
    """A huge volume of air and water in a small file, and not enough memory for it."""
    source, output = tmp_path / "in", tmp_path / "out"
    found = write_chest(source / "good.nrrd")
    huge = np.full((400, 900, 900), -1000, np.int16)
    huge[100:200] = 0
    huge = sitk.GetImageFromArray(huge)
    sitk.WriteImage(huge, str(source / "huge.nrrd"), useCompression=True, compressionLevel=1)
    python, flag, code = batch_script(source, output, jobs=1)
    limit = memory_of_the_engine() + 2**30
    run = subprocess.run(
        [python, flag, f"import resource as r; r.setrlimit(r.RLIMIT_AS, 2 * ({limit},))\n{code}"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    files = (output / "records").glob("*.json")
    records = by_place(output, [json.loads(path.read_text()) for path in files])
    assert records["huge.nrrd"]["status"] == "failed"
    # Refused by Python or torch, or ended by a library that can only give up.
    assert "memory" in records["huge.nrrd"]["error"]
    assert is_right(output / f"{records['good.nrrd']['name']}.seg.nrrd", found)


def memory_of_the_engine() -> int:
    """Bytes of address space that the program takes without a scan."""
    code = "import S3NetSegmentationLib.pipeline; print(open('/proc/self/status').read())"
    run = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return int(run.stdout.split("VmPeak:")[1].split()[0]) * 1024


def test_memory_of_the_graphics_card_counts_as_memory():
    import torch

    assert out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate ..."))
    assert out_of_memory(RuntimeError("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"))
    # What torch before 2.14 says instead where a container hides the driver's library.
    nvml = 'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "../c10/cuda/CUDACachingAllocator.cpp":830'
    assert out_of_memory(RuntimeError(nvml))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: 12 bytes"))
    assert not out_of_memory(RuntimeError("shapes do not match"))


def test_memory_that_windows_cannot_promise_counts_as_memory():
    error = OSError(22, "The paging file is too small for this operation to complete.")
    assert not out_of_memory(error)
    error.winerror = 1455
    assert out_of_memory(error)
    assert out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))


STOP_AT_THE_OVERVIEW = """
import os, signal, sys, threading

def stop(event, arguments):
    main = threading.current_thread() is threading.main_thread()
    if main and event == "shutil.rmtree" and "one_scan:segment_scan" in "".join(sys.orig_argv):
        try:
            os.close(os.open({reached!r}, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        signal.pause()

sys.addaudithook(stop)
"""
"""Lets the first process of a scan wait before it removes the overview that it made for the report,
in a folder within its own for temporary files."""


@posix
@pytest.mark.parametrize("victim", ["scan", "batch"])
def test_a_kill_leaves_no_temporary_files(tmp_path, victim):
    source, output, temporary = (tmp_path / name for name in ("in", "out", "temporary"))
    truth = write_chest(source / "a.nrrd")
    temporary.mkdir()
    reached, start = tmp_path / "reached", tmp_path / "start"
    start.mkdir()
    # Python runs it when it starts.
    (start / "sitecustomize.py").write_text(STOP_AT_THE_OVERVIEW.format(reached=str(reached)))
    paths = os.pathsep.join([str(start), ENVIRONMENT["PYTHONPATH"]])
    environment = {**ENVIRONMENT, "TMPDIR": str(temporary), "PYTHONPATH": paths}
    batch = subprocess.Popen(batch_script(source, output), env=environment)
    wait_for(reached.exists)
    assert any(temporary.glob("*/*/*"))
    (scan,) = scan_processes(output)
    os.kill({"scan": scan, "batch": batch.pid}[victim], signal.SIGKILL)
    assert batch.wait(timeout=600) == (0 if victim == "scan" else -signal.SIGKILL)
    wait_for(lambda: not any(temporary.iterdir()))
    if victim == "scan":
        (result,) = output.glob("*.seg.nrrd")
        assert is_right(result, truth)

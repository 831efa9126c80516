"""A process of our own keeps its memory and gives way to other programs."""

import locale
import os
import subprocess
import sys
from pathlib import Path

import pytest
import S3NetSegmentationLib
from batch_data import write_chest
from S3NetSegmentationLib.jobs import process_setup
from S3NetSegmentationLib.jobs.process_setup import prepare_process

LIBRARY = Path(S3NetSegmentationLib.__file__).parents[1]

FAULTS = """
import resource
from S3NetSegmentationLib.jobs.process_setup import prepare_process

prepare_process()
array = b"1" * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    del array
    array = b"1" * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep memory")
def test_freed_memory_is_used_again():
    run = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        check=True,
    )
    # New memory for each of the 20 arrays would be 2**14 pages, or 2**5 huge ones.
    assert int(run.stdout) < 100


@pytest.mark.parametrize("variable", ["GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_threads_sleep_unless_the_user_wants_otherwise(monkeypatch, variable):
    monkeypatch.setenv(variable, "7")
    prepare_process()
    assert os.environ[variable] == "7"
    monkeypatch.delenv(variable)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    prepare_process()
    assert variable not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    prepare_process()
    assert 0 <= int(os.environ[variable]) < 10_000


def test_threads_sleep_in_a_program_of_the_user_s_own():
    code = "from S3NetSegmentationLib import segment_lungs; import os; print(os.environ['{}'])"
    for variable in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        environment = {name: value for name, value in os.environ.items() if name != variable}
        said = subprocess.check_output(
            [sys.executable, "-c", code.format(variable)],
            env={**environment, "PYTHONPATH": str(LIBRARY)},
            text=True,
        )
        assert 0 <= int(said) < 10_000


def test_gpus_may_round_unless_the_user_wants_otherwise():
    code = (
        "from S3NetSegmentationLib.jobs.process_setup import prepare_process; prepare_process()\n"
        "import torch; print(torch.backends.cuda.matmul.allow_tf32)"
    )
    for wish, rounds in (({}, "True"), ({"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0"}, "False")):
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY), **wish}
        said = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
        assert said.strip() == rounds


def test_windows_is_told_that_names_of_files_are_utf_8(monkeypatch):
    asked = []
    monkeypatch.setattr(process_setup.sys, "platform", "win32")
    monkeypatch.setattr(locale, "setlocale", lambda *arguments: asked.append(arguments))
    prepare_process()
    assert asked == [(locale.LC_CTYPE, ".UTF-8")]


SPAWN = """
import multiprocessing
import sys

import SimpleITK as sitk
from quick import QUICK
from S3NetSegmentationLib import segment_lungs


def volume(path):
    return segment_lungs(sitk.ReadImage(path), QUICK).figures.numbers["right"]["volume_ml"]


if __name__ == "__main__":
    here = volume(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(volume, sys.argv[1:]) == [here]
"""


def test_new_processes_segment_after_this_one_has(tmp_path):
    """As the page on Python says; a fork of a process with torch's threads would hang."""
    write_chest(tmp_path / "a.nrrd")
    (tmp_path / "program.py").write_text(SPAWN)
    paths = os.pathsep.join([str(LIBRARY), str(Path(__file__).parents[1])])
    subprocess.run(
        [sys.executable, tmp_path / "program.py", tmp_path / "a.nrrd"],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        timeout=600,
        check=True,
    )

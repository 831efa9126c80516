"""Records on the disk, which anybody may have written: believed if they fit, harmless if not."""

from __future__ import annotations

import itertools
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from batch_data import QUICK, write_chest
from S3NetSegmentationLib.batch.plan import Plan, plan_batch
from S3NetSegmentationLib.batch.records import (
    UNFINISHED,
    ScanTask,
    begin_run,
    publish,
    stop_run,
)
from S3NetSegmentationLib.batch.report import write_report
from S3NetSegmentationLib.batch.table import write_table
from S3NetSegmentationLib.batch.words import DONE, FAILED
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.files import files_below
from S3NetSegmentationLib.lung.densitometry import QUANTITIES, REGIONS

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="stops copies of this process")

NUMBERS = dict.fromkeys((each.key for each in QUANTITIES), 12.5)
FIGURES = {
    "numbers": {**dict.fromkeys(REGIONS, NUMBERS), "left": {**NUMBERS, "mean_hu": None}},
    "quality": 0.9,
    "hints": ["Look at slice 3."],
    "image": {"size": [4, 5, 6], "spacing_mm": [1.0, 1.0, 2.5]},
    "settings": {"seed": 0},
    "versions": {"s3net": "1"},
    "attempts": 1,
    "seconds": 2.5,
}
HOSTILE = [
    *(None, True, 3, -1, 10**400, float("nan"), float("inf"), "", "x", "\ud800", "=1+2"),
    *([], [3], [None], ["\ud800"], ["../precious"], [["x"]], {}, {"x": 1}, [{}], [{}, {}]),
]


def plan(folder: Path, seed: int = 0) -> Plan:
    settings = replace(QUICK, seed=seed)
    formats = (".seg.nrrd", ".nii.gz")
    return plan_batch(folder / "in", folder / "out", settings, formats, name_by="path")


def make_files(task: ScanTask, content: str) -> Path:
    """Begin a batch, and make the outputs and the overview of its scan; the folder they are in."""
    begin_run(task.output, task.run)
    folder = task.output / UNFINISHED / task.run / "scan"
    folder.mkdir()
    for name in (*(f"{task.name}{suffix}" for suffix in task.formats), task.overview_path.name):
        (folder / name).write_text(content)
    return folder


def publish_made(task: ScanTask, status: str, folder: Path) -> None:
    """Publish a record of that status, and for a finished scan its outputs; end the batch."""
    files = [f"{task.name}{suffix}" for suffix in task.formats] if status == DONE else []
    publish(task, task.record(status, files=files, **FIGURES), folder)
    stop_run(task.output, task.run)


def publish_files(task: ScanTask, status: str, content: str) -> None:
    """A whole batch."""
    publish_made(task, status, make_files(task, content))


@pytest.fixture
def folder(tmp_path):
    """A batch of one scan, a.nrrd, that is finished, and a file that is none of its."""
    write_chest(tmp_path / "in" / "a.nrrd")
    (tmp_path / "out").mkdir()
    (task,) = plan(tmp_path).tasks
    publish_files(task, DONE, "lungs")
    (tmp_path / "precious").touch()
    assert list(plan(tmp_path).finished) == ["a"]
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in files_below(folder)}


def test_a_record_of_any_content_stops_no_batch_and_removes_nothing(folder):
    path = folder / "out" / "records" / "a.json"
    record = json.loads(path.read_text())
    before = files(folder)
    changed = [{**record, key: value} for key in record for value in HOSTILE]
    changed += [
        {**record, "image": {**record["image"], key: value}}
        for key in record["image"]
        for value in HOSTILE
    ]
    numbers = record["numbers"]
    for value in HOSTILE:
        changed += [{**record, "numbers": {**numbers, region: value}} for region in ("right", "x")]
        changed += [
            {**record, "numbers": {**numbers, "right": {**numbers["right"], key: value}}}
            for key in ("volume_ml", "haa_percent", "x")
        ]
    changed += HOSTILE
    for content in changed:
        path.write_text(json.dumps(content))
        planned = plan(folder)
        finished = list(planned.finished.values())
        write_table(folder / "out" / "results.csv", finished)
        overviews = {"a": planned.tasks[0].overview_path}
        write_report(folder / "out" / "report.html", finished, overviews, 1)
    assert files(folder) == before | {"out/results.csv", "out/report.html"}


@pytest.mark.parametrize("outside", ["../precious", "../../{}/precious", "{}/precious", "kept.txt"])
def test_a_record_can_name_no_file_but_the_outputs_of_its_scan(folder, outside):
    (folder / "out" / "kept.txt").touch()
    before = files(folder)
    path = folder / "out" / "records" / "a.json"
    record = json.loads(path.read_text())
    outside = outside.replace("../{}", f"../{folder.name}").format(folder)
    path.write_text(json.dumps({**record, "files": [*record["files"], outside]}))
    (task,) = plan(folder).to_do
    assert "record of an earlier run was damaged" in task.notes[-1]
    publish_files(task, FAILED, "")
    assert before - files(folder) <= {"out/a.seg.nrrd", "out/a.nii.gz", "out/records/a.jpg"}


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"\xff\xfe", b"", b"{" + b" " * 2**25 + b"}"],
    ids=["deeply nested", "not UTF-8", "empty", "huge"],
)
def test_what_is_no_record_counts_as_none(folder, content):
    (folder / "out" / "records" / "a.json").write_bytes(content)
    (task,) = plan(folder).to_do
    assert task.notes


@pytest.mark.skipif(os.name != "posix", reason="pipes as on Linux and macOS")
def test_a_pipe_in_place_of_a_record_is_not_waited_for(folder):
    path = folder / "out" / "records" / "a.json"
    path.unlink()
    os.mkfifo(path)
    assert len(plan(folder).to_do) == 1


# A batch that stops, or is stopped, anywhere


def in_a_child(work, at_step, step: int) -> bool:
    """Do some work in a process of its own, and something else before its nth step on the disk.

    Returns whether the work came so far.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    left = step
    reached = 0

    def count(event, arguments):
        nonlocal left, reached
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod") and not reached:
            left -= 1
            if left < 0:
                reached = 1
                at_step()

    sys.addaudithook(count)
    try:
        work()
    except InputError:
        pass
    finally:
        os._exit(reached)


def all_the_same(folder: Path, content: str) -> bool:
    """Whether the outputs and the overview of the scan have this content."""
    out = folder / "out"
    paths = (out / "a.seg.nrrd", out / "a.nii.gz", out / "records" / "a.jpg")
    return {path.read_text() for path in paths} == {content}


@needs_fork
@pytest.mark.parametrize("status", [DONE, FAILED])
def test_killed_at_any_step_nothing_is_taken_for_finished_that_is_not(folder, status):
    (task,) = plan(folder, seed=1).tasks
    for step in itertools.count():
        publish_files(plan(folder).tasks[0], DONE, "old")
        made = make_files(task, "new")
        killed = in_a_child(partial(publish_made, task, status, made), partial(os._exit, 1), step)
        assert not plan(folder).finished or all_the_same(folder, "old")
        assert not plan(folder, seed=1).finished or all_the_same(folder, "new")
        publish_files(plan(folder).tasks[0], FAILED, "")
        assert files(folder / "out") == {"records/a.json", "records/a.jpg"}
        if not killed:
            break
    assert step > 10


@needs_fork
@pytest.mark.parametrize("status", [DONE, FAILED])
def test_stopped_at_any_step_a_batch_does_no_harm_to_the_next_one(folder, status):
    """As when a computer sleeps while another one takes the folder over."""
    for step in itertools.count():
        (first,), (second,) = plan(folder).tasks, plan(folder, seed=1).tasks
        made = make_files(first, "first")
        stopped = in_a_child(
            partial(publish_made, first, status, made),
            partial(publish_files, second, DONE, "second"),
            step,
        )
        if not stopped:
            break
        assert list(plan(folder, seed=1).finished) == ["a"]
        assert all_the_same(folder, "second")
    assert step > 10

"""Records on the disk, which anybody may have written: believed if they fit, harmless if not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from batch_data import QUICK, write_chest
from S3NetSegmentationLib.batch.plan import Plan, plan_batch
from S3NetSegmentationLib.batch.records import (
    DONE,
    FAILED,
    UNFINISHED,
    ScanTask,
    begin_run,
    publish,
    stop_run,
)
from S3NetSegmentationLib.batch.report import write_report
from S3NetSegmentationLib.batch.table import write_table
from S3NetSegmentationLib.io.files import files_below

LUNG = {"name": "right lung", "label": 1, "volume_ml": 2000.0, "mean_hu": -850.0}
FIGURES = {
    "lungs": [{**LUNG, "emphysema_fraction": 0.01}, {**LUNG, "emphysema_fraction": None}],
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


def plan(folder: Path) -> Plan:
    return plan_batch(folder / "in", folder / "out", QUICK, name_by="path")


def publish_files(task: ScanTask, status: str, content: str) -> None:
    """Publish a record of that status, and for a finished scan an output."""
    begin_run(task.output, task.run)
    folder = task.output / UNFINISHED / task.run / "scan"
    folder.mkdir()
    files = [f"{task.name}{suffix}" for suffix in task.formats] if status == DONE else []
    for name in (*files, task.picture_path.name):
        (folder / name).write_text(content)
    publish(task, task.record(status, files=files, **FIGURES), folder)
    stop_run(task.output, task.run)


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
    for part in ("lungs", "image"):
        inner = record[part][0] if part == "lungs" else record[part]
        for key in inner:
            for value in HOSTILE:
                both = [{**inner, key: value}, record["lungs"][1]]
                new = both if part == "lungs" else {**inner, key: value}
                changed.append({**record, part: new})
    changed += HOSTILE
    for content in changed:
        path.write_text(json.dumps(content))
        planned = plan(folder)
        finished = list(planned.finished.values())
        write_table(folder / "out" / "results.csv", finished)
        pictures = {"a": planned.tasks[0].picture_path}
        write_report(folder / "out" / "report.html", finished, pictures, 1)
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
    assert before - files(folder) <= {"out/a.seg.nrrd", "out/records/a.jpg"}


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"", b"{" + b" " * 2**25 + b"}"])
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

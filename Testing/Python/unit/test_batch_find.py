"""Which scans a batch finds, what it calls them, and what it leaves out."""

from __future__ import annotations

import csv
import gc
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import hounsfield, write_series
from pydicom.uid import generate_uid
from S3NetSegmentationLib.batch.find import FoundScan, find_scans
from S3NetSegmentationLib.batch.names import name_scans, read_key, read_names, write_names
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.dicom import find_series
from S3NetSegmentationLib.io.files import files_below
from S3NetSegmentationLib.io.write import write_segmentation

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes as on Linux")


def volume(path: Path, dtype=np.int16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 20, 20), dtype)), str(path))
    return path


def places(source: Path, output: Path) -> list[str]:
    return [scan.place for scan in find_scans(source, output)[0]]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_null_byte_in_the_name_of_the_voxels_stops_no_batch(source, out):
    path = volume(source / "null.mha")
    path.write_bytes(path.read_bytes().replace(b"LOCAL", b"\0LOCAL"))
    (scan,), _ = find_scans(source, out)
    assert path.stat().st_size in [size for _, size, _ in scan.state()]


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd", "NII.GZ"])
def test_every_format_is_found_and_its_label_map_is_not(source, out, suffix):
    volume(source / f"a.{suffix.lower()}").rename(source / f"scan.{suffix}")
    volume(source / f"labels.{suffix.lower()}", np.uint8)
    scans, skipped = find_scans(source, out)
    assert [scan.place for scan in scans] == [f"scan.{suffix}"]
    assert [each.place for each in skipped] == [f"labels.{suffix.lower()}"]
    assert "label map" in skipped[0].reason


def test_a_series_is_one_scan_whatever_its_folders(source, out):
    uid = generate_uid()
    paths = write_series(source / "x" / "a", hounsfield(), series=uid)
    (source / "x" / "b").mkdir()
    for path in paths[:3]:
        path.rename(source / "x" / "b" / path.name)
    write_series(source / "x" / "a", hounsfield(3), series=generate_uid())
    scans, _ = find_scans(source, out)
    assert sorted(len(scan.paths) for scan in scans) == [3, 6]
    whole = max(scans, key=lambda scan: len(scan.paths))
    assert (whole.key, whole.uid, whole.place) == (uid, uid, "x")


def test_a_million_slices_are_found_within_a_gigabyte(source):
    (path,) = write_series(source, hounsfield(1))
    content, uid = path.read_bytes(), pydicom.dcmread(path).SOPInstanceUID.encode()
    kept = []

    def files():
        """Many slices; notes what is kept of the first 100, and of 300 more."""
        for number in range(401):
            if number in (100, 400):
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
            instance = b"%d" % (10 ** (len(uid) - 1) + number)
            path = source / f"IM-0001-{number:04}.dcm"
            path.write_bytes(content.replace(uid, instance))
            yield path

    tracemalloc.start()
    (series,) = find_series(files())
    tracemalloc.stop()
    assert len(series.paths) == 401
    assert (kept[1] - kept[0]) / 300 < 1000


def test_phases_are_scans_of_their_own(source, out):
    uid = generate_uid()
    for phase in (1, 2):
        write_series(
            source / str(phase),
            hounsfield(),
            series=uid,
            change=lambda index, image, phase=phase: setattr(image, "AcquisitionNumber", phase),
        )
    scans, _ = find_scans(source, out)
    assert [scan.key for scan in scans] == [f"{uid}#1", f"{uid}#2"]
    assert "acquisition 2" in scans[1].notes[0]


def test_what_is_no_ct_is_left_out_with_a_reason(source, out):
    write_segmentation(source / "lungs.seg.nrrd", sitk.Image(20, 20, 20, sitk.sitkUInt8))
    (source / "._scan.nii.gz").write_bytes(b"\0\5\x16\7")
    write_series(
        source / "mr", hounsfield(), change=lambda i, image: setattr(image, "Modality", "MR")
    )
    write_series(
        source / "scout",
        hounsfield(2),
        change=lambda i, image: setattr(image, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    )
    scans, skipped = find_scans(source, out)
    assert scans == []
    reasons = {each.place: each.reason for each in skipped}
    assert reasons["lungs.seg.nrrd"] == "a segmentation"
    assert "macOS" in reasons["._scan.nii.gz"]
    assert "no CT slices (MR, 6 slices" in reasons["mr"]
    assert "no CT slices (CT, 2 slices" in reasons["scout"]


def test_damaged_slices_are_told_of_though_the_rest_makes_a_volume(source, out):
    """At the end of a scan, nothing else would tell that a slice is missing."""
    first, *_, last = write_series(source / "a", hounsfield())
    first.write_bytes(first.read_bytes()[:250])
    last.write_bytes(b"")
    write_series(source / "b", hounsfield())
    scans, skipped = find_scans(source, out)
    bad, good = sorted(scans, key=lambda scan: scan.place)
    assert len(bad.paths) == 4
    assert "2 files in the same folder can't be read" in bad.notes[0]
    assert good.notes == ()
    assert {each.place for each in skipped} == {f"a/{path.name}" for path in (first, last)}
    assert all("damaged" in each.reason for each in skipped)


def test_own_outputs_are_passed_over(source):
    volume(source / "a.nrrd")
    volume(source / "out" / "b.nrrd")
    assert places(source, source / "out") == ["a.nrrd"]
    with pytest.raises(InputError, match="is the input folder"):
        find_scans(source, source)


def test_input_inside_the_output_folder(tmp_path):
    volume(tmp_path / "scans" / "a.nrrd")
    assert places(tmp_path / "scans", tmp_path) == ["a.nrrd"]


def test_a_list_of_files_and_folders(tmp_path, out):
    volume(tmp_path / "data" / "Größe 肺.nrrd")
    volume(tmp_path / "data" / "sub" / "b.nrrd")
    volume(tmp_path / "data" / "sub" / "c.nrrd")
    elsewhere = volume(tmp_path / "d.nrrd")
    scans = tmp_path / "data" / "list.txt"
    scans.write_text(f"Größe 肺.nrrd\n\nsub\n{elsewhere}\nmissing.nrrd\n", encoding="utf-8")
    found, skipped = find_scans(scans, out)
    expected = ["Größe 肺.nrrd", "sub/b.nrrd", "sub/c.nrrd", elsewhere.as_posix()]
    assert [scan.place for scan in found] == expected
    assert [(each.place, each.reason) for each in skipped] == [
        ("missing.nrrd", "there is no such file or folder")
    ]


@pytest.mark.parametrize("line", ["x" * 5000, "a.nrrd/b", "\udcff"])
def test_a_line_that_no_file_can_be_called_costs_no_other(tmp_path, out, line):
    volume(tmp_path / "a.nrrd")
    scans = tmp_path / "list.txt"
    scans.write_bytes(f"a.nrrd\n{line}\n".encode("utf-8", "surrogateescape"))
    found, skipped = find_scans(scans, out)
    assert [scan.place for scan in found] == ["a.nrrd"]
    assert [each.reason for each in skipped] == ["there is no such file or folder"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_as_windows_writes_it(tmp_path, out, encoding):
    """PowerShell writes UTF-16, and a path that was copied has quotes."""
    volume(tmp_path / "Größe 肺.nrrd")
    quoted = volume(tmp_path / "b c.nrrd")
    scans = tmp_path / "list.txt"
    scans.write_bytes(f'Größe 肺.nrrd\r\n"{quoted}"\r\n'.encode(encoding))
    found, skipped = find_scans(scans, out)
    assert [scan.place for scan in found] == ["Größe 肺.nrrd", "b c.nrrd"]
    assert skipped == []


def test_what_is_neither_a_scan_nor_a_list_is_refused(tmp_path, out):
    volume(tmp_path / "a.nrrd")
    for content in (
        "hello\nworld\n",
        "",
        "a.nrrd\nNote:\nthe rest is\nprose\n",
        "a.nrrd\n/\n",
        "\0",
    ):
        (tmp_path / "text").write_text(content)
        with pytest.raises(InputError, match=r"neither a folder, a scan, nor a list.*\.$"):
            find_scans(tmp_path / "text", out)
    with pytest.raises(InputError, match=r"no folder or list"):
        find_scans(tmp_path / "missing", out)


def test_a_scan_by_itself_is_that_one(tmp_path, out):
    alone = volume(tmp_path / "a.nrrd")
    volume(tmp_path / "b.nrrd")
    first, *_ = write_series(tmp_path / "series", hounsfield())
    for path in (alone, first):
        (scan,), skipped = find_scans(path, out)
        assert scan.paths == (path,)
        assert skipped == []


@posix
def test_links_that_lead_nowhere_are_told_of(source, out):
    (source / "lost.nrrd").symlink_to(source / "missing")
    (source / "loop").symlink_to(source / "loop")
    _, skipped = find_scans(source, out)
    assert {each.place: each.reason for each in skipped} == {
        "lost.nrrd": "a link that leads nowhere",
        "loop": "a link that leads nowhere",
    }


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_no_name_is_a_formula_in_a_spreadsheet(source, out, sign):
    volume(source / "a.nrrd").rename(source / f"{sign}1+2.nrrd")
    (scan,), _ = find_scans(source, out)
    assert scan.place == scan.key == f"./{sign}1+2.nrrd"


@posix
def test_links_are_followed_once(source, out, tmp_path):
    volume(tmp_path / "store" / "a.nrrd")
    (source / "link").symlink_to(tmp_path / "store")
    (source / "again").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(source)
    assert places(source, out) == ["again/a.nrrd"]


def test_a_drive_that_does_not_number_its_folders(source, out, monkeypatch):
    """As WebDAV and SSH drives on Windows: 0 for all."""
    for place in ("a.nrrd", "sub/b.nrrd", "sub/deep/c.nrrd"):
        volume(source / place)
    volume(out / "own.nrrd")
    stat = Path.stat

    def without_numbers(path, **options):
        status = stat(path, **options)
        return os.stat_result((status.st_mode, 0, *status[2:]))

    monkeypatch.setattr(Path, "stat", without_numbers)
    assert places(source, out) == ["a.nrrd", "sub/b.nrrd", "sub/deep/c.nrrd"]
    assert places(source.parent, out) == [f"in/{place}" for place in places(source, out)]
    with pytest.raises(InputError, match="is the input folder"):
        find_scans(source, source)


def test_files_whose_paths_are_too_long_to_open_are_told_of(source, monkeypatch):
    """Windows lists them, and answers that they don't exist."""
    volume(source / "sub" / "a.nrrd")
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    assert [path.name for path in files_below(source)] == ["a.nrrd"]


def test_a_series_on_two_drives(source, out, monkeypatch):
    write_series(source, hounsfield())
    (source / "z").mkdir()
    last = max(path for path in source.iterdir() if path.is_file())
    last.rename(source / "z" / last.name)

    def other_drive(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(os.path, "commonpath", other_drive)
    (scan,), _ = find_scans(source, out)
    assert scan.place == "."
    assert len(scan.paths) > 1


def test_state_changes_with_voxels_in_another_file(source, out):
    volume(source / "a.mhd")
    (scan,), _ = find_scans(source, out)
    before = scan.state()
    assert [name for name, _, _ in before] == ["a.mhd", "a.raw"]
    (source / "a.raw").write_bytes(b"changed")
    assert scan.state() != before


# Names

KEY = bytes(32)


def scan(place: str, uid: str = "") -> FoundScan:
    return FoundScan(uid or place, place, uid, (Path(place),))


def test_hashes_tell_nothing(tmp_path):
    names = name_scans(
        [scan("Doe^Jane.nii"), scan("x", "1.2.3")], "hash", tmp_path / "names.csv", KEY
    )
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in names.values())


def test_hashes_of_one_secret_say_nothing_about_those_of_another(tmp_path):
    """Whoever knows the identifiers of a hospital must not find out which scan has which name."""
    scans = [scan("x", "1.2.3")]
    tables = [tmp_path / name for name in ("a.csv", "b.csv")]
    keys = [read_key(table) for table in tables]
    first, second = (
        name_scans(scans, "hash", table, key) for table, key in zip(tables, keys, strict=True)
    )
    assert first != second
    write_names(scans, first, tables[0], keys[0])
    tables[0].unlink()
    assert name_scans(scans, "hash", tables[0], read_key(tables[0])) == first


@posix
def test_table_and_secret_are_for_their_owner_alone(tmp_path):
    table, scans = tmp_path / "names.csv", [scan("a.nrrd")]
    write_names(scans, name_scans(scans, "hash", table, KEY), table, KEY)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "names.csv": 0o600,
        "names.key": 0o600,
    }
    table.chmod(0o640)
    write_names(scans, name_scans(scans, "hash", table, KEY), table, KEY)
    assert table.stat().st_mode & 0o777 == 0o640


@posix
def test_a_link_to_the_table_stays_one(tmp_path):
    table, scans = tmp_path / "names.csv", [scan("a.nrrd")]
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "real.csv").write_text("name,key,place\n")
    table.symlink_to(tmp_path / "private" / "real.csv")
    write_names(scans, name_scans(scans, "hash", table, KEY), table, KEY)
    assert table.is_symlink()
    assert "a.nrrd" in (tmp_path / "private" / "real.csv").read_text()


@pytest.mark.parametrize("content", [b"", bytes(31)])
def test_a_damaged_secret_is_refused(tmp_path, content):
    (tmp_path / "names.key").write_bytes(content)
    with pytest.raises(InputError, match=r"can't be used as the key of the names; .*\.$"):
        read_key(tmp_path / "names.csv")


@posix
def test_a_pipe_in_place_of_the_table_is_refused(tmp_path):
    for name in ("names.csv", "names.key"):
        os.mkfifo(tmp_path / name)
    for read in (read_key, read_names):
        with pytest.raises(InputError):
            read(tmp_path / "names.csv")


def test_paths_become_file_names(tmp_path):
    wanted = {
        "a/Größe 肺.nii.gz": "a_Größe_肺",
        "../=1+2.nrrd": "1_2",
        "x\udcff/b.mha": "x_b",
    }
    names = name_scans(map(scan, wanted), "path", tmp_path / "names.csv", KEY)
    assert names == wanted


@pytest.mark.parametrize("place", ["con.nrrd", "Aux.v2.nrrd", "NUL", "lpt1.mha"])
def test_no_name_is_a_device_of_windows(tmp_path, place):
    scan = FoundScan(place, place, "", ())
    name = name_scans([scan], "path", tmp_path / "names.csv", KEY)[place]
    assert name.startswith("scan-")
    write_names([scan], {place: name}, tmp_path / "names.csv", KEY)
    assert name_scans([scan], "path", tmp_path / "names.csv", KEY)[place] == name


def test_long_names_of_any_language_are_files(tmp_path):
    """With extensions; file systems count bytes."""
    scans = [scan(f"{'肺' * 40}/{'患者' * 40}/{last}.nii") for last in "ab"]
    names = set(name_scans(scans, "path", tmp_path / "names.csv", KEY).values())
    assert len(names) == 2
    for name in names:
        (tmp_path / f"{name}-12345678.seg.nrrd").touch()


def test_long_and_clashing_paths_get_names_of_their_own(tmp_path):
    scans = [scan("a b.nrrd"), scan("a_b.nii"), scan("A_B.nii"), scan("x" * 300), scan("x" * 299)]
    names = list(name_scans(scans, "path", tmp_path / "names.csv", KEY).values())
    assert len({name.casefold() for name in names}) == 5
    assert max(map(len, names)) <= 120


def test_series_are_named_by_their_uid(tmp_path):
    scans = [scan("x", "1.2.3"), FoundScan("1.2.4#2", "x", "1.2.4", ()), scan("a.nrrd")]
    names = list(name_scans(scans, "series", tmp_path / "names.csv", KEY).values())
    assert names[:2] == ["1.2.3", "1.2.4_2"]
    assert len(names[2]) == 12


def test_the_table_keeps_names_and_rows(tmp_path):
    table = tmp_path / "names.csv"
    first = [scan("a.nrrd"), scan("b.nrrd")]
    names = name_scans(first, "hash", table, KEY)
    write_names(first, names, table, KEY)
    second = [scan("b.nrrd"), scan("c.nrrd")]
    write_names(second, name_scans(second, "path", table, KEY), table, KEY)
    with table.open(newline="") as file:
        rows = {row["place"]: row["name"] for row in csv.DictReader(file)}
    assert rows == {"a.nrrd": names["a.nrrd"], "b.nrrd": names["b.nrrd"], "c.nrrd": "c"}


def test_pseudonyms_from_a_table(tmp_path):
    table = tmp_path / "names.csv"
    table.write_text("key,name\na.nrrd,subject-01\n")
    names = name_scans([scan("a.nrrd"), scan("subject-01.nrrd")], "path", table, KEY)
    assert names["a.nrrd"] == "subject-01"
    assert names["subject-01.nrrd"] != "subject-01"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("what,ever\n1,2\n", "is not a table of names"),
        ("what,ever\n", "is not a table of names"),
        ("key,name\na,x\nb,X\n", "same name to two"),
        ("key,name\na,\n", "no name"),
        ("key,name\na,../../etc/x\n", "can't be the name"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, content, reason):
    (tmp_path / "names.csv").write_text(content)
    with pytest.raises(InputError, match=reason):
        name_scans([scan("a")], "hash", tmp_path / "names.csv", KEY)

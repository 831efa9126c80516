"""Damaged and hostile files and arguments: read, or refused in a sentence; never anything else.

Each test tries 150 inputs, always the same; with the environment variable S3NET_FUZZ_EXAMPLES so
many, and other ones each time.
"""

from __future__ import annotations

import os
import signal
import struct
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import enhanced, hounsfield, save_dicom, write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from real_data import DATA
from S3NetSegmentationLib.batch.find import find_scans
from S3NetSegmentationLib.cli import main
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.read import read_scan

EXAMPLES = int(os.environ.get("S3NET_FUZZ_EXAMPLES", 150))
MEMORY = 2**30
"""Bytes that reading may take beyond what the process has; all inputs are small."""

LONGEST = 20
"""Seconds after which an input counts as hanging."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits as on Linux and macOS")
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="S3NET_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def limits():
    """No more memory and time than stated."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status")
    if status.exists():
        size = int(status.read_text().split("VmSize:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, before[1]))

    def hang(number, frame):
        raise TimeoutError

    handler = signal.signal(signal.SIGALRM, hang)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def reads_or_refuses(path: Path) -> None:
    """A volume with a possible geometry, or one sentence."""
    try:
        with limits():
            scan = read_scan(path)
    except InputError as error:
        assert str(error).endswith(".") or "--series" in str(error)
        return
    image = scan.image
    geometry = [*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]
    assert np.isfinite(geometry).all()
    assert min(image.GetSpacing()) > 0
    assert np.isfinite(sitk.GetArrayViewFromImage(image)).all()


# Mutated files


def seeds(folder: Path) -> dict[str, bytes]:
    """A small file of every kind by its name, real ones where they are."""
    image = sitk.GetImageFromArray(hounsfield(4, 18, 20))
    for name in ("a.nrrd", "b.nii", "c.nii.gz", "d.mha"):
        sitk.WriteImage(image, str(folder / name))
    sitk.WriteImage(image, str(folder / "e.nrrd"), useCompression=True)
    (path,) = write_series(folder / "dicom", hounsfield(1))
    whole = path.read_bytes()
    (folder / "f.dcm").write_bytes(whole)
    for name, syntax in {
        "g.dcm": ImplicitVRLittleEndian,
        "h.dcm": DeflatedExplicitVRLittleEndian,
        "i.dcm": RLELossless,
        "j.dcm": ExplicitVRBigEndian,
    }.items():
        one = pydicom.dcmread(path)
        if syntax.is_compressed and not syntax.is_deflated:
            one.compress(syntax, generate_instance_uid=False)
        one.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            one["PixelData"].VR = "OW"
        save_dicom(one, folder / name)
    save_dicom(enhanced(hounsfield()), folder / "k.dcm")
    found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    for name in ("JPEG2000", "JPEGLS", "JPEGProcess14"):
        for real in (DATA / "dicom_awkward" / "cornerstone_testImages").glob(f"*_{name}*"):
            found[f"{name}.dcm"] = real.read_bytes()
    for real in (DATA / "cip_copd" / "ct-64Dicom").glob("IMG0001.dcm"):
        found["real.dcm"] = real.read_bytes()
    return found


with tempfile.TemporaryDirectory() as _folder:
    SEEDS = seeds(Path(_folder))

interesting = st.sampled_from(
    [b"\0", b"\xff", b"\x7f", b"\0\0", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff" * 8]
    + [b"-1", b"0", b"99999", b"1e308", b"nan", b"\\", b"\n\n", struct.pack("<I", 2**31 - 1)]
)


@st.composite
def mutated(draw):
    """A seed's name and its bytes, changed at a few places, mostly near the beginning."""
    name = draw(st.sampled_from(sorted(SEEDS)))
    data = bytearray(SEEDS[name])
    for _ in range(draw(st.integers(1, 6))):
        end = draw(st.sampled_from([400, 2000, len(data)]))
        place = draw(st.integers(0, max(0, min(end, len(data)) - 1)))
        change = draw(st.one_of(interesting, st.binary(min_size=1, max_size=8)))
        match draw(st.integers(0, 3)):
            case 0 | 1:
                data[place : place + len(change)] = change
            case 2:
                data[place:place] = change
            case 3:
                del data[place : place + draw(st.integers(1, 64))]
    if draw(st.integers(0, 4)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return name, bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@many
@given(file=mutated())
def test_mutated_file(folder, file):
    name, data = file
    path = folder / name
    path.write_bytes(data)
    reads_or_refuses(path)
    path.unlink()


@many
@given(file=mutated())
def test_mutated_file_in_a_folder(folder, file):
    """As a batch meets it: found or not, without an error; then read."""
    name, data = file
    source = folder / "in"
    source.mkdir(exist_ok=True)
    (source / name).write_bytes(data)
    try:
        with limits():
            scans, skipped = find_scans(source, folder / "out")
        assert len(scans) + len(skipped) <= 1
        for scan in scans:
            scan.state()
        if name.endswith(".dcm"):
            reads_or_refuses(source)
    finally:
        (source / name).unlink()


# Headers that claim anything

numbers = st.one_of(
    st.integers(-(2**31), 2**31),
    st.sampled_from([0, -1, 1, 2, 20, 65535, 65536, 2**31, 2**32, 2**63, 10**30]),
    st.sampled_from(["nan", "inf", "-inf", "1e400", "1e-400", "", "x", "0x10"]),
)


@many
@given(
    sizes=st.lists(numbers, min_size=0, max_size=5),
    dimension=numbers,
    kind=st.sampled_from(["short", "double", "uchar", "block", "nonsense"]),
    directions=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=0, max_size=4),
    encoding=st.sampled_from(["raw", "gzip", "bzip2", "hex", "ascii"]),
    more=st.sampled_from(["", "data file: /dev/zero\n", "data file: missing.raw\n", "a:=b\n"]),
)
def test_any_nrrd_header(folder, sizes, dimension, kind, directions, encoding, more):
    vectors = " ".join("(" + ",".join(map(str, vector)) + ")" for vector in directions)
    header = (
        f"NRRD0004\ntype: {kind}\ndimension: {dimension}\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, sizes))}\nspace directions: {vectors}\nendian: little\n"
        f"encoding: {encoding}\n{more}\n"
    )
    path = folder / "any.nrrd"
    path.write_bytes(header.encode() + bytes(range(256)) * 8)
    reads_or_refuses(path)


@many
@given(
    sizes=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=8, max_size=8),
    spacing=st.lists(st.floats(width=32), min_size=8, max_size=8),
    datatype=st.sampled_from([2, 4, 8, 16, 64, 128, 512, 1792, 0, -1, 9999]),
    offset=st.floats(width=32),
    packed=st.booleans(),
)
def test_any_nifti_header(folder, sizes, spacing, datatype, offset, packed):
    header = bytearray(SEEDS["b.nii"][:352])
    header[40:56] = struct.pack("<8h", *sizes)
    header[76:108] = struct.pack("<8f", *spacing)
    header[70:72] = struct.pack("<h", datatype)
    header[108:112] = struct.pack("<f", offset)
    data = bytes(header) + bytes(range(256)) * 8
    path = folder / ("any.nii.gz" if packed else "any.nii")
    if packed:
        squeeze = zlib.compressobj(wbits=31)
        data = squeeze.compress(data) + squeeze.flush()
    path.write_bytes(data)
    reads_or_refuses(path)


@many
@given(
    values=st.dictionaries(
        st.sampled_from(["DimSize", "ElementSpacing", "NDims", "TransformMatrix", "Offset"]),
        st.lists(numbers, max_size=9),
    ),
    file=st.sampled_from(["LOCAL", "/dev/zero", "missing.raw", "LIST", "%03d.raw 1 9 1"]),
    kind=st.sampled_from(["MET_SHORT", "MET_DOUBLE", "MET_UCHAR_ARRAY", "MET_NONE"]),
)
def test_any_metaimage_header(folder, values, file, kind):
    fields = {
        "ObjectType": ["Image"],
        "NDims": [3],
        "DimSize": [20, 18, 4],
        **values,
        "ElementType": [kind],
        "ElementDataFile": [file],
    }
    lines = [f"{key} = {' '.join(map(str, value))}\n" for key, value in fields.items()]
    path = folder / "any.mha"
    path.write_bytes("".join(lines).encode() + bytes(range(256)) * 8)
    reads_or_refuses(path)


@many
@given(
    values=st.dictionaries(
        st.sampled_from(
            ["Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"]
            + ["PixelRepresentation"]
        ),
        st.integers(0, 65535),
    ),
    texts=st.dictionaries(
        st.sampled_from(
            ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"]
            + ["RescaleSlope", "RescaleIntercept", "NumberOfFrames", "SeriesNumber"]
        ),
        st.lists(numbers, max_size=6),
    ),
    depth=st.sampled_from([0, 3, 2000]),
)
def test_any_dicom_header(folder, values, texts, depth):
    image = pydicom.dcmread(folder_file(folder))
    for keyword, value in values.items():
        setattr(image, keyword, value)
    path = folder / "any.dcm"
    save_dicom(image, path)
    data = path.read_bytes()
    for keyword, parts in texts.items():
        tag = struct.pack("<2H", *divmod(pydicom.datadict.tag_for_keyword(keyword), 65536))
        place = data.find(tag)
        if place < 0:
            continue
        length = struct.unpack("<H", data[place + 6 : place + 8])[0]
        text = "\\".join(map(str, parts)).encode()[:length].ljust(length)
        data = data[: place + 8] + text + data[place + 8 + length :]
    nested = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * depth
    place = data.find(b"\x10\0\x10\0")  # before the patient's name
    path.write_bytes(data[:place] + nested + data[place:])
    reads_or_refuses(path)


def folder_file(folder: Path) -> Path:
    """The plain DICOM seed as a file."""
    path = folder / "plain.dcm"
    if not path.exists():
        path.write_bytes(SEEDS["f.dcm"])
    return path


# Arguments

words = st.one_of(
    st.sampled_from(
        ["segment", "batch", "sample-data", "-o", "--output", "--series", "--mode", "slice"]
        + ["--preset", "--device", "cuda:99", "--seed", "--jobs", "--names", "--name-by", "path"]
        + ["--dry-run", "--nifti", "--json", "--overview", "--clusters", "--allow-empty"]
        + ["--debug", "--help", "--version", "-", "--", "", ".", "/dev/null", "/dev/zero", "1e9"]
        + ["bad.nrrd", "bad.dcm", "out", "out/a.nii.gz", "a" * 300, "\udcff", "\0", "-1"]
    ),
    st.text(max_size=20),
)


@settings(many, max_examples=max(1, EXAMPLES // 2))
@given(
    command=st.sampled_from(["segment", "batch", ""]),
    rest=st.lists(words.filter(lambda word: word != "sample-data"), max_size=6),
)
def test_any_arguments(folder, command, rest):
    (folder / "bad.nrrd").write_bytes(b"NRRD0004\n")
    (folder / "bad.dcm").write_bytes(b"\0" * 128 + b"DICM")
    here = os.getcwd()
    os.chdir(folder)
    try:
        with limits(), open(os.devnull, "w") as nothing, redirected(nothing) as said:
            code = main([each for each in [command, *rest] if each != "--scheduler"])
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(here)
    assert code in (0, 1, 2, 3)
    if "--debug" not in rest:
        assert "Traceback" not in said.getvalue()
        assert "unexpected error" not in said.getvalue()


@contextmanager
def redirected(nothing):
    """Standard output into nothing; what standard error says."""
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(said):
        yield said

"""Hostile inputs for every reader: small files with changed fields, specific to each format.

Each function takes a random generator and gives the name of a file and its content.
"""

from __future__ import annotations

import functools
import json
import random
import struct
import sys
import tempfile
import zlib
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

from dicom_files import enhanced, hounsfield, save_dicom, write_series  # noqa: E402
from real_data import DATA  # noqa: E402
from S3NetSegmentationLib.lung.densitometry import QUANTITIES, REGIONS  # noqa: E402

File = tuple[str, bytes]

NUMBERS = [0, 1, 2, 3, 4, 16, 255, 256, 540, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31]
NUMBERS += [2**32 - 1, 2**63 - 1, 10**30, -1, -2, -32768, -(2**31)]
WORDS = ["", "nan", "inf", "-inf", "1e308", "1e-320", "1e400", "0x10", "-0", "1" * 500, "none"]
WORDS += ["raw", "gzip", "hex", "ascii", "LIST", "LOCAL", "/dev/zero", "missing.raw", "../..", "."]
WORDS += ["%03d.raw 1 9 1", "\udcff", "\0", "(1,0,0)", "(nan,0,0)", "()", "True", "short"]
WORDS += ["Å", "💥"]
BYTES = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff" * 4, b"\0" * 8, b"\n\n", b"\\"]
BYTES += [b"\xfe\xff\0\xe0"]
TYPES = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN"
TYPES += " UR US UT UV ZZ \0\0"
LONG = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV"
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
SYNTAXES += (RLELossless, ExplicitVRBigEndian)
ARRAY = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)


@functools.cache
def samples() -> dict[str, bytes]:
    """A small file of every kind, by name; with real DICOM files if they are available."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        image = sitk.GetImageFromArray(hounsfield(4, 18, 20))
        for name in ("a.nrrd", "b.nii", "d.mha", "l.nhdr", "m.mhd"):
            sitk.WriteImage(image, str(folder / name))
        for name in ("c.nii.gz", "e.nrrd", "f.mha"):
            sitk.WriteImage(image, str(folder / name), useCompression=True)
        gray = sitk.GetImageFromArray(ARRAY[..., 0])
        for name in ("a.png", "b.jpg", "c.bmp", "d.tif"):
            sitk.WriteImage(sitk.GetImageFromArray(ARRAY, isVector=True), str(folder / name))
            sitk.WriteImage(gray, str(folder / f"gray-{name}"))
        sitk.WriteImage(gray, str(folder / "e.tif"), useCompression=True)
        (path,) = write_series(folder / "series", hounsfield(1))
        for number, syntax in enumerate(SYNTAXES):
            one = pydicom.dcmread(path)
            if syntax == RLELossless:
                one.compress(syntax, generate_instance_uid=False)
            one.file_meta.TransferSyntaxUID = syntax
            one["PixelData"].VR = "OW"
            save_dicom(one, folder / f"{number}.dcm")
        save_dicom(enhanced(hounsfield()), folder / "enhanced.dcm")
        found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    for real in (DATA / "dicom_awkward" / "cornerstone_testImages").glob("CT*"):
        found[f"{real.name}.dcm"] = real.read_bytes()
    return found


def ending(*ends: str) -> list[str]:
    """Names of samples."""
    return sorted(name for name in samples() if name.endswith(ends))


def with_bytes_changed(chance: random.Random, data: bytes, most: int = 3) -> bytes:
    """The data with some bytes replaced, inserted, or removed; or truncated."""
    changed = bytearray(data)
    for _ in range(chance.randint(0, most)):
        place = chance.randrange(1 + min(len(changed), chance.choice([64, 400, 10**9])))
        piece = chance.choice([chance.choice(BYTES), chance.randbytes(chance.randint(1, 8))])
        length = chance.choice([0, len(piece), chance.randint(0, 64)])
        changed[place : place + length] = piece
    if chance.random() < 0.05:
        del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed)


def a_word(chance: random.Random) -> str:
    """A value for a field of a text header."""
    some = [str(chance.choice(NUMBERS)), chance.choice(WORDS), str(chance.randint(-9, 99))]
    return " ".join(chance.choice(some) for _ in range(chance.choice([1, 1, 1, 2, 3, 9, 16])))


def with_lines_changed(chance: random.Random, data: bytes, end: bytes) -> bytes:
    """A text header with changed, repeated, or missing fields."""
    place = data.find(end) if end in data else len(data)
    lines = data[:place].split(b"\n")
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(lines))
        name, mark, value = lines[number].partition(chance.choice([b": ", b" = "]))
        words = value.split(b" ")
        words[chance.randrange(len(words))] = a_word(chance).encode("utf-8", "surrogatepass")
        new = name + mark + b" ".join(words)
        match chance.randrange(6):
            case 0:
                del lines[number]
            case 1:
                lines.insert(number, lines[chance.randrange(len(lines))] if lines else b"")
            case _:
                lines[number] = new
        lines = lines or [b""]
    return with_bytes_changed(chance, b"\n".join(lines) + data[place:], most=1)


def nrrd(chance: random.Random) -> File:
    """Fields of the header changed."""
    name = chance.choice(ending(".nrrd", ".nhdr"))
    return name, with_lines_changed(chance, samples()[name], b"\n\n")


def metaimage(chance: random.Random) -> File:
    """Fields of the header changed."""
    name = chance.choice(ending(".mha", ".mhd"))
    return name, with_lines_changed(chance, samples()[name], b"LOCAL")


NIFTI_FIELDS = [(0, "i"), *((40 + 2 * i, "h") for i in range(8)), (70, "h"), (72, "h"), (344, "4s")]
NIFTI_FIELDS += [*((76 + 4 * i, "f") for i in range(11)), (123, "b"), (252, "h"), (254, "h")]
NIFTI_FIELDS += [(256 + 4 * i, "f") for i in range(18)]


def packed(chance: random.Random, form: str) -> bytes:
    """A number for a binary header, as the format stores it."""
    if form.endswith("s"):
        return chance.choice([b"ni1\0", b"n+1\0", b"n+2\0", b"\0" * 4])
    if form in "fd":
        numbers = [0.0, 1.0, -1.0, float("nan"), float("inf"), 1e30, 1e-30, 352.0, 2.5]
        return struct.pack("<" + form, chance.choice(numbers))
    bits = 8 * struct.calcsize(form)
    return (chance.choice(NUMBERS) % 2**bits).to_bytes(bits // 8, "little")


def nifti(chance: random.Random) -> File:
    """Fields of the header changed, also inside a compressed file."""
    data = bytearray(samples()["b.nii"])
    for _ in range(chance.randint(1, 4)):
        place, form = chance.choice(NIFTI_FIELDS)
        field = packed(chance, form)
        data[place : place + len(field)] = field
    content = with_bytes_changed(chance, bytes(data), most=1)
    if chance.random() < 0.6:
        return "b.nii", content
    squeeze = zlib.compressobj(1, wbits=31)
    stream = squeeze.compress(content) + squeeze.flush()
    return "c.nii.gz", with_bytes_changed(chance, stream, most=1)


# DICOM


def elements(data: bytes, place: int = 132) -> list[tuple[bytes, bytes, bytes]]:
    """Tags, types, and values of a file with explicit types; the rest is the last value."""
    found = []
    while place + 12 <= len(data):
        tag, kind = data[place : place + 4], data[place + 4 : place + 6]
        if kind in LONG.split():
            begin, length = place + 12, struct.unpack_from("<I", data, place + 8)[0]
        else:
            begin, length = place + 8, struct.unpack_from("<H", data, place + 6)[0]
        if begin + length > len(data):
            break
        found.append((tag, kind, data[begin : begin + length]))
        place = begin + length
    return [*found, (b"", b"", data[place:])]


def element(tag: bytes, kind: bytes, value: bytes, lie: int = 0) -> bytes:
    """An element as it is stored, perhaps with a wrong length."""
    if not tag:
        return value
    length = max(0, len(value) + lie)
    if kind in LONG.split():
        return tag + kind + b"\0\0" + struct.pack("<I", length % 2**32) + value
    return tag + kind + struct.pack("<H", length % 2**16) + value


def nested(chance: random.Random) -> bytes:
    """A sequence within sequences, without ends."""
    head = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    return head * chance.choice([1, 3, 2000])


def dicom(chance: random.Random) -> File:
    """Elements of any type with any value: changed, of another type, too long, or left out."""
    name = chance.choice(ending(".dcm"))
    found = elements(samples()[name])
    content = [element(*each) for each in found]
    for _ in range(chance.randint(1, 4)):
        number = chance.randrange(len(found))
        tag, kind, value = found[number]
        kinds = [kind, chance.choice(TYPES.split(" ")).encode().ljust(2, b"\0")[:2]]
        words = "\\".join(a_word(chance).split(" ")).encode("utf-8", "surrogatepass")
        number_bytes = packed(chance, chance.choice(["h", "i", "d"]))
        values = [value, words + b" " * (len(words) % 2), number_bytes, nested(chance), b""]
        values.append(with_bytes_changed(chance, value))
        lie = chance.choice([0, 0, 0, 1, -1, 2**15, 2**31])
        content[number] = element(tag, chance.choice(kinds), chance.choice(values), lie)
        if chance.random() < 0.1:
            content[number] = b""
    data = samples()[name][:132] + b"".join(content)
    return name, with_bytes_changed(chance, data, most=1)


# Pictures


def picture(chance: random.Random) -> File:
    """Fields of the headers of PNG, JPEG, BMP and TIFF changed; checksums of PNG made to fit."""
    name = chance.choice(ending(".png", ".jpg", ".bmp", ".tif"))
    data = bytearray(samples()[name])
    starts = {".png": (16, 29), ".jpg": (2, 200), ".bmp": (2, 54), ".tif": (4, len(data))}
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(*starts[name[-4:]])
        field = packed(chance, chance.choice("bhi"))
        data[place : place + len(field)] = field if chance.random() < 0.5 else field[::-1]
    if name.endswith(".png"):
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return name, with_bytes_changed(chance, bytes(data), most=1)


# Records and lists

RECORD = {
    "name": "scan",
    "status": "done",
    "error": "",
    "warnings": [],
    "files": ["scan.seg.nrrd"],
    "fingerprint": "x",
    "formats": [".seg.nrrd"],
    "hints": ["Look at slice 3."],
    "quality": 0.9,
    "seconds": 2.5,
    "attempts": 1,
    "numbers": {region: {each.key: 1.0 for each in QUANTITIES} for region in REGIONS},
    "image": {"size": [4, 5, 6], "spacing_mm": [1.0, 1.0, 2.5]},
    "settings": {"seed": 0},
}


def record(chance: random.Random) -> File:
    """Entries of a record changed."""
    content = json.loads(json.dumps(RECORD))
    values = [None, True, -1, 10**400, float("nan"), "", "\ud800", "=1", [], [None], ["../x"], {}]
    for _ in range(chance.randint(1, 3)):
        place = content
        while True:
            key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], (dict, list)) or not place[key] or chance.random() < 0.3:
                break
            place = place[key]
        # A copy, as one that was put in before would come to hold itself.
        place[key] = deepcopy(chance.choice([*values, {"x": 1}, [[]], a_word(chance)]))
    data = json.dumps(content).encode()
    if chance.random() < 0.02:
        data = b"[" * 100_000
    return "scan.json", with_bytes_changed(chance, data, most=chance.choice([0, 0, 2]))


def paths(chance: random.Random) -> File:
    """A list of paths, some of which lead somewhere."""
    lines = ["list.txt", ".", "..", "missing.nii", '"list.txt"', "/", "/dev/zero", "x" * 5000]
    some = [chance.choice([*lines, a_word(chance)]) for _ in range(chance.randint(0, 6))]
    text = chance.choice(["\n", "\r\n", "\r"]).join(some)
    codings = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]
    data = text.encode(chance.choice(codings), "replace")
    return "list.txt", with_bytes_changed(chance, data, most=1)


def command(chance: random.Random) -> File:
    """Arguments, one per line."""
    words = ["-o", "--output", "--series", "--mode", "slice", "--preset", "skin", "lung-ct"]
    words += ["--device", "cuda:99", "cpu", "--seed", "--jobs", "--names", "--name-by", "path"]
    words += ["--dry-run", "--nifti", "--dicom-seg", "--json", "--overview", "--clusters", "--at"]
    words += ["1,2", "--choose", "central", "--allow-empty", "--gpu-memory", "--help", "--version"]
    words += ["-", "--", "", ".", "/dev/null", "/dev/zero", "bad.nrrd", "bad.dcm", "bad.png", "out"]
    words += ["out/a.nii.gz", "a.seg.nrrd", "a.json", "a.png", "a" * 300, "-1"]
    some = [chance.choice([*words, a_word(chance)]) for _ in range(chance.randint(0, 7))]
    first = chance.choice(["segment", "segment", "batch", "sample-data --help", "", "x"])
    text = "\n".join([*first.split(), *(each.replace("\n", " ") for each in some)])
    return "arguments.txt", text.encode("utf-8", "surrogatepass")

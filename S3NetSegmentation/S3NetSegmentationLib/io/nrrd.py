"""Headers of NRRD files, attached and detached.

References
----------
https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geometry import Geometry
from .stored import (
    StoredVolume,
    check_dimensions,
    data_file,
    header_lines,
    no_image,
    no_voxel_size,
    numbers,
)

TYPES = {
    name: code
    for code, names in {
        "i1": "int8 int8_t signed_char",
        "u1": "uint8 uint8_t uchar unsigned_char",
        "i2": "int16 int16_t short short_int signed_short signed_short_int",
        "u2": "uint16 uint16_t ushort unsigned_short unsigned_short_int",
        "i4": "int32 int32_t int signed_int",
        "u4": "uint32 uint32_t uint unsigned_int",
        "i8": "int64 int64_t longlong long_long long_long_int signed_long_long",
        "u8": "uint64 uint64_t ulonglong unsigned_long_long unsigned_long_long_int",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split()
}
"""NumPy's names for the types, by NRRD's names with _ for blanks."""

TO_LPS = {
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "scanner-xyz": (1, 1, 1),
    "3d-right-handed": (1, 1, 1),
    "3d-left-handed": (1, 1, 1),
    "": (1, 1, 1),
}
"""Signs that convert each space to LPS, as ITK (and therefore Slicer) interprets them."""

MILLIMETERS = {"", "mm", "millimeter", "millimeters", "???"}
"""Names for millimeters, or for no unit."""

SPATIAL_KINDS = ("domain", "space", "time", "none", "???")


def read_fields(path: Path) -> tuple[dict[str, str], int]:
    """Read the fields of a header by name, in lower case without blanks, and its length in bytes.

    Comments and the keys of other programs are skipped.

    Raises
    ------
    InputError
        If it is not an NRRD file.
    ValueError
        If a line does not belong in a header.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(6) != b"NRRD00":
            raise no_image(path)
        lines = header_lines(file)
        next(lines, "")
        for line in lines:
            if not line:
                break
            if line.startswith("#"):
                continue
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError
            if not value.startswith("="):
                fields[name.strip().lower().replace(" ", "")] = value.strip()
        return fields, file.tell()


def is_eight_bit(path: Path) -> bool:
    """Whether the voxels have 8 bits; raises the same errors as `read_fields`."""
    return _type(read_fields(path)[0]).itemsize == 1


def voxel_file(path: Path) -> Path:
    """The file with the voxels; raises the same errors as `read_fields`."""
    return data_file(path, read_fields(path)[0].get("datafile", "LOCAL"))


def open_volume(path: Path) -> StoredVolume:
    """Describe a volume from its header.

    Raises
    ------
    InputError
        If it is not a 3D volume, or stored in an unsupported way.
    ValueError, KeyError
        If the header is damaged.
    """
    fields, length = read_fields(path)
    dimensions = int(fields["dimension"])
    kinds = fields.get("kinds", "").lower().split()
    others = sum(kind not in SPATIAL_KINDS for kind in kinds)
    check_dimensions(path, dimensions, is_vector=others > 0)
    columns, rows, slices = (int(each) for each in fields["sizes"].split())
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(
            f"The voxels of '{path.name}' are encoded in a rare way; save it again as raw or gzip."
        )
    voxels = data_file(path, fields.get("datafile", "LOCAL"))
    offset, skip = _start(voxels, fields, 0 if voxels != path else length)
    return StoredVolume(
        path=path,
        size=(columns, rows, slices),
        geometry=_geometry(path, fields),
        kind=_type(fields),
        voxels=voxels,
        offset=offset,
        skip=skip,
        is_compressed=encoding != "raw",
    )


def _type(fields: dict[str, str]) -> np.dtype:
    kind = TYPES["_".join(fields["type"].lower().split())]
    if kind.endswith("1"):
        return np.dtype(kind)
    return np.dtype({"little": "<", "big": ">"}[fields["endian"].lower()] + kind)


def _start(voxels: Path, fields: dict[str, str], offset: int) -> tuple[int | None, int]:
    """Where the voxels or their compressed stream begin, and how many bytes to skip there."""
    lines, skip = int(fields.get("lineskip", 0)), int(fields.get("byteskip", 0))
    if lines < 0 or skip < -1:
        raise ValueError
    if lines and voxels.is_file():
        with voxels.open("rb") as file:
            file.seek(offset)
            for _, _ in zip(range(lines), header_lines(file), strict=False):
                offset = file.tell()
    return (None, 0) if skip == -1 else (offset, skip)


def _geometry(path: Path, fields: dict[str, str]) -> Geometry:
    """Geometry of the voxels in LPS."""
    units = re.findall(r'"([^"]*)"', fields.get("spaceunits", fields.get("units", "")))
    if not set(units) <= MILLIMETERS:
        raise InputError(
            f"The voxel size of '{path.name}' is not in millimeters; save it again in millimeters."
        )
    if "spacedirections" not in fields:
        return _without_space(path, fields)
    signs = TO_LPS[fields.get("space", "").lower()]
    vectors = re.findall(r"\([^()]*\)|[^\s()]+", fields["spacedirections"])
    if any(vector == "none" for vector in vectors):
        raise no_voxel_size(path)
    if len(vectors) != 3:
        raise ValueError
    axes = np.array([_vector(each) for each in vectors]).reshape(3, 3).T * np.array([signs]).T
    spacing = np.linalg.norm(axes, axis=0)
    if not spacing.all():
        raise no_voxel_size(path)
    origin = _vector(fields.get("spaceorigin", "(0,0,0)"))
    return Geometry(
        tuple(spacing.tolist()),
        tuple(sign * each for sign, each in zip(signs, origin, strict=True)),
        tuple((axes / spacing).ravel().tolist()),
    )


def _without_space(path: Path, fields: dict[str, str]) -> Geometry:
    """Geometry of a volume without a space: only its spacing and corner are known."""
    if "spacings" not in fields:
        raise no_voxel_size(path)
    spacing = numbers(fields["spacings"])
    origin = numbers(fields.get("axismins", "0 0 0"))
    if "axismins" in fields and "node" not in fields.get("centerings", fields.get("centers", "")):
        # They give the outer corner of the first voxel.
        origin = tuple(low + each / 2 for low, each in zip(origin, spacing, strict=True))
    return Geometry(spacing, origin, tuple(np.eye(3).ravel().tolist()))


def _vector(text: str) -> list[float]:
    if not re.fullmatch(r"\(.*\)", text):
        raise ValueError
    return [float(each) for each in text[1:-1].split(",")]

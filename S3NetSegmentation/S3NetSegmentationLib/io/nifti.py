"""Headers of NIfTI files.

References
----------
https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import Geometry
from .files import check_name
from .stored import (
    StoredVolume,
    check_axes,
    check_dimensions,
    impossible_place,
    inflate,
    no_image,
    no_voxel_size,
)

NIFTI_2_BYTES = (struct.pack("<i", 540), struct.pack(">i", 540))
"""The first bytes of a NIfTI-2 file, which neither ITK nor Slicer can read."""

HEADER_BYTES = 352
"""Length of a header, with the four bytes that end it."""

MAX_NUMBER = 1e9
"""Limit for the numbers that place a volume, in any unit: 1 km in micrometers."""

TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
"""NumPy's names for the types by code; the other types are complex numbers or colors."""


def read_header(path: Path) -> tuple[bytes, str]:
    """Read the header, decompressed, and its byte order, ``"<"`` or ``">"``.

    Raises
    ------
    InputError
        If it is not a NIfTI-1 file.
    EOFError, OSError, zlib.error
        If it is damaged.
    """
    with path.open("rb") as file:
        head = file.read(2**14)
    if is_compressed(path):
        if head[:2] != b"\x1f\x8b":
            raise no_image(path)
        head = next(inflate(iter([head])), b"")
    if head[:4] in NIFTI_2_BYTES and head[4:7] == b"n+2":
        raise InputError(
            f"'{path.name}' is a NIfTI-2 file; save it again as NIfTI-1, for example with nibabel."
        )
    order = "<" if head[:4] == struct.pack("<i", 348) else ">"
    if head[:4] != struct.pack(order + "i", 348) or head[344:348] != b"n+1\0":
        raise no_image(path)
    return head[:HEADER_BYTES], order


def is_compressed(path: Path) -> bool:
    """Whether a file is compressed, according to its name."""
    return path.name.lower().endswith(".gz")


def is_eight_bit(path: Path) -> bool:
    """Whether the voxels have 8 bits; raises the same errors as `read_header`."""
    header, order = read_header(path)
    return struct.unpack_from(order + "h", header, 70)[0] in (2, 256)


def voxel_file(path: Path) -> Path:
    """The file with the voxels: the same file."""
    return path


def _check_transform(path: Path, header: bytes, order: str) -> None:
    """Refuse a missing voxel size, which ITK replaces by 1 mm, and contradictory ones.

    With an infinite one, ITK would never return.
    """
    spacing = np.array(struct.unpack_from(order + "3f", header, 80), float)
    if not (np.isfinite(spacing) & (spacing != 0)).all():
        raise no_voxel_size(path)
    quaternion, affine = struct.unpack_from(order + "2h", header, 252)
    numbers = np.array(struct.unpack_from(order + "18f", header, 256))
    used = numbers[0 if quaternion > 0 else 6 : 18 if affine > 0 else 6]
    if not (np.abs([*spacing, *used]) < MAX_NUMBER).all():
        raise impossible_place(path)
    if quaternion > 0 or affine <= 0:
        return
    axes = np.reshape(struct.unpack_from(order + "12f", header, 280), (3, 4))[:, :3].astype(float)
    lengths = np.linalg.norm(axes, axis=0)
    if not np.allclose(lengths, np.abs(spacing), rtol=0.01):
        raise InputError(
            f"The header of '{path.name}' gives two voxel sizes that contradict each other; "
            "export the original CT again."
        )
    check_axes(path, axes / lengths)


def open_volume(path: Path) -> StoredVolume:
    """Describe a volume from its header.

    Raises
    ------
    InputError
        If it is not a 3D volume.
    ValueError, KeyError, RuntimeError, EOFError, OSError, zlib.error
        If the header is damaged.
    """
    header, order = read_header(path)
    code = struct.unpack_from(order + "h", header, 70)[0]
    offset, slope, intercept = struct.unpack_from(order + "3f", header, 108)
    if not all(map(math.isfinite, (offset, slope, intercept))):
        raise ValueError
    _check_transform(path, header, order)
    # ITK decides which of the two transforms counts, so Slicer shows the scan in the same place.
    check_name(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NiftiImageIO")
    reader.ReadImageInformation()
    size = reader.GetSize()
    check_dimensions(path, len(size), is_vector=reader.GetNumberOfComponents() > 1)
    return StoredVolume(
        path=path,
        size=size,
        geometry=Geometry(reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection()),
        kind=np.dtype(order + TYPES[code]),
        voxels=path,
        skip=max(int(offset), 348),
        is_compressed=is_compressed(path),
        slope=slope or 1.0,
        intercept=intercept,
    )

"""A volume in a NIfTI, NRRD, or MetaImage file: its header, and how to read its voxels.

The voxels are decoded here and not by ITK, which silently ignores damage: it continues after a
decompression error, and turns NaN in NIfTI into 0.
"""

from __future__ import annotations

import ctypes
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..geometry import Geometry
from .validate import MAX_VOXELS

PIXELS = {
    "i1": sitk.sitkInt8,
    "u1": sitk.sitkUInt8,
    "i2": sitk.sitkInt16,
    "u2": sitk.sitkUInt16,
    "i4": sitk.sitkInt32,
    "u4": sitk.sitkUInt32,
    "i8": sitk.sitkInt64,
    "u8": sitk.sitkUInt64,
    "f4": sitk.sitkFloat32,
    "f8": sitk.sitkFloat64,
}
"""SimpleITK's pixel types by NumPy's names."""

CHUNK_BYTES = 2**18
"""Number of bytes read or decompressed at a time; not measured."""

MAX_HEADER_BYTES = 2**20
"""Limit for a header; those of scanners and of Slicer have a few thousand bytes."""

MAX_SPARE_BYTES = 512
"""Some programs leave bytes after the voxels; if there are more, the header is wrong."""

MAX_COMPRESSION = 1100
"""Maximum compression ratio of gzip: 1032 by its format (RFC 1951), with a margin."""


@dataclass(frozen=True)
class StoredVolume:
    """A volume in a file, before its voxels are read.

    Attributes
    ----------
    path : Path
        The file with the header.
    size : tuple of int
        Voxels along each axis, (i, j, k).
    geometry : Geometry
    kind : numpy.dtype
        Type of a stored voxel, with its byte order.
    voxels : Path
        The file with the voxels.
    offset : int
        Where they, or the compressed stream, begin in it; None if they end with the file.
    skip : int
        Bytes before them in the stream.
    is_compressed : bool
        With zlib or gzip.
    slope, intercept : float
        Convert stored values to Hounsfield units.
    """

    path: Path
    size: tuple[int, ...]
    geometry: Geometry
    kind: np.dtype
    voxels: Path
    offset: int | None = 0
    skip: int = 0
    is_compressed: bool = False
    slope: float = 1.0
    intercept: float = 0.0

    def check(self) -> None:
        """Refuse an impossible header before memory is allocated.

        Raises
        ------
        InputError
        """
        geometry, name = self.geometry, self.path.name
        numbers = [*geometry.spacing, *geometry.origin, *geometry.direction]
        if not np.isfinite(numbers).all() or min(geometry.spacing) <= 0:
            raise impossible_place(self.path)
        check_axes(self.path, geometry.axes)
        if not self.voxels.is_file():
            raise InputError(f"The file with the voxels of '{name}' is missing.")
        most = MAX_COMPRESSION * self.voxels.stat().st_size
        if min(self.size) < 1 or math.prod(self.size) > min(most, MAX_VOXELS):
            raise InputError(
                f"'{name}' claims to be a volume of {' x '.join(map(str, self.size))} voxels; the "
                "file is damaged."
            )

    def read(self) -> sitk.Image:
        """Read the volume in Hounsfield units.

        Raises
        ------
        EOFError, ValueError
            If the file contains fewer voxels than its header says, or far more.
        OSError, zlib.error
            If it can't be read, or the compressed stream is damaged.
        """
        stored_kind = self.kind.newbyteorder("=")
        is_scaled = (self.slope, self.intercept) != (1, 0)
        kind = np.dtype(np.float32) if is_scaled and stored_kind.kind != "f" else stored_kind
        image = sitk.Image(self.size, PIXELS[kind.str[1:]])
        values = _voxels(image, kind)
        stored = np.empty_like(values, stored_kind) if is_scaled else values
        self._decode(stored.reshape(-1).view(np.uint8).data)
        if not self.kind.isnative:
            stored.byteswap(inplace=True)
        if is_scaled:
            for plane, target in zip(stored, values, strict=True):
                target[...] = plane * np.float64(self.slope) + self.intercept
        self.geometry.put(image)
        return image

    def _decode(self, target: memoryview) -> None:
        with self.voxels.open("rb") as file:
            file.seek(self._start())
            pieces = iter(lambda: file.read(CHUNK_BYTES), b"")
            _fill(target, inflate(pieces) if self.is_compressed else pieces, self.skip)

    def _start(self) -> int:
        if self.offset is not None:
            return self.offset
        return self.voxels.stat().st_size - math.prod(self.size) * self.kind.itemsize


def _voxels(image: sitk.Image, kind: np.dtype) -> np.ndarray:
    """The voxels of a new image, as a writable array.

    SimpleITK offers only read-only views, and copies the arrays that it receives, which takes as
    long as reading a file and twice the memory.
    """
    view = sitk.GetArrayViewFromImage(image)
    memory = (ctypes.c_char * view.nbytes).from_address(view.ctypes.data)
    return np.frombuffer(memoryview(memory), kind).reshape(view.shape)


def inflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress a zlib or gzip stream of one or several members, and verify the checksums.

    Raises
    ------
    EOFError
        If the end is missing.
    zlib.error
        If the stream is damaged.
    """
    inflater = zlib.decompressobj(wbits=47)
    for piece in pieces:
        while piece:
            if inflater.eof:
                if piece[0] != 0x1F:  # not another member, but padding at the end of the file
                    return
                inflater = zlib.decompressobj(wbits=47)
            yield inflater.decompress(piece, CHUNK_BYTES)
            piece = inflater.unconsumed_tail or inflater.unused_data
    yield inflater.flush()
    if not inflater.eof:
        raise EOFError


def _fill(target: memoryview, pieces: Iterator[bytes], skip: int) -> None:
    """Copy a stream, without its first bytes, into memory that it has to fill."""
    place = -skip
    for piece in pieces:
        start = max(0, -place)
        part = piece[start : max(start, len(target) - place)]
        target[place + start : place + start + len(part)] = part
        place += len(piece)
        if place > len(target) + MAX_SPARE_BYTES:
            raise ValueError
    if place < len(target):
        raise EOFError


def header_lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text header.

    Raises
    ------
    ValueError
        If the header is too long.
    """
    left = MAX_HEADER_BYTES
    while line := file.readline(left):
        left -= len(line)
        if left <= 0:
            raise ValueError
        yield line.decode("utf-8", "surrogateescape").rstrip("\r\n")


def numbers(text: str, count: int = 3) -> tuple[float, ...]:
    """Parse `count` numbers separated by blanks.

    Raises
    ------
    ValueError
        If there are more or fewer, or one is not a number.
    """
    found = tuple(float(word) for word in text.split())
    if len(found) != count:
        raise ValueError
    return found


def data_file(path: Path, name: str) -> Path:
    """The file with the voxels that a header names.

    Raises
    ------
    InputError
        If it names several files.
    ValueError
        If this is not a valid file name.
    """
    if not name or "\0" in name:
        raise ValueError
    if "%" in name or name.startswith("LIST"):
        raise InputError(
            f"The voxels of '{path.name}' are in several files; save it again as one file."
        )
    return path if name.upper() == "LOCAL" else path.parent / name


def check_dimensions(path: Path, dimensions: int, is_vector: bool) -> None:
    """Refuse images other than scalar volumes.

    Raises
    ------
    InputError
    """
    if is_vector:
        raise InputError(f"'{path.name}' is a color or vector image; a CT volume is needed.")
    if dimensions < 3:
        raise InputError(f"'{path.name}' is a 2D image; a CT volume is needed.")
    if dimensions > 3:
        raise InputError(
            f"'{path.name}' has {dimensions} dimensions; choose one time point as a 3D volume."
        )


def check_axes(path: Path, axes: np.ndarray) -> None:
    """Refuse axes that are not at right angles; each column is an axis of length 1.

    Raises
    ------
    InputError
    """
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise InputError(
            f"The axes of '{path.name}' are not at right angles (a gantry tilt?); resample it to a "
            "rectangular grid first."
        )


def no_voxel_size(path: Path) -> InputError:
    """The error for a header without a voxel size."""
    return InputError(
        f"The header of '{path.name}' does not say how large a voxel is along each axis; export "
        "the original CT again."
    )


def impossible_place(path: Path) -> InputError:
    """The error for an impossible voxel size or position."""
    return InputError(
        f"The voxel size or the position of '{path.name}' is impossible; export the original CT "
        "again."
    )


def no_image(path: Path) -> InputError:
    """The error for a file that is not in the format of its extension."""
    return InputError(f"'{path.name}' is not an image; choose DICOM, NIfTI, NRRD or MetaImage.")

"""Check that a picture is complete and not too large, before ITK reads it.

ITK allocates whatever a header claims, and silently fills in what a JPEG or BMP file lacks.
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError

READERS = {
    b"\x89PNG\r\n\x1a\n": "PNGImageIO",
    b"\xff\xd8\xff": "JPEGImageIO",
    b"BM": "BMPImageIO",
    b"II*\0": "TIFFImageIO",
    b"MM\0*": "TIFFImageIO",
}
"""ITK's readers, by the first bytes of a file."""

MAX_BYTES = 2**28
"""Limit for a decoded picture, and for its file, in bytes: 89 million pixels of 3 bytes."""

MAX_JPEG_SCANS = 100
"""Progressive files have about 10, and each is decoded over all pixels."""

_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])", re.DOTALL)
"""The start of a segment of a JPEG file; other markers occur within the pixels."""

_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"


def checked_reader(path: Path) -> sitk.ImageFileReader:
    """The reader for a picture, which is complete as far as its format tells.

    Raises
    ------
    InputError
        If the picture is too large.
    ValueError, RuntimeError, OSError, struct.error
        If it is damaged or not a picture.
    """
    file_bytes = path.stat().st_size
    if file_bytes > MAX_BYTES:
        raise _too_large(path, f"of {file_bytes / 1e6:.0f} MB")
    data = path.read_bytes()
    kind = next((kind for start, kind in READERS.items() if data.startswith(start)), None)
    if kind is None:
        raise ValueError
    if kind in CHECKS:
        CHECKS[kind](data)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(kind)
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size, channels = reader.GetSize(), reader.GetNumberOfComponents()
    pixel = sitk.Image([1] * len(size), reader.GetPixelIDValue(), channels)
    if not all(size):
        raise ValueError
    if math.prod(size) * channels * pixel.GetSizeOfPixelComponent() > MAX_BYTES:
        raise _too_large(path, f"of {' x '.join(map(str, size))} pixels")
    return reader


def _check_png(data: bytes) -> None:
    """Refuse a PNG file with chunks that claim to be longer than the file."""
    place = 8
    while data[place + 4 : place + 8] != b"IEND":
        place += 12 + struct.unpack_from(">I", data, place)[0]


def _check_bmp(data: bytes) -> None:
    """Refuse a BMP file that is too short for its header, and unsupported kinds."""
    start = struct.unpack_from("<I", data, 10)[0]
    width, height, _, bits, compression = struct.unpack_from("<2i2HI", data, 18)
    colors = struct.unpack_from("<I", data, 46)[0]
    row = (width * bits + 31) // 32 * 4
    is_known = width > 0 and bits in (8, 24, 32) and compression in (0, 3) and colors <= 256
    if not is_known or start + row * abs(height) > len(data):
        raise ValueError


def _check_jpeg(data: bytes) -> None:
    """Refuse a JPEG file that is cut off or has an implausible number of scans."""
    place, scans = 2, 0
    while marker := _MARKER.search(data, place):
        if marker[1] == _END_OF_IMAGE:
            return
        scans += marker[1] == _START_OF_SCAN
        if scans > MAX_JPEG_SCANS:
            break
        place = marker.end() + struct.unpack_from(">H", data, marker.end())[0]
    raise ValueError


CHECKS = {"PNGImageIO": _check_png, "BMPImageIO": _check_bmp, "JPEGImageIO": _check_jpeg}
"""Checks that ITK lacks; libtiff itself compares the header with the file."""


def _too_large(path: Path, how: str) -> InputError:
    return InputError(
        f"'{path.name}' is a picture {how}, too large to be read; make it smaller first."
    )

"""DICOM files with bounds on memory: pydicom allocates whatever a header or a stream claims."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO

DEFLATED = b"1.2.840.10008.1.2.1.99"
PLAIN = b"1.2.840.10008.1.2.1".ljust(len(DEFLATED), b"\0")
"""The transfer syntax Deflated Explicit VR Little Endian, and the same one without deflation."""

MAX_HEADER_BYTES = 2**24
"""Limit for the bytes before the pixels; an enhanced image of 2,000 frames has 4 million."""

MAX_FILE_BYTES = 2**29
"""Limit for a whole file, in bytes: 1,000 CT slices in one file. A byte can inflate to a thousand,
and nothing in the file says to how many."""

_LONG = (b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR", b"OD", b"OF", b"OL", b"OV", b"SV", b"UV")
"""Value representations whose length takes 4 bytes, after 2 reserved ones."""


class _Bounded(io.BufferedReader):
    """A file of which no more bytes are requested than it has; Python would allocate them all."""

    def __init__(self, file: IO[bytes]):
        super().__init__(io.FileIO(file.fileno(), closefd=False))
        self._bytes = self.seek(0, io.SEEK_END)
        self.seek(0)

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._bytes - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def plain(file: IO[bytes], most: int) -> IO[bytes]:
    """The file from its beginning or, if it is deflated, the inflated first bytes.

    Parameters
    ----------
    file : file
        Open for reading, at its beginning.
    most : int
        Number of inflated bytes after which it is cut off.

    Raises
    ------
    zlib.error
        If the stream is damaged.
    """
    end, is_deflated = _meta(file)
    bounded = _Bounded(file)
    if not is_deflated:
        return bounded
    head = bounded.read(end).replace(DEFLATED, PLAIN)
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    return io.BytesIO(head + inflater.decompress(bounded.read(most), most))


def _meta(file: IO[bytes]) -> tuple[int, bool]:
    """Offset of the end of the file meta information, and whether the rest is deflated."""
    start = file.read(132)
    place = 132 if start[128:] == b"DICM" else 0
    is_deflated = False
    while True:
        file.seek(place)
        element = file.read(12).ljust(12, b"\0")
        if element[:2] != b"\2\0":
            return place, is_deflated
        if element[4:6] in _LONG:
            begin, length = 12, struct.unpack("<I", element[8:])[0]
        elif element[4:6].isalpha():
            begin, length = 8, struct.unpack("<H", element[6:8])[0]
        else:
            begin, length = 8, struct.unpack("<I", element[4:8])[0]
        file.seek(place + begin)
        is_deflated |= element[2:4] == b"\x10\0" and file.read(len(DEFLATED)) == DEFLATED
        place += begin + length

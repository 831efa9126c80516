"""The stored pixels of a DICOM file, whatever its transfer syntax."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from ..errors import InputError, S3NetError, out_of_memory
from .dicom_deflated import MAX_FILE_BYTES, plain
from .dicom_quiet import quiet_pydicom
from .files import check_name, out_of_reach, temporary_folder

_FORMAT = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)

_COLORS = (
    "PlanarConfiguration",
    *(
        f"{color}PaletteColorLookupTable{part}"
        for color in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
)

MAX_COLOR_BYTES = 2**28
"""Limit for a decoded color image, in bytes: 89 million pixels of 3 bytes."""

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


def read_pixels(path: Path) -> np.ndarray:
    """Read the stored pixel values, without rescale.

    Compressed pixels are passed to GDCM in a new, clean file, because GDCM may allocate gigabytes
    when it reads a damaged one.

    Returns
    -------
    ndarray of integers, (frames, rows, columns)

    Raises
    ------
    InputError
        If the file has no gray pixels, or fewer than its header says.
    """
    return _read(path, _gray_pixels)


def read_color_pixels(path: Path) -> np.ndarray:
    """Read the colors of an image, or its stored gray values if it has no colors.

    Returns
    -------
    ndarray, (frames, rows, columns) or (frames, rows, columns, 3)

    Raises
    ------
    InputError
        If the file has no pixels, or fewer than its header says.
    """
    return _read(path, _color_pixels)


def _read(path: Path, pixels_of: Callable[[Path, pydicom.Dataset, UID], np.ndarray]) -> np.ndarray:
    check_name(path)
    try:
        with quiet_pydicom(), path.open("rb") as file:
            image = pydicom.dcmread(
                plain(file, MAX_FILE_BYTES),
                force=True,
                specific_tags=[*_FORMAT, *_COLORS, "PixelData"],
            )
            syntax = UID(image.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2"))
            return pixels_of(path, image, syntax)
    except S3NetError:
        raise
    except Exception as error:  # pydicom and GDCM raise many kinds of errors
        if out_of_memory(error):
            raise MemoryError from error
        raise out_of_reach(path, error) or InputError(
            f"The pixels of the DICOM file '{path.name}' can't be read; the file is damaged "
            "or compressed in an unknown way."
        ) from error


def _gray_pixels(path: Path, image: pydicom.Dataset, syntax: UID) -> np.ndarray:
    if int(image.get("SamplesPerPixel") or 1) != 1:
        raise InputError(f"'{path.name}' is a color image; choose a CT image.")
    if image.get("BitsAllocated") == 1:
        raise InputError(f"'{path.name}' is a mask with one bit per pixel; choose the CT itself.")
    shape = _shape(image)
    if syntax.is_compressed:
        pixels = _by_gdcm(image, syntax, _fragments(image.PixelData))
    else:
        pixels = _unpack(image, shape, ">" if syntax == ExplicitVRBigEndian else "<")
    if pixels.shape != shape:
        raise ValueError
    return pixels


def _color_pixels(path: Path, image: pydicom.Dataset, syntax: UID) -> np.ndarray:
    shape = (*_shape(image), 3)
    if math.prod(shape) > MAX_COLOR_BYTES:
        raise ValueError
    is_palette = image.get("PhotometricInterpretation") == "PALETTE COLOR"
    if int(image.get("SamplesPerPixel") or 1) == 1 and not is_palette:
        return _gray_pixels(path, image, syntax)
    if int(image.BitsAllocated) != 8:
        raise ValueError
    if syntax.is_compressed:
        pixels = _by_gdcm(image, syntax, _fragments(image.PixelData))
    else:
        pixels = _by_gdcm(image, ExplicitVRLittleEndian, image.PixelData)
    if pixels.shape != shape:
        raise ValueError
    return pixels


def _shape(image: pydicom.Dataset) -> tuple[int, int, int]:
    """Frames, rows, and columns."""
    return int(image.get("NumberOfFrames") or 1), int(image.Rows), int(image.Columns)


def _unpack(image: pydicom.Dataset, shape: tuple[int, int, int], order: str) -> np.ndarray:
    """Native pixels: the stored bits among the allocated ones (DICOM PS3.5, 8.1.1)."""
    allocated, stored, high = (
        int(image[key].value) for key in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if not 0 < stored <= high + 1 <= allocated:
        raise ValueError
    kind = np.dtype(f"{order}u{allocated // 8}")
    count = int(np.prod(shape, dtype=np.int64))
    pixels = np.frombuffer(image.PixelData, kind, count).astype(kind.newbyteorder("="))
    signed = bool(image.get("PixelRepresentation"))
    # Shift left, then right: this drops the other bits and extends the sign.
    pixels <<= allocated - 1 - high
    if signed:
        pixels = pixels.view(f"i{allocated // 8}")
    pixels >>= allocated - stored
    return pixels.reshape(shape)


def _by_gdcm(image: pydicom.Dataset, syntax: UID, data: bytes) -> np.ndarray:
    """Decode compressed or color pixels with GDCM."""
    clean = pydicom.Dataset()
    clean.file_meta = pydicom.dataset.FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = syntax
    clean.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    clean.SOPInstanceUID = "1.2.3"
    for keyword in (*_FORMAT, *_COLORS):
        if keyword in image:
            clean[keyword] = image[keyword]
    clean.add_new("PixelData", "OB", data)
    clean["PixelData"].is_undefined_length = syntax.is_compressed
    with temporary_folder() as folder:
        path = folder / "pixels.dcm"
        # pydicom 2.4, which some Slicer versions include, needs this; 3 uses the transfer syntax.
        clean.is_little_endian, clean.is_implicit_VR = True, False
        pydicom.dcmwrite(path, clean, False)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))


def _fragments(data: bytes) -> bytes:
    """Encapsulated pixels, after a check that they consist of whole items."""
    place = 0
    while data[place : place + 4] == _ITEM:
        place += 8 + struct.unpack("<I", data[place + 4 : place + 8])[0]
    if place > len(data) or data[place : place + 4] not in (b"", _END):
        raise ValueError
    return data[:place]

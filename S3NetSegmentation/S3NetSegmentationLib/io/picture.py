"""Read and write pictures: PNG, JPEG, TIFF, and single DICOM images."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError, out_of_memory
from .dicom import read_header
from .dicom_pixels import read_color_pixels
from .dicom_stack import finite
from .files import check_name, check_readable, out_of_reach
from .formats import PICTURE_SUFFIXES
from .picture_check import checked_reader
from .write import write_image

INSIDE = 255
"""Value of a mask in its file, the largest of 8 bits, which every viewer shows as white."""

OUTLINE = (0, 255, 0)
"""Color of an outlined mask: green."""


def read_picture(path: str | Path) -> np.ndarray:
    """Read a picture of up to 256 MB, decoded.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG, TIFF, BMP, or a DICOM file with one image.

    Returns
    -------
    ndarray, (y, x) or (y, x, 3)
        Gray if all channels are equal; transparency is left out.

    Raises
    ------
    InputError
        If there is no such file, or it is not a picture, damaged, or too large; says why in one
        sentence.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file '{path}'.")
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; name one picture in it.")
    if not path.is_file():
        raise InputError(
            f"'{path}' is not a regular file; choose PNG, JPEG, TIFF or a DICOM image."
        )
    check_name(path)
    check_readable(path)
    header = read_header(path)
    if header is not None:
        return _only_image(path, _dicom_images(path, header))
    if not path.name.lower().endswith(PICTURE_SUFFIXES):
        raise InputError(
            f"'{path.name}' is not a picture; choose PNG, JPEG, TIFF or a DICOM image."
        )
    try:
        image = checked_reader(path).Execute()
    except (RuntimeError, ValueError, OSError, struct.error) as error:
        if out_of_memory(error):
            raise MemoryError from error
        raise out_of_reach(path, error) or InputError(
            f"'{path.name}' can't be read; the file is damaged or not a picture."
        ) from error
    array = sitk.GetArrayFromImage(image)
    return _only_image(path, array if image.GetDimension() == 3 else array[None])


def _dicom_images(path: Path, header: pydicom.Dataset) -> np.ndarray:
    """The images of a DICOM file, in Hounsfield units if it has a rescale."""
    pixels = read_color_pixels(path)
    scale = finite([header.get("RescaleSlope"), header.get("RescaleIntercept")], 2)
    if pixels.ndim > 3 or scale is None:
        return pixels
    return (pixels * scale[0] + scale[1]).astype(np.float32)


def _only_image(path: Path, images: np.ndarray) -> np.ndarray:
    """The image of a file that contains only one, gray (y, x) or RGB (y, x, 3)."""
    if len(images) != 1:
        raise InputError(f"'{path.name}' contains {len(images)} images; choose a single one.")
    return _without_needless_channels(images[0] if images.ndim > 3 else images[0][..., None])


def _without_needless_channels(array: np.ndarray) -> np.ndarray:
    """Gray (y, x) or RGB (y, x, 3) of 1 to 4 channels; a second or fourth is transparency."""
    colors = array[..., : 3 if array.shape[-1] >= 3 else 1]
    is_gray = (colors == colors[..., :1]).all()
    return np.ascontiguousarray(colors[..., 0] if is_gray else colors)


def write_gray(path: Path, values: np.ndarray) -> None:
    """Write a mask or a cluster map, (y, x), as a grayscale picture of 8 bits.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    write_image(path, sitk.GetImageFromArray(values.astype(np.uint8)))


def write_outlined(path: Path, picture: np.ndarray, mask: np.ndarray) -> None:
    """Write the picture with the mask outlined, for a visual check.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    low, high = float(picture.min()), float(picture.max())
    scaled = (picture.astype(np.float32) - low) * (255 / max(high - low, 1e-6))
    shown = np.repeat(scaled[..., None], 3, 2) if picture.ndim == 2 else scaled.copy()
    shown[ndimage.binary_dilation(mask) & ~mask] = OUTLINE
    write_image(path, sitk.GetImageFromArray(shown.round().astype(np.uint8), isVector=True))

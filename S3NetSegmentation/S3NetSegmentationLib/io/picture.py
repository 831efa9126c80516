"""Pictures from files and into them: PNG, JPEG, TIFF, and single DICOM images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError
from .dicom import read_header
from .formats import PICTURE_SUFFIXES
from .write import write_image

INSIDE = 255
"""Value of the mask in its file, the largest of 8 bits, which any viewer shows white."""

OUTLINE = (0, 255, 0)
"""Its color: green."""


def read_picture(path: str | Path) -> np.ndarray:
    """Read a picture.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG, TIFF, BMP, or a DICOM file with one image.

    Returns
    -------
    ndarray, (y, x) or (y, x, 3)
        Gray where all channels are the same; transparency is left out.

    Raises
    ------
    InputError
        If there is no such file or it is no picture; says why in one sentence.
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
    if not path.name.lower().endswith(PICTURE_SUFFIXES) and read_header(path) is None:
        raise InputError(
            f"'{path.name}' is not a picture; choose PNG, JPEG, TIFF or a DICOM image."
        )
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            f"'{path.name}' can't be read; the file is damaged, or no picture."
        ) from error
    array = sitk.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() == 3:
        if len(array) != 1:
            raise InputError(f"'{path.name}' holds {len(array)} images; choose a single one.")
        array = array[0]
    return _without_needless_channels(array if channels > 1 else array[..., None])


def _without_needless_channels(array: np.ndarray) -> np.ndarray:
    """Gray (y, x) or RGB (y, x, 3) of 1 to 4 channels; a second or fourth is transparency."""
    colors = array[..., : 3 if array.shape[-1] >= 3 else 1]
    is_gray = (colors == colors[..., :1]).all()
    return np.ascontiguousarray(colors[..., 0] if is_gray else colors)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask, black and white.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    write_image(path, sitk.GetImageFromArray((mask * INSIDE).astype(np.uint8)))


def write_clusters(path: Path, clusters: np.ndarray) -> None:
    """Write a cluster map; its values are the numbers of the clusters, 0 outside the view.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    write_image(path, sitk.GetImageFromArray(clusters.astype(np.uint8)))


def write_outlined(path: Path, picture: np.ndarray, mask: np.ndarray) -> None:
    """Write the picture with the mask outlined, to look at.

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

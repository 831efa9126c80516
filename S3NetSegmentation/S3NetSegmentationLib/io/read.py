"""Scans from files, as volumes in Hounsfield units with their exact geometry."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .dicom import read_dicom_file, read_dicom_folder, read_header
from .validate import check_volume

CHUNK = 2**24

FORMATS = {"NiftiImageIO": "NIfTI", "NrrdImageIO": "NRRD", "MetaImageIO": "MetaImage"}


def read_volume(path: str | Path, series: str | None = None) -> sitk.Image:
    """Read a scan.

    Parameters
    ----------
    path : str or Path
        A DICOM file, a folder with DICOM files somewhere below, or a NIfTI, NRRD or MetaImage
        file.
    series : str, optional
        Which series of a DICOM folder: its number in the list that the error message shows, or
        its SeriesInstanceUID.

    Returns
    -------
    SimpleITK.Image
        Scalar, 3D, in Hounsfield units, in the file's storage order.

    Raises
    ------
    InputError
        If there is no such file or it is no volume; says why in one sentence.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file or folder '{path}'.")
    if path.is_dir():
        image = read_dicom_folder(path, series)
    elif series is not None:
        raise InputError("Only a DICOM folder has several series; leave out --series.")
    else:
        header = None if _format(path) in FORMATS else read_header(path)
        image = _read_image_file(path) if header is None else read_dicom_file(path, header)
    check_volume(image)
    return image


def _format(path: Path) -> str:
    """Name of the ITK reader that recognizes the file, "" where none does."""
    return sitk.ImageFileReader.GetImageIOFromFileName(str(path))


def _read_image_file(path: Path) -> sitk.Image:
    """A NIfTI, NRRD or MetaImage volume; see `read_volume`."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_header(path, reader)
        if path.name.lower().endswith((".nii", ".nii.gz")):
            _check_complete(path, reader)
        return reader.Execute()
    except (RuntimeError, OSError, EOFError, zlib.error) as error:
        raise InputError(_explain(path, str(error))) from error


def _check_header(path: Path, reader: sitk.ImageFileReader) -> None:
    """Refuse what is no volume before its voxels are read."""
    size = reader.GetSize()
    if reader.GetNumberOfComponents() > 1:
        raise InputError(f"'{path.name}' is a color or vector image; a CT volume is needed.")
    if len(size) < 3:
        raise InputError(f"'{path.name}' is a 2D image; a CT volume is needed.")
    if len(size) > 3:
        raise InputError(
            f"'{path.name}' has {len(size)} dimensions; choose one time point as a 3D volume."
        )
    if _format(path) not in FORMATS:
        raise InputError(
            f"'{path.name}' is in a format without a CT's geometry; choose DICOM, NIfTI, NRRD or "
            "MetaImage."
        )
    axes = np.array(reader.GetDirection()).reshape(3, 3)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise InputError(_sheared(path))


def _check_complete(path: Path, reader: sitk.ImageFileReader) -> None:
    """Refuse a NIfTI file that ends too early; ITK would fill it up with zeros.

    Raises
    ------
    EOFError
        If voxels are missing.
    OSError, zlib.error
        If the compressed stream is damaged.
    """
    expected = math.prod(reader.GetSize()) * int(reader.GetMetaData("bitpix")) // 8
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        present = sum(map(len, iter(lambda: file.read(CHUNK), b"")))
    if present < expected + float(reader.GetMetaData("vox_offset")):
        raise EOFError


def _explain(path: Path, error: str) -> str:
    """What ITK's message means for the user."""
    if _format(path) not in FORMATS:
        return f"'{path.name}' is not an image; choose DICOM, NIfTI, NRRD or MetaImage."
    if "orthonormal" in error:
        return _sheared(path)
    return f"'{path.name}' can't be read; the file is damaged or incomplete."


def _sheared(path: Path) -> str:
    return (
        f"The axes of '{path.name}' are not at right angles (a gantry tilt?); resample it to a "
        "rectangular grid first."
    )

"""Read scans as volumes in Hounsfield units with their exact geometry."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import SimpleITK as sitk

from ..errors import InputError, out_of_memory
from . import metaimage, nifti, nrrd
from .dicom import read_dicom_files, read_dicom_folder, read_header
from .files import check_name, check_readable, out_of_reach, unreadable
from .formats import METAIMAGE_SUFFIXES, NIFTI_SUFFIXES, NRRD_SUFFIXES, PICTURE_SUFFIXES
from .scan import ReadScan
from .stored import no_image
from .validate import check_volume

FORMATS = {NIFTI_SUFFIXES: nifti, NRRD_SUFFIXES: nrrd, METAIMAGE_SUFFIXES: metaimage}
"""The modules that parse NIfTI, NRRD, and MetaImage headers, by extension."""

DAMAGE = (RuntimeError, OSError, EOFError, zlib.error, struct.error, ValueError, KeyError)
"""Errors that an invalid header or stream can raise."""


def read_scan(path: str | Path, series: str | None = None) -> ReadScan:
    """Read a scan.

    Memory use is at most a small multiple of the volume's size, and a volume is never larger than
    its file can contain.

    Parameters
    ----------
    path : str or Path
        A DICOM file, a folder with DICOM files at any depth, or a NIfTI, NRRD, or MetaImage
        file.
    series : str, optional
        Which series of a DICOM folder: its number in the list that the error message shows, or
        its SeriesInstanceUID.

    Returns
    -------
    ReadScan
        A scalar 3D image in Hounsfield units, in the file's storage order, with its warnings.

    Raises
    ------
    InputError
        If there is no such file or it is not a volume; says why in one sentence.
    """
    path = Path(path)
    if _exists(path, Path.is_dir):
        scan = read_dicom_folder(path, series)
        check_volume(scan.image)
        return scan
    if series is not None and path.exists():
        raise InputError("Only a DICOM folder has several series; leave the series out.")
    return read_files([path])


def read_files(paths: Sequence[Path]) -> ReadScan:
    """Read the scan from one file, or from the DICOM files of one series.

    Raises
    ------
    InputError
        As for `read_scan`.
    """
    for path in paths:
        if not _exists(path, Path.exists):
            raise InputError(f"There is no file or folder '{path}'.")
        if not path.is_file():
            raise InputError(
                f"'{path}' is not a regular file; choose DICOM, NIfTI, NRRD or MetaImage."
            )
        check_name(path)
    first = Path(paths[0])
    if len(paths) > 1 or read_header(first) is not None:
        scan = read_dicom_files(paths)
    else:
        check_readable(first)
        scan = ReadScan(_read_image_file(first))
    check_volume(scan.image)
    return scan


def voxel_files(path: Path) -> list[Path]:
    """The file and, if its header names another file with the voxels, that file."""
    try:
        return list(dict.fromkeys([path, _format(path).voxel_file(path)]))
    except (InputError, *DAMAGE):
        return [path]


def is_eight_bit(path: Path) -> bool:
    """Whether a NIfTI, NRRD, or MetaImage file has 8-bit voxels: a label map, as CT needs more.

    Only the beginning of the file is read; the answer for a damaged file is false.
    """
    try:
        return _format(path).is_eight_bit(path)
    except (InputError, *DAMAGE):
        return False


def _exists(path: Path, test: Callable[[Path], bool]) -> bool:
    """Whether a path passes the test; invalid paths do not.

    Raises
    ------
    InputError
        If a parent folder may not be read.
    """
    try:
        return test(path)
    except PermissionError as error:
        raise unreadable(path, error) from error
    except (OSError, ValueError):
        return False


def _format(path: Path) -> ModuleType:
    """The module that parses the header of a file, by extension.

    Raises
    ------
    InputError
        If the name has none of the extensions.
    """
    name = path.name.lower()
    for suffixes, module in FORMATS.items():
        if name.endswith(suffixes):
            return module
    if name.endswith(PICTURE_SUFFIXES):
        raise InputError(
            f"'{path.name}' is a picture without a CT's geometry; choose DICOM, NIfTI, NRRD or "
            "MetaImage."
        )
    raise no_image(path)


def _read_image_file(path: Path) -> sitk.Image:
    """Read a NIfTI, NRRD, or MetaImage volume; see `read_scan`."""
    try:
        volume = _format(path).open_volume(path)
        volume.check()
        return volume.read()
    except DAMAGE as error:
        if out_of_memory(error):
            raise MemoryError from error
        raise out_of_reach(path, error) or InputError(
            f"'{path.name}' can't be read; the file is damaged or incomplete."
        ) from error

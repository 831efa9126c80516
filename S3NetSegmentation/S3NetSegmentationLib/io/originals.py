"""Files that no output may replace: the input, and DICOM files of other programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pydicom
from pydicom.uid import SegmentationStorage

from ..errors import InputError
from .dicom_quiet import quiet_pydicom
from .dicom_seg import MAKER
from .files import identity
from .formats import DICOM
from .read import voxel_files


def check_originals(outputs: Iterable[Path], read: Iterable[Path] = ()) -> None:
    """Refuse outputs that would replace an original, however their paths are written.

    Parameters
    ----------
    outputs : iterable of Path
    read : iterable of Path
        The input files; files that hold their voxels count, too.

    Raises
    ------
    InputError
        If an output is one of these files, or a DICOM file that this program has not written.
    """
    there = {_identity(path): path for path in outputs if _identity(path)}
    for path in there.values():
        if _is_dicom(path) and not _is_ours(path):
            raise InputError(
                f"'{path}' is a DICOM file that this program didn't write; give the output another "
                "name."
            )
    if not there:
        return
    for original in (file for path in read for file in voxel_files(path)):
        if _identity(original) in there:
            raise InputError(
                f"'{there[_identity(original)]}' is an input file; give the output another name."
            )


def _identity(path: Path) -> tuple | None:
    """The `identity` of a file; None if it doesn't exist."""
    try:
        return identity(path)
    except (OSError, ValueError):
        return None


def _is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its name or content; true if in doubt."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return path.name.lower().endswith(DICOM) or file.read(132)[128:] == b"DICM"
    except OSError:
        return True


def _is_ours(path: Path) -> bool:
    """Whether a DICOM file is a segmentation written by this program."""
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["SOPClassUID", "Manufacturer"]
            )
            return header.SOPClassUID == SegmentationStorage and header.Manufacturer == MAKER
    except Exception:  # a file that pydicom can't read was not written here
        return False

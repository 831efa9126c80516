"""Write results to files: complete, or not at all."""

from __future__ import annotations

import json
import math
import os
import stat
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .files import check_name, retry_on_permission_error
from .formats import NIFTI_GZ, NRRD, SEG_NRRD, SEGMENTATION_SUFFIXES
from .segments import LUNG_SEGMENTS, LungSegment

TEMPORARY_PREFIX = ".s3net-"
"""Prefix of the names of files that are being written."""

OWNER_ALONE = 0o600
"""Mode of a file that only its owner may read."""


class NotWritten(InputError):
    """The error for a file that can't be written."""

    def __init__(self, path: Path):
        self.path = path
        super().__init__(
            f"'{path}' can't be written; check that the disk is not full and the folder not "
            "write-protected, and close the file if it is open in another program."
        )


@contextmanager
def replacing(path: Path, private: bool = False) -> Iterator[Path]:
    """A temporary file beside `path` to write to; it becomes `path` at the end.

    After an error or an interrupt it is removed, and the previous file is still there. While it is
    being written, only its owner may read it. A file that is replaced keeps its mode, and a link
    stays a link.

    Parameters
    ----------
    path : Path
    private : bool
        Whether only the owner may read a new file.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    try:
        place = path.resolve()
        temporary = _sibling(place, path.name)
        temporary.touch(exist_ok=False)
    except (OSError, RuntimeError) as error:  # links in a loop
        raise NotWritten(path) from error
    try:
        mode = stat.S_IMODE((place if place.exists() else temporary).stat().st_mode)
        _set_mode(temporary, OWNER_ALONE)
        yield temporary
        _flush(temporary)
        if place.exists() or not private:
            _set_mode(temporary, mode)
        retry_on_permission_error(lambda: os.replace(temporary, place))
    except NotWritten as error:
        if error.path == temporary:  # whose name would mean nothing to the user
            raise NotWritten(path) from error
        raise
    except OSError as error:
        raise NotWritten(path) from error
    finally:
        with suppress(OSError):
            retry_on_permission_error(lambda: temporary.unlink(missing_ok=True))


def _set_mode(path: Path, mode: int) -> None:
    with suppress(OSError):  # some drives have no modes
        path.chmod(mode)


def _flush(path: Path) -> None:
    """Wait until the file is on the disk: only then does a network share report that it is full."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sibling(path: Path, name: str) -> Path:
    """A new path in the same folder with the extension of a name, which selects the format."""
    suffix = next((s for s in SEGMENTATION_SUFFIXES if name.lower().endswith(s)), Path(name).suffix)
    return path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}{suffix}")


def remove_temporary(folder: Path) -> None:
    """Remove the temporary files that a killed process left in a folder."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def check_writable(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse an output that can't be written, before any work is done.

    Parameters
    ----------
    path : Path
    suffixes : tuple of str
        Allowed extensions, with their dots.

    Raises
    ------
    InputError
        If the extension is wrong, the folder is missing or not writable, or an existing file is
        protected or in use.
    """
    if not path.name.lower().endswith(suffixes):
        raise InputError(f"The output '{path}' must end in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder '{path.parent}' to write to; create it first.")
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; give the name of a file.")
    check_name(path)
    probe = _sibling(path, path.name)
    try:
        probe.touch()
        retry_on_permission_error(probe.unlink)
        if path.exists():
            path.open("rb+").close()
    except OSError as error:
        raise InputError(
            f"'{path}' can't be written; choose another folder, or close the file if it is open in "
            "another program."
        ) from error


def check_folder(folder: Path) -> None:
    """Refuse a folder that can't be written to or created; nothing is left behind.

    Raises
    ------
    InputError
    """
    check_name(folder)
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    probe = there / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        probe.touch()
        retry_on_permission_error(probe.unlink)
    except OSError as error:
        raise InputError(_unusable(folder)) from error


def make_folder(folder: Path) -> None:
    """Create a folder for outputs if it is missing.

    Raises
    ------
    InputError
        If it can't be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(_unusable(folder)) from error


def _unusable(folder: Path) -> str:
    return f"The folder '{folder}' can't be written to; choose another one."


def write_segmentation(path: Path, lungs: sitk.Image) -> None:
    """Write the lungs for Slicer (``.seg.nrrd``) or as a label map.

    Parameters
    ----------
    path : Path
        Ends in one of `SEGMENTATION_SUFFIXES`.
    lungs : SimpleITK.Image
        0 background, 1 right lung, 2 left lung.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    if path.name.lower().endswith(SEG_NRRD):
        lungs = sitk.Cast(lungs, sitk.sitkUInt8)
        for key, value in _segmentation_header(lungs.GetSize()).items():
            lungs.SetMetaData(key, value)
    write_image(path, lungs)


def write_image(path: Path, image: sitk.Image) -> None:
    """Write an image with its geometry, compressed.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
            complete = _is_complete(temporary, image)
        except (RuntimeError, zlib.error) as error:
            raise OSError from error
        if not complete:
            raise OSError


def _is_complete(path: Path, image: sitk.Image) -> bool:
    """Whether a file contains the whole image; on a full disk, ITK may silently truncate it."""
    name = path.name.lower()
    if name.endswith((NRRD, NIFTI_GZ)):
        content = path.read_bytes()
        stream = zlib.decompressobj(wbits=31)
        stream.decompress(content[content.index(b"\n\n") + 2 :] if "nrrd" in name else content)
        if not stream.eof:
            return False
    written = sitk.ReadImage(str(path))
    return np.array_equal(sitk.GetArrayViewFromImage(written), sitk.GetArrayViewFromImage(image))


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file; NaN becomes null.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    text = json.dumps(without_nan(content), indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def without_nan(value: Any) -> Any:
    """A copy of nested dictionaries and lists with None in place of NaN and infinity."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _segmentation_header(size: tuple[int, int, int]) -> dict[str, str]:
    """The header keys that Slicer's segmentation storage reads."""
    header = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    extent = " ".join(f"0 {count - 1}" for count in size)
    for index, segment in enumerate(LUNG_SEGMENTS):
        for key, value in _segment_header(segment, extent).items():
            header[f"Segment{index}_{key}"] = value
    return header


def _segment_header(segment: LungSegment, extent: str) -> dict[str, str]:
    return {
        "ID": segment.segment_id,
        "Name": segment.name,
        "NameAutoGenerated": "0",
        "Color": " ".join(f"{value:.6f}" for value in segment.color),
        "ColorAutoGenerated": "0",
        "Extent": extent,
        "Layer": "0",
        "LabelValue": str(segment.label),
        "Tags": f"TerminologyEntry:{segment.terminology}|",
    }

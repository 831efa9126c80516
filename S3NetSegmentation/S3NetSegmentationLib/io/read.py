"""Scans from files, as volumes in Hounsfield units with their exact geometry."""

from __future__ import annotations

import gzip
import math
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, out_of_memory
from .dicom import read_dicom_files, read_dicom_folder, read_header
from .files import check_name
from .scan import ReadScan
from .validate import check_volume

CHUNK = 2**24

FORMATS = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
"""ITK's readers of NIfTI, NRRD and MetaImage by the files' extensions."""

SUFFIXES = tuple(FORMATS)

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Known only to tell the user that a picture is no CT."""

VOXELS_ELSEWHERE = re.compile(rb"(?:data ?file|ElementDataFile)\s*[:=]\s*(.+)", re.IGNORECASE)
"""The field by which a header names the file with its voxels."""

EIGHT_BITS = {
    ".nrrd": re.compile(rb"^type:\s*(u?int8(_t)?|(un)?signed char|uchar)\s*$", re.M | re.I),
    ".mha": re.compile(rb"^ElementType\s*=\s*MET_U?CHAR\s*$", re.M | re.I),
}

MAX_VOXELS = 2**31
"""More than any CT has; a file that claims more is damaged."""

STRONGEST_COMPRESSION = 1100
"""Bytes of voxels that gzip can make one byte of, at most."""


def read_volume(path: str | Path, series: str | None = None) -> sitk.Image:
    """Read a scan as an image alone; its warnings are issued as Python's.

    Parameters, errors and result are those of `read_scan`.
    """
    scan = read_scan(path, series)
    for warning in scan.warnings:
        warnings.warn(warning, stacklevel=2)
    return scan.image


def read_scan(path: str | Path, series: str | None = None) -> ReadScan:
    """Read a scan.

    At most a small multiple of the volume's memory is used, and a volume is never larger than
    its file can hold.

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
    ReadScan
        A scalar 3D image in Hounsfield units, in the file's storage order, with its warnings.

    Raises
    ------
    InputError
        If there is no such file or it is no volume; says why in one sentence.
    """
    path = Path(path)
    if _exists(path, Path.is_dir):
        scan = read_dicom_folder(path, series)
        check_volume(scan.image)
        return scan
    if series is not None and path.exists():
        raise InputError("Only a DICOM folder has several series; leave out --series.")
    return read_files([path])


def read_files(paths: Sequence[Path]) -> ReadScan:
    """Read the scan in one file, or in the DICOM files of one series.

    Raises
    ------
    InputError
        As of `read_scan`.
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
        scan = ReadScan(_read_image_file(first))
    check_volume(scan.image)
    return scan


def voxel_files(path: Path) -> list[Path]:
    """The file and, where its header names another one with the voxels, that one."""
    if path.suffix.lower() not in (".nhdr", ".mhd", ".nrrd", ".mha"):
        return [path]
    with path.open("rb") as file:
        head = file.read(2**14).split(b"\n\n")[0]
    named = VOXELS_ELSEWHERE.search(head)
    name = named[1].strip().decode("utf-8", "surrogateescape") if named else "LOCAL"
    name = name.replace("\0", "")  # no file has such a name, and none can be asked for it
    return [path] if name.upper() == "LOCAL" else [path, path.parent / name]


def is_eight_bit(path: Path) -> bool:
    """Whether a NIfTI, NRRD or MetaImage file has 8-bit voxels: a label map, for CT needs more.

    Only the beginning of the file is read; of a damaged file it answers false.
    """
    name, head = path.name.lower(), _head(path)
    if name.endswith((".nii", ".nii.gz")):
        return head[72:74] in (b"\x08\x00", b"\x00\x08")
    pattern = EIGHT_BITS[".nrrd" if name.endswith((".nrrd", ".nhdr")) else ".mha"]
    return bool(pattern.search(head.split(b"\n\n")[0].replace(b"\r", b"")))


def _head(path: Path) -> bytes:
    """The beginning of a file, decompressed; empty where it can't be read."""
    try:
        with path.open("rb") as file:
            head = file.read(2**14)
        if path.name.lower().endswith(".gz"):
            return zlib.decompressobj(wbits=31).decompress(head, 2**14)
    except (OSError, zlib.error):
        return b""
    return head


def _exists(path: Path, test: Callable[[Path], bool]) -> bool:
    """Whether a path passes the test; impossible paths do not."""
    try:
        return test(path)
    except (OSError, ValueError):
        return False


def _reader(path: Path) -> sitk.ImageFileReader:
    """ITK's reader for the file's name; asking all of them would let each try the file."""
    name = path.name.lower()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    for suffix, reads in FORMATS.items():
        if name.endswith(suffix):
            reader.SetImageIO(reads)
            return reader
    if name.endswith(PICTURES):
        return reader
    raise InputError(_no_image(path))


def _read_image_file(path: Path) -> sitk.Image:
    """A NIfTI, NRRD or MetaImage volume; see `read_scan`."""
    reader = _reader(path)
    try:
        if reader.GetImageIO() == "MetaImageIO":
            _check_metaimage(path)
        reader.ReadImageInformation()
        _check_header(path, reader)
        if path.name.lower().endswith((".nii", ".nii.gz")):
            _check_complete(path, reader)
        return reader.Execute()
    except (RuntimeError, OSError, EOFError, zlib.error, ValueError) as error:
        if out_of_memory(error):
            raise MemoryError from error
        raise InputError(_explain(path, str(error))) from error


def _check_metaimage(path: Path) -> None:
    """Refuse a header over whose impossible values ITK would never come to an end.

    Raises
    ------
    ValueError
        If the header is damaged or names several files.
    """
    with path.open("rb") as file:
        lines = file.read(2**14).decode("latin-1").splitlines()
    fields = {}
    for line in lines:
        key, _, value = line.partition("=")
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    dimensions = int(fields.get("NDims", ""))
    lengths = {"DimSize": 1, "ElementSpacing": 1, "ElementSize": 1, "Offset": 1, "Position": 1}
    matrices = {"TransformMatrix": 2, "Orientation": 2, "Rotation": 2}
    for key, power in {**lengths, **matrices}.items():
        values = [float(each) for each in fields.get(key, "").split()]
        if key in fields and len(values) != dimensions**power or not np.isfinite(values).all():
            raise ValueError
    sizes = [int(size) for size in fields.get("DimSize", "").split()]
    name = fields.get("ElementDataFile", "").upper()
    if not 0 < dimensions <= 5 or min(sizes, default=0) < 1 or max(sizes) > MAX_VOXELS:
        raise ValueError
    if not name or "%" in name or name.startswith("LIST"):
        raise ValueError


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
    if path.name.lower().endswith(PICTURES):
        raise InputError(
            f"'{path.name}' is in a format without a CT's geometry; choose DICOM, NIfTI, NRRD or "
            "MetaImage."
        )
    geometry = [*reader.GetSpacing(), *reader.GetOrigin(), *reader.GetDirection()]
    if not np.isfinite(geometry).all() or min(reader.GetSpacing()) <= 0:
        raise InputError(
            f"The voxel size or the position of '{path.name}' is impossible; export the original "
            "CT again."
        )
    axes = np.array(reader.GetDirection()).reshape(3, 3)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise InputError(_sheared(path))
    _check_size(path, size)


def _check_size(path: Path, size: Sequence[int]) -> None:
    """Refuse more voxels than the file can hold before memory is spent on them."""
    voxels = math.prod(size)
    file = voxel_files(path)[-1]
    several = "%" in file.name or file.name.upper().startswith("LIST")
    if not file.is_file() and not several:
        raise InputError(f"The file with the voxels of '{path.name}' is missing.")
    most = MAX_VOXELS if several else STRONGEST_COMPRESSION * file.stat().st_size
    if voxels > min(most, MAX_VOXELS):
        raise InputError(
            f"'{path.name}' claims to be a volume of {' x '.join(map(str, size))} voxels; the "
            "file is damaged."
        )


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
    head = _head(path)
    if not (head.startswith(b"NRRD") or head[344:347] in (b"n+1", b"ni1") or b"NDims" in head):
        return _no_image(path)
    if "orthonormal" in error:
        return _sheared(path)
    return f"'{path.name}' can't be read; the file is damaged or incomplete."


def _no_image(path: Path) -> str:
    return f"'{path.name}' is not an image; choose DICOM, NIfTI, NRRD or MetaImage."


def _sheared(path: Path) -> str:
    return (
        f"The axes of '{path.name}' are not at right angles (a gantry tilt?); resample it to a "
        "rectangular grid first."
    )

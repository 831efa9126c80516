"""Headers of MetaImage files (``.mha``, ``.mhd``).

References
----------
https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geometry import Geometry
from .stored import (
    StoredVolume,
    check_dimensions,
    data_file,
    header_lines,
    no_image,
    no_voxel_size,
    numbers,
)

TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
"""NumPy's names for the types; MetaImage's long has 4 bytes."""

ALIASES = {
    "Position": "Offset",
    "Origin": "Offset",
    "Orientation": "TransformMatrix",
    "Rotation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}


def read_fields(path: Path) -> tuple[dict[str, str], int]:
    """Read the fields of a header by name, and its length in bytes.

    Raises
    ------
    InputError
        If it is not a MetaImage file.
    ValueError
        If the header doesn't end.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for line in header_lines(file):
            name, *value = re.split("[=:]", line, maxsplit=1)
            name = ALIASES.get(name.strip(), name.strip())
            fields[name] = "".join(value).strip()
            if name == "ElementDataFile":
                return fields, file.tell()
    raise ValueError if "NDims" in fields else no_image(path)


def is_eight_bit(path: Path) -> bool:
    """Whether the voxels have 8 bits; raises the same errors as `read_fields`."""
    return _type(read_fields(path)[0]).itemsize == 1


def voxel_file(path: Path) -> Path:
    """The file with the voxels; raises the same errors as `read_fields`."""
    return data_file(path, read_fields(path)[0]["ElementDataFile"])


def open_volume(path: Path) -> StoredVolume:
    """Describe a volume from its header.

    Raises
    ------
    InputError
        If it is not a 3D volume, or stored in an unsupported way.
    ValueError, KeyError
        If the header is damaged.
    """
    fields, length = read_fields(path)
    dimensions = int(fields["NDims"])
    channels = int(fields.get("ElementNumberOfChannels", 1))
    is_vector = channels != 1 or fields["ElementType"].endswith("_ARRAY")
    check_dimensions(path, dimensions, is_vector)
    columns, rows, slices = (int(each) for each in fields["DimSize"].split())
    if not _flag(fields, "BinaryData", "True"):
        raise InputError(
            f"The voxels of '{path.name}' are stored as text; save it again as binary."
        )
    scale = [
        float(fields.get(f"ElementToIntensityFunction{each}", default))
        for each, default in (("Slope", 1), ("Offset", 0))
    ]
    voxels = data_file(path, fields["ElementDataFile"])
    offset = length if voxels == path else int(fields.get("HeaderSize", 0))
    if offset < -1:
        raise ValueError
    return StoredVolume(
        path=path,
        size=(columns, rows, slices),
        geometry=_geometry(path, fields),
        kind=_type(fields),
        voxels=voxels,
        offset=None if offset == -1 else offset,
        is_compressed=_flag(fields, "CompressedData", "False"),
        slope=scale[0],
        intercept=scale[1],
    )


def _type(fields: dict[str, str]) -> np.dtype:
    order = ">" if _flag(fields, "BinaryDataByteOrderMSB", "False") else "<"
    return np.dtype(order + TYPES[fields["ElementType"]])


def _flag(fields: dict[str, str], name: str, default: str) -> bool:
    return {"T": True, "1": True, "F": False, "0": False}[fields.get(name, default)[:1].upper()]


def _geometry(path: Path, fields: dict[str, str]) -> Geometry:
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    if spacing is None:
        raise no_voxel_size(path)
    # Each row of numbers is the direction of one storage axis.
    axes = np.reshape(numbers(fields.get("TransformMatrix", "1 0 0 0 1 0 0 0 1"), 9), (3, 3))
    origin = numbers(fields.get("Offset", "0 0 0"))
    return Geometry(numbers(spacing), origin, tuple(axes.T.ravel().tolist()))

"""What the outputs of each scan are called, by a table that can be kept apart."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..io.write import replacing
from .find import FoundScan

NAME_BY = ("hash", "path", "series")

TABLE = "names.csv"
COLUMNS = ("name", "key", "place")

LONGEST = 100
"""Bytes of a name; file systems count bytes, and allow 255 with all that is added."""


RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that are devices on Windows, whatever their extensions; a file there would be lost."""


def name_scans(scans: Iterable[FoundScan], by: str, table: Path) -> dict[str, str]:
    """A name for each scan, as a file name without its extension.

    Parameters
    ----------
    scans : iterable of FoundScan
    by : {"hash", "path", "series"}
        What new names are made of: of nothing that can be read, of the path below the input, or
        of the SeriesInstanceUID (of a hash, where there is none).
    table : Path
        Names that the table holds already are kept.

    Returns
    -------
    dict of str to str
        Name of each scan's key.

    Raises
    ------
    InputError
        If the table can't be read or gives one name to two scans.
    """
    known = _read(table)
    names: dict[str, str] = {}
    taken = {row["name"].casefold() for row in known.values()}
    for scan in scans:
        if scan.key in known:
            name = known[scan.key]["name"]
        else:
            name = _name(scan, by)
            if name.casefold() in taken:
                name = f"{name}-{_digest(scan.key)}"
            taken.add(name.casefold())
        names[scan.key] = name
    return names


def write_names(scans: Iterable[FoundScan], names: dict[str, str], table: Path) -> None:
    """Write the table: the only file that ties names to series and paths.

    Rows for scans that are no longer there are kept.

    Raises
    ------
    InputError
        If it can't be written.
    """
    rows = _read(table)
    for scan in scans:
        rows[scan.key] = dict(zip(COLUMNS, (names[scan.key], scan.key, scan.place), strict=True))
    with (
        replacing(table) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows.values())


def _read(table: Path) -> dict[str, dict[str, str]]:
    """The rows of the table by their keys."""
    if not table.exists():
        return {}
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = {row["key"]: row for row in csv.DictReader(file)}
            names = [row["name"] for row in rows.values()]
    except (OSError, KeyError, csv.Error) as error:
        raise InputError(
            f"'{table}' is no table of names; it needs the columns name and key."
        ) from error
    if not all(names) or len({name.casefold() for name in names}) < len(names):
        raise InputError(f"'{table}' gives no name to a scan, or one name to two.")
    for name in names:
        if name != _safe(name):
            raise InputError(
                f"'{name}' in '{table}' can't be the name of a file; use letters, digits, points, "
                "dashes and underscores."
            )
    return rows


def _name(scan: FoundScan, by: str) -> str:
    if by == "path" and scan.place != ".":
        return _safe(re.sub(r"(\.seg)?\.(nii|nii\.gz|nrrd|nhdr|mha|mhd)$", "", scan.place))
    if by == "series" and scan.uid:
        return _safe(scan.key)
    return _digest(scan.key)


def _safe(text: str) -> str:
    """Letters, digits, points, dashes and underscores, not too many of them."""
    name = re.sub(r"[^\w.-]+", "_", text).strip("._-") or _digest(text)
    if RESERVED.match(name):
        name = f"scan-{name}"
    if len(name.encode()) <= LONGEST:
        return name
    return f"{name.encode()[: LONGEST - 13].decode(errors='ignore')}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]

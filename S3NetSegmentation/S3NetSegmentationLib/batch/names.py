"""Names for the outputs of each scan, by a table and a secret that can be stored elsewhere."""

from __future__ import annotations

import csv
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..io.formats import VOLUME_SUFFIXES
from ..io.write import replacing
from .find import FoundScan

TABLE = "names.csv"
COLUMNS = ("name", "key", "place")

KEY_BYTES = 32
"""Length of the secret for hashing names: that of a SHA-256 digest."""

MAX_NAME_BYTES = 100
"""File systems count bytes, and allow 255 including whatever is appended."""

VOLUME_END = re.compile(rf"(\.seg)?({'|'.join(map(re.escape, VOLUME_SUFFIXES))})$")
"""What is left out of a name that is made from a path."""

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names of devices on Windows, with any extension; a file with such a name would be lost."""


def key_path(table: Path) -> Path:
    """Path of the secret for hashing, beside the table."""
    return table.with_suffix(".key")


def read_key(table: Path) -> bytes:
    """Read the secret for hashing, or make a new one if there is none yet.

    Without a secret, anybody who knows a hospital's identifiers could tell which scan has which
    name.

    Raises
    ------
    InputError
        If it can't be read.
    """
    path = key_path(table)
    if not os.path.lexists(path):
        return secrets.token_bytes(KEY_BYTES)
    try:
        if not path.is_file() or path.stat().st_size != KEY_BYTES:
            raise ValueError
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' can't be used as the key of the names; restore it, or remove it, and scans "
            "that are not in the table yet will get new names."
        ) from error


def name_scans(scans: Iterable[FoundScan], by: str, table: Path, key: bytes) -> dict[str, str]:
    """Choose a name for each scan: a file name without extension.

    Parameters
    ----------
    scans : iterable of FoundScan
    by : {"hash", "path", "series"}
        What new names are made from: a hash that reveals nothing, the path below the input, or
        the SeriesInstanceUID (a hash if there is none).
    table : Path
        Names that are already in the table are kept.
    key : bytes
        The secret of `read_key`.

    Returns
    -------
    dict of str to str
        Name of each scan's key.

    Raises
    ------
    InputError
        If the table can't be read or gives one name to two scans.
    """
    known = read_names(table)
    names: dict[str, str] = {}
    taken = {row["name"].casefold() for row in known.values()}
    for scan in scans:
        if scan.key in known:
            name = known[scan.key]["name"]
        else:
            name = _name(scan, by, key)
            if name.casefold() in taken:
                name = f"{name}-{_digest(scan.key, key)}"
            taken.add(name.casefold())
        names[scan.key] = name
    return names


def write_names(scans: Iterable[FoundScan], names: dict[str, str], table: Path, key: bytes) -> None:
    """Write the table, the only file that links names to series and paths, and the secret.

    Only the owner may read new ones; an existing table keeps its mode. Rows for scans that no
    longer exist are kept.

    Raises
    ------
    InputError
        If it can't be written.
    """
    if not key_path(table).exists():
        with replacing(key_path(table), private=True) as temporary:
            temporary.write_bytes(key)
    rows = read_names(table)
    for scan in scans:
        rows[scan.key] = dict(zip(COLUMNS, (names[scan.key], scan.key, scan.place), strict=True))
    with (
        replacing(table, private=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows.values())


def read_names(table: Path) -> dict[str, dict[str, str]]:
    """Read the rows of the table, by key.

    Raises
    ------
    InputError
        If it is not a table of names, or gives one name to two scans.
    """
    if not os.path.lexists(table):
        return {}
    try:
        if not table.is_file():
            raise KeyError
        with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames and not {"key", "name"} <= set(reader.fieldnames):
                raise KeyError
            rows = {row["key"]: row for row in reader}
            names = [row["name"] for row in rows.values()]
    except (OSError, KeyError, csv.Error) as error:
        raise InputError(
            f"'{table}' is not a table of names; it needs the columns name and key."
        ) from error
    if not all(names) or len({name.casefold() for name in names}) < len(names):
        raise InputError(f"'{table}' gives no name to a scan, or the same name to two.")
    for name in names:
        if name != _safe(name):
            raise InputError(
                f"'{name}' in '{table}' can't be the name of a file; use letters, digits, points, "
                "dashes and underscores."
            )
    return rows


def _name(scan: FoundScan, by: str, key: bytes) -> str:
    if by == "path" and scan.place != ".":
        return _safe(VOLUME_END.sub("", scan.place))
    if by == "series" and scan.uid:
        return _safe(scan.key)
    return _digest(scan.key, key)


def _safe(text: str) -> str:
    """A text reduced to letters, digits, points, dashes, and underscores, and shortened."""
    name = re.sub(r"[^\w.-]+", "_", text).strip("._-") or _digest(text, b"")
    if RESERVED.match(name):
        name = f"scan-{name}"
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"{name.encode()[: MAX_NAME_BYTES - 13].decode(errors='ignore')}-{_digest(text, b'')}"


def _digest(text: str, key: bytes) -> str:
    """A hash that reveals nothing without the key."""
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:12]

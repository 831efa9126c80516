"""``results.csv``: a row for each scan."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from ..io.write import replacing
from ..lung.densitometry import QUANTITIES, REGIONS, WHOLE
from ..settings import Settings
from .find import FORMULA

_NUMBERS = {region: {each.key: f"{region}_{each.key}" for each in QUANTITIES} for region in REGIONS}
"""Column name of each quantity of each region."""


def write_table(path: Path, records: Iterable[dict]) -> None:
    """Write the records of a batch as a table.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, _COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(_row(record) for record in records)


_COLUMNS = (
    "name",
    "status",
    "quality",
    *(column for region in WHOLE for column in _NUMBERS[region].values()),
    "size",
    "spacing_mm",
    "seconds",
    "attempts",
    "warnings",
    "hints",
    "error",
    *(f"settings.{name}" for name in Settings().as_dict()),
    "versions",
    *(column for region in REGIONS if region not in WHOLE for column in _NUMBERS[region].values()),
)


def _row(record: dict) -> dict:
    row = {key: record.get(key, "") for key in ("name", "status", "seconds", "attempts")}
    row["quality"] = _number(record.get("quality"))
    row["warnings"] = _text(*record["warnings"])
    row["hints"] = _text(*record.get("hints", ()))
    row["error"] = _text(record["error"])
    for region, numbers in record.get("numbers", {}).items():
        row.update({_NUMBERS[region][key]: _number(value) for key, value in numbers.items()})
    for key, values in record.get("image", {}).items():
        row[key] = " ".join(f"{value:.6g}" for value in values)
    row.update({f"settings.{key}": value for key, value in record.get("settings", {}).items()})
    if "versions" in record:
        row["versions"] = json.dumps(record["versions"])
    return {key: value for key, value in row.items() if key in _COLUMNS}


def _text(*sentences: str) -> str:
    """Sentences, written so that no spreadsheet takes them for a formula."""
    text = " ".join(sentences)
    return f"'{text}" if text.startswith(FORMULA) else text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

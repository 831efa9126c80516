"""``results.csv``: a row for each scan."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from ..io.write import replacing
from ..settings import Settings
from .find import FORMULA

FIGURES = ("volume_ml", "mean_hu", "emphysema_fraction")
"""Of each lung: its volume, its mean intensity, and its share of emphysema."""

SIDES = ("right", "left")


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
    "total_volume_ml",
    *(f"{side}_{figure}" for side in SIDES for figure in FIGURES),
    "size",
    "spacing_mm",
    "seconds",
    "attempts",
    "warnings",
    "hints",
    "error",
    *(f"settings.{name}" for name in Settings().as_dict()),
    "versions",
)


def _row(record: dict) -> dict:
    row = {key: record.get(key, "") for key in ("name", "status", "seconds", "attempts")}
    row["quality"] = _number(record.get("quality"))
    row["warnings"] = _text(*record["warnings"])
    row["hints"] = _text(*record.get("hints", ()))
    row["error"] = _text(record["error"])
    lungs = record.get("lungs", ())
    for side, lung in zip(SIDES, lungs, strict=False):
        row.update({f"{side}_{figure}": _number(lung[figure]) for figure in FIGURES})
    if lungs:
        row["total_volume_ml"] = _number(sum(lung["volume_ml"] for lung in lungs))
    for key, values in record.get("image", {}).items():
        row[key] = " ".join(f"{value:.6g}" for value in values)
    row.update({f"settings.{key}": value for key, value in record.get("settings", {}).items()})
    if "versions" in record:
        row["versions"] = json.dumps(record["versions"])
    return {key: value for key, value in row.items() if key in _COLUMNS}


def _text(*sentences: str) -> str:
    """Sentences that no spreadsheet takes for a formula."""
    text = " ".join(sentences)
    return f"'{text}" if text.startswith(FORMULA) else text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

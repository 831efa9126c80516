"""Tables of several scans: a row for each, also for one that failed; inspiration, expiration."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import slicer

from ..lung.densitometry import WHOLE
from ..lung.levels import AIR_TRAPPING_HU, EMPHYSEMA_HU
from ..result import LungResult
from .logic import NO_LUNGS_MESSAGE
from .tables import fillTable

RIGHT, LEFT, BOTH, MEAN = "Right (mL)", "Left (mL)", "Both (mL)", "Mean (HU)"
EMPHYSEMA, TRAPPED = f"< {EMPHYSEMA_HU} HU (%)", f"< {AIR_TRAPPING_HU} HU (%)"
NOTE = "Note"

Row = dict[str, Any]
"""What a table says of a scan, by the titles of the columns; what is not known is missing."""


def rowOf(result: LungResult) -> Row:
    """The row of a scan from its result."""
    right, left, both = (result.figures.numbers[region] for region in WHOLE)
    volumes = [round(region["volume_ml"]) for region in (right, left, both)]
    row: Row = dict(zip((RIGHT, LEFT, BOTH), volumes, strict=True))
    if not result.lungs_found:
        return row | {NOTE: NO_LUNGS_MESSAGE}
    return row | {
        MEAN: round(both["mean_hu"]),
        EMPHYSEMA: round(both["laa950_percent"], 1),
        TRAPPED: round(both["laa856_percent"], 1),
        NOTE: " ".join(result.figures.hints),
    }


def writeScans(
    tableNode: slicer.vtkMRMLTableNode,
    names: dict[str, list],
    rows: Sequence[Row],
    plotted: Sequence[str] = (),
) -> None:
    """Fill a table node.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode
    names : dict of str to list
        The first columns, which tell the scans apart.
    rows : sequence of Row
    plotted : sequence of str
        Columns of numbers, NaN where one is missing; the others are texts.
    """
    columns: dict[str, list] = {
        title: [str(row.get(title, "")) for row in rows]
        for title in (RIGHT, LEFT, BOTH, MEAN, EMPHYSEMA, TRAPPED, NOTE)
    }
    columns |= {title: [float(row.get(title, nan)) for row in rows] for title in plotted}
    fillTable(tableNode, names | columns)


def writeBreath(tableNode: slicer.vtkMRMLTableNode, rows: Sequence[Row]) -> bool:
    """Compare the frames with the most and the least lung, where two show any; whether they do."""
    found = [frame for frame, row in enumerate(rows) if row.get(BOTH)]
    if len(found) < 2:
        return False
    found.sort(key=lambda frame: rows[frame][BOTH])
    inspiration, expiration = found[-1], found[0]
    most, least = rows[inspiration], rows[expiration]
    fillTable(
        tableNode,
        {
            "Both lungs": ["Volume (mL)", MEAN, f"Air trapping, {TRAPPED}"],
            f"Inspiration (frame {inspiration + 1})": [str(most[BOTH]), str(most[MEAN]), ""],
            f"Expiration (frame {expiration + 1})": [
                str(least[title]) for title in (BOTH, MEAN, TRAPPED)
            ],
            "Difference": [*(str(most[title] - least[title]) for title in (BOTH, MEAN)), ""],
        },
    )
    return True

"""``report.html``: a row for each scan. It needs no network; overviews are separate files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from .. import __version__
from ..io.write import replacing
from ..lung.densitometry import BRIEF, QUANTITIES, WHOLE
from .words import DONE

MORE = tuple(quantity for quantity in QUANTITIES if quantity not in BRIEF)
"""Quantities that are shown on request."""

HEADINGS = (
    *("Lungs", "Name", "Status", "Quality", "Right mL", "Left mL"),
    *(quantity.title for quantity in (*BRIEF, *MORE)),
    *("Seconds", "Notes"),
)

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lungs by S3-Net</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .2rem; }}
table {{ border-collapse: collapse; margin-top: 1rem; }}
th, td {{ padding: .4rem .6rem; border-bottom: 1px solid #ddd; text-align: right;
  vertical-align: top; }}
th {{ position: sticky; top: 0; background: #f3f4f6; cursor: pointer; }}
th[aria-sort=ascending]::after {{ content: " \\25B2"; }}
th[aria-sort=descending]::after {{ content: " \\25BC"; }}
td:nth-child(2), td:nth-child(3), td:last-child,
th:nth-child(2), th:nth-child(3), th:last-child {{ text-align: left; }}
td:nth-child(2) {{ overflow-wrap: anywhere; min-width: 7rem; max-width: 18rem; }}
td:nth-child(3) {{ white-space: nowrap; }}
td:last-child {{ min-width: 14rem; max-width: 26rem; }}
th:first-child {{ cursor: default; text-align: left; }}
img {{ width: 200px; min-height: 20px; display: block; cursor: zoom-in; }}
img.large {{ width: 640px; cursor: zoom-out; }}
table:not(.all) :is(td, th):nth-child(n+{first_of_more}):nth-child(-n+{last_of_more}) {{
  display: none; }}
.failed td:nth-child(3) {{ color: #b3261e; font-weight: 600; }}
.warned td:last-child, .no-lungs td:nth-child(3) {{ color: #8a5300; }}
@page {{ size: A4 landscape; margin: 8mm; }}
@media print {{
  body {{ font-size: 8px; margin: 0; }}
  th, td {{ padding: .2rem; }}
  th {{ position: static; }}
  td:nth-child(2) {{ min-width: 0; max-width: 10rem; }}
  td:last-child {{ min-width: 0; max-width: none; overflow-wrap: anywhere; }}
  img, img.large {{ width: 90px; }}
  tr {{ break-inside: avoid; }}
}}
</style>
</head>
<body>
<h1>Lungs by S3-Net</h1>
<p>{summary}<br>S3NetExtension {version}, {time}. Check the lungs before you use them;
this is not a diagnosis. The quality is an estimate, which misses dense disease.
Click a heading to sort, an overview to enlarge it.<br>
The other numbers are for both lungs; <label><input type="checkbox" id="all"> show all</label>.
Numbers for each lung and its thirds are in <code>results.csv</code>.</p>
<table>
<thead><tr>{headings}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<script>
for (const [column, heading] of document.querySelectorAll("th").entries()) {{
  if (!column) continue;
  heading.onclick = () => {{
    const up = heading.ariaSort !== "ascending";
    for (const other of document.querySelectorAll("th")) other.ariaSort = null;
    heading.ariaSort = up ? "ascending" : "descending";
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const body = document.querySelector("tbody");
    const compare = (a, b) => value(a).localeCompare(value(b), "en", {{numeric: true}});
    const number = (a, b) => Number(value(a)) - Number(value(b));
    const rows = [...body.rows];
    const empty = rows.filter(row => value(row) === "");
    const filled = rows.filter(row => value(row) !== "");
    filled.sort(filled.every(row => !isNaN(value(row))) ? number : compare);
    body.append(...(up ? filled : filled.reverse()), ...empty);
  }};
}}
document.querySelector("#all").onchange = event =>
  document.querySelector("table").classList.toggle("all", event.target.checked);
for (const overview of document.images) {{
  overview.onclick = () => overview.classList.toggle("large");
}}
</script>
</body>
</html>
"""


def write_report(
    path: Path, records: list[dict], overviews: dict[str, Path], asked: int, left_out: int = 0
) -> None:
    """Write the records of a batch as an HTML page with an overview for each scan.

    Parameters
    ----------
    path : Path
    records : list of dict
    overviews : dict of str to Path
        Path of the overview of each scan, by name: below the page's folder.
    asked : int
        Number of scans in the batch, including those not done.
    left_out : int
        Number of files and series that were left out.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    page = PAGE.format(
        summary=escape(summary(records, asked, left_out)),
        version=escape(__version__),
        time=datetime.now().strftime("%Y-%m-%d %H:%M"),
        first_of_more=1 + HEADINGS.index(MORE[0].title),
        last_of_more=1 + HEADINGS.index(MORE[-1].title),
        headings="".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS),
        rows="\n".join(
            _row(record, _image(overviews[record["name"]], path.parent)) for record in records
        ),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def summary(records: Iterable[dict], asked: int, left_out: int = 0) -> str:
    """How many scans have which status, in one line.

    Parameters
    ----------
    records : iterable of dict
    asked : int
        How many scans the batch has.
    left_out : int
        How many files and series were left out.
    """
    counts: dict[str, int] = {}
    for record in records:
        counts[record["status"]] = counts.get(record["status"], 0) + 1
    left = asked - sum(counts.values())
    parts = [f"{count} {status}" for status, count in counts.items()]
    if left:
        parts.append(f"{left} pending")
    more = f"; {left_out} files or series left out" if left_out else ""
    return f"{asked} scan{'s' * (asked != 1)}: {', '.join(parts)}{more}"


def _row(record: dict, image: str) -> str:
    nothing: dict[str, float] = {}
    right, left, both = (record.get("numbers", {}).get(side, nothing) for side in WHOLE)
    volume, *_ = QUANTITIES
    notes = (*record["warnings"], *record.get("hints", ()))
    cells = [
        image,
        _text(record["name"]),
        _text(record["status"]),
        _number(record.get("quality"), ".2f"),
        *(_text(volume.text(lung.get(volume.key))) for lung in (right, left)),
        *(_text(quantity.text(both.get(quantity.key))) for quantity in (*BRIEF, *MORE)),
        _number(record.get("seconds"), ".1f"),
        _text(" ".join(filter(None, [record["error"], *notes]))),
    ]
    kind = record["status"].replace(" ", "-")
    if notes and record["status"] == DONE:
        kind = "warned"
    return f'<tr class="{kind}">{"".join(cells)}</tr>'


def _text(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(value: float | None, style: str) -> str:
    if value is None:
        return '<td data-value=""></td>'
    return f'<td data-value="{value:.6g}">{format(value, style)}</td>'


def _image(overview: Path, folder: Path) -> str:
    """An overview that a browser loads on scrolling; ten thousand at once would be too many."""
    if not overview.is_file():
        return "<td></td>"
    source = escape(quote(overview.relative_to(folder).as_posix()))
    return f'<td><img alt="lungs, outlined" loading="lazy" src="{source}"></td>'

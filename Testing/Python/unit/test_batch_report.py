"""The report as a browser shows it: offline, complete, sortable."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import SimpleITK as sitk
from S3NetSegmentationLib.batch.report import write_report
from S3NetSegmentationLib.lung.densitometry import QUANTITIES, REGIONS

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
    "--window-size=1500,900",
)
RED = (200, 30, 40)


def record(name: str, status: str = "done", right: float = 2000.0, **more) -> dict:
    lung = {**dict.fromkeys((each.key for each in QUANTITIES), 12.345), "volume_ml": right}
    left = {**dict.fromkeys(lung, None), "volume_ml": 0.0, "mass_g": 0.0}
    numbers = {**dict.fromkeys(REGIONS, lung), "left": left}
    figures = {"numbers": numbers, "seconds": 12.3, "quality": 0.957} if status == "done" else {}
    return {"name": name, "status": status, "error": "", "warnings": [], **figures, **more}


RECORDS = [
    record("b", right=900.0),
    record("a", right=12000.0, warnings=["The gantry was tilted & <b>moved</b>."]),
    record("c", "failed", error="It can't be read."),
    record("scan10", right=3000.0),
    record("scan9", "no lungs"),
]


@pytest.fixture
def page(tmp_path):
    """A report with a red overview for each scan that was segmented."""
    overviews = {each["name"]: tmp_path / f"{each['name']}.jpg" for each in RECORDS}
    red = np.broadcast_to(np.array(RED, np.uint8), (300, 640, 3)).copy()
    for each in RECORDS:
        if each["status"] == "done":
            overview = sitk.GetImageFromArray(red, isVector=True)
            sitk.WriteImage(overview, str(overviews[each["name"]]))
    write_report(tmp_path / "report.html", RECORDS, overviews, 7, 2)
    return tmp_path / "report.html"


class Table(HTMLParser):
    """The texts of the cells of each row."""

    def __init__(self, html: str):
        super().__init__()
        self.rows: list[list[str]] = []
        self.overviews = 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            self.overviews += 1

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_every_scan_has_its_row(page):
    table = Table(page.read_text(encoding="utf-8").split("<script>")[0])
    headings, *rows = table.rows
    assert [row[1] for row in rows] == ["b", "a", "c", "scan10", "scan9"]
    by_heading = dict(zip(headings, rows[1], strict=True))
    assert by_heading["Right mL"] == "12000"
    assert by_heading["Left mL"] == "0"
    assert by_heading["Quality"] == "0.96"
    assert by_heading["Volume (mL)"] == "12000"
    for quantity in QUANTITIES[1:]:
        assert by_heading[quantity.title] == ("12.3" if quantity.unit == "%" else "12")
    assert by_heading["Notes"] == "The gantry was tilted & <b>moved</b>."
    assert rows[2][-1] == "It can't be read."
    assert table.overviews == 3


def test_page_stands_alone(page):
    html = page.read_text(encoding="utf-8")
    assert "7 scans: 3 done, 1 failed, 1 no lungs, 2 pending; 2 files" in html
    assert not re.search(r"https?:|@import|<link|src=\"(?!\w+\.jpg\")", html)
    assert str(page.parent) not in html


def test_ten_thousand_scans_make_a_page_of_a_few_megabytes(tmp_path):
    (tmp_path / "overview.jpg").write_bytes(bytes(50_000))
    records = [record(f"scan{number}") for number in range(10_000)]
    overviews = {each["name"]: tmp_path / "overview.jpg" for each in records}
    write_report(tmp_path / "report.html", records, overviews, 10_000)
    assert (tmp_path / "report.html").stat().st_size < 8e6


def test_any_name_of_an_overview_can_be_asked_for(tmp_path):
    overview = tmp_path / "records" / "Größe 100% #1?.jpg"
    overview.parent.mkdir()
    overview.touch()
    write_report(tmp_path / "report.html", [record("a")], {"a": overview}, 1)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    (source,) = re.findall(r'src="([^"]+)"', html)
    assert unquote(source) == "records/Größe 100% #1?.jpg"
    assert not set(source) & set("#? ")


def browse(page, *options) -> str:
    command = [BROWSER, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *options]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


needs_browser = pytest.mark.skipif(
    not BROWSER, reason="Chromium is not installed (Debian: apt-get install chromium)"
)


@needs_browser
@pytest.mark.parametrize(
    ("heading", "clicks", "order"),
    [
        ("Name", 1, ["a", "b", "c", "scan9", "scan10"]),
        ("Right mL", 1, ["b", "scan10", "a", "c", "scan9"]),
        ("Right mL", 2, ["a", "scan10", "b", "scan9", "c"]),
        ("Status", 1, ["b", "a", "scan10", "c", "scan9"]),
    ],
)
def test_click_sorts(page, heading, clicks, order):
    """Numbers as numbers, and rows without a figure at the end either way."""
    click = (
        "<script>for (const each of document.querySelectorAll('th'))"
        f" if (each.textContent === '{heading}') for (let i = 0; i < {clicks}; i++) each.click();"
        "</script></body>"
    )
    html = page.read_text(encoding="utf-8").replace("</body>", click)
    page.write_text(html, encoding="utf-8")
    table = Table(browse(page, "--dump-dom").split("<script>")[0])
    names = [row[1] for row in table.rows[1:]]
    filled = 3 if heading == "Right mL" else 5
    assert names[:filled] == order[:filled]
    assert set(names) == set(order)


@needs_browser
def test_overviews_are_seen(page):
    shot = page.parent / "shot.png"
    browse(page, f"--screenshot={shot}")
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(shot)))[..., :3].astype(int)
    red = (np.abs(pixels - RED) < 12).all(-1)
    # Three overviews, 200 pixels wide, one below the other.
    assert np.flatnonzero(red.any(0)).size == pytest.approx(200, abs=4)
    assert red.sum() == pytest.approx(3 * 200 * 94, rel=0.05)


@needs_browser
def test_on_paper_no_column_is_cut_off(page):
    """As wide as A4 across within its margins, with the styles for print."""
    width = (297 - 2 * 8) / 25.4 * 96
    note = "A long sentence about slices. " * 8
    html = page.read_text(encoding="utf-8").replace("@media print", "@media all")
    html = html.replace("It can&#x27;t be read.", note + "x" * 60)
    measure = "<script>document.title = document.querySelector('table').scrollWidth;</script>"
    page.write_text(html.replace("</body>", measure + "</body>"), encoding="utf-8")
    shown = browse(page, f"--window-size={width:.0f},700", "--dump-dom")
    assert note.strip() in shown
    assert int(re.search(r"<title>(\d+)</title>", shown)[1]) <= width

"""What accuracy.py wrote is summed up in the file of the measurements, and tables tell its run."""

from __future__ import annotations

import json
import sys

import pytest
import record
import summary
import tables
from figures import FAILED, Row, append_rows

RUN = {
    "date": "2026-01-02",
    "version": "1.0",
    "commit": "abc1234",
    "machine": "a processor, 2 cores",
    "packages": "Python 3.12",
    "command": "accuracy.py --seeds 0 1",
}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Sum rows up in a file that holds others already; gives its tables."""
    file = tmp_path / "measurements.json"
    before = [
        {"image": image, "method": "s3net", "dsc": 90.0, "seeds": 1, "run": "1"}
        for image in ("cip_copd", "sample")
    ]
    old = {"date": "2025-01-01", "command": "accuracy.py"}
    file.write_text(json.dumps({"runs": {"1": old}, "tables": {"scans": before}}), "utf-8")
    monkeypatch.setattr(record, "FILE", file)

    def sum_up(*rows: Row) -> dict:
        folder = tmp_path / "benchmark"
        folder.mkdir()
        append_rows(folder / "accuracy.jsonl", list(rows))
        (folder / "run.json").write_text(json.dumps(RUN), "utf-8")
        monkeypatch.setattr(sys, "argv", ["summary.py", str(folder)])
        assert summary.main() == 0
        return record.load()

    return sum_up


def scan(seed: int, dsc: float, quality: float) -> Row:
    return Row(
        "chest CT", "cip_copd", "s3net", seed, "automatic", dsc, 0, 0, called_l=5.0, quality=quality
    )


def test_a_row_takes_the_place_of_the_one_before_and_names_its_run(measured):
    measurements = measured(scan(0, 98.0, 0.97), scan(1, 98.5, 0.98))
    new, kept = measurements["tables"]["scans"]
    assert (new["dsc"], new["seeds"], new["seed_range"]) == (98.25, 2, 0.5)
    assert new["infected"] is None
    assert measurements["runs"][new["run"]] == RUN
    assert kept["dsc"] == 90
    assert measurements["runs"][kept["run"]]["date"] == "2025-01-01"
    (estimate,) = measurements["tables"]["estimates"]
    assert (estimate["quality"], estimate["dsc"]) == (97.5, 98.25)


def test_a_table_shows_the_figures_and_every_run_that_they_come_from(measured):
    measurements = measured(scan(0, 98.0, 0.97))
    page = "Before\n<!-- table: healthy -->\nold\n<!-- end -->\nafter\n"
    text = tables.rendered(page, measurements)
    assert text.startswith("Before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| 64×64×79 | 0.980 | – | – | – |" in text
    assert "| 512×512×133 | 0.900 |" in text
    assert "measured on 2026-01-02 by `accuracy.py --seeds 0 1`, version 1.0 (abc1234)" in text
    assert "entered on 2025-01-01" in text
    assert tables.rendered(text, measurements) == text


def test_a_picture_without_a_result_counts_as_nothing_found(measured):
    def picture(name: str, protocol: str, dsc: float) -> Row:
        return Row("PH2 skin", name, "s3net", 0, protocol, dsc, 100 - dsc, 100 - dsc)

    measurements = measured(
        picture("a", "automatic", 90), picture("a", "best cluster", 96), picture("b", FAILED, 0)
    )
    automatic, best = measurements["tables"]["groups"]
    assert (automatic["images"], automatic["dsc"], automatic["worst"]) == (2, 45, 0)
    assert (best["protocol"], best["dsc"]) == ("best cluster", 48)


def test_a_wrong_reference_is_left_out_and_told_apart(measured):
    def slice_(name: str, dsc: float) -> Row:
        return Row("Kaggle slices", name, "s3net", 0, "automatic", dsc, 1, 1, quality=0.9)

    measurements = measured(slice_("dev_1", 98), slice_("dev_52", 50))
    (row,) = measurements["tables"]["groups"]
    assert (row["images"], row["dsc"], row["every_dsc"], row["every_worst"]) == (1, 98, 74, 50)
    assert [row["image"] for row in measurements["tables"]["estimates"]] == ["dev_1"]


def test_points_of_the_plot_lie_where_their_figures_say():
    svg = tables.scatter({"a": [(100, 100), (90, 95)]}, "across", "upward")
    side, margin = 420, 40
    assert f'cx="{side - margin:.1f}" cy="{margin:.1f}"' in svg
    assert f'cx="{margin:.1f}" cy="{side / 2:.1f}"' in svg

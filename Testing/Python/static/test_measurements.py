"""The figures in the documentation are those of the file of the measurements."""

from __future__ import annotations

import re

import pytest
from documents import DOCS, PAGES, name_of, read
from record import load
from tables import BLOCK, PAGE, PLOT, TABLES, Source, plot, rendered

MEASUREMENTS = load()

DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)")
NO_PROSE = re.compile(r"^```.*?^```$|`[^`\n]*`|\]\([^)]*\)|https?:\S+", re.DOTALL | re.MULTILINE)


def decimals(text: str) -> set[str]:
    return set(DECIMAL.findall(NO_PROSE.sub("", text)))


def sections() -> dict[str, str]:
    parts = re.split(r"^##+ (.+)$", read(PAGE), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_table_is_the_one_that_the_file_makes():
    page = read(PAGE)
    assert {name for _, name, _ in BLOCK.findall(page)} == {*TABLES, "summary"}
    assert rendered(page, MEASUREMENTS) == page, "run 'make tables'"
    assert read(PLOT) == plot(Source(MEASUREMENTS)), "run 'make tables'"


def test_no_table_of_figures_is_typed_by_hand():
    typed = BLOCK.sub("", read(PAGE).split("\n## Measure again\n")[0])
    assert not re.findall(r"^\|.*", typed, re.MULTILINE)


@pytest.mark.parametrize("section", sections())
def test_figures_in_the_text_are_in_a_table_beside_it_or_in_the_file(section):
    text = sections()[section]
    tables = decimals("".join(match.group() for match in BLOCK.finditer(text)))
    noted = [row for row in MEASUREMENTS["tables"]["text"] if row["section"] == section]
    known = tables.union(*(row["figures"] for row in noted))
    assert decimals(BLOCK.sub("", text)) - known == set()


@pytest.mark.parametrize("path", [page for page in PAGES if page != PAGE], ids=name_of)
def test_figures_that_other_pages_quote_are_in_the_tables(path):
    tables = decimals("".join(match.group() for match in BLOCK.finditer(read(PAGE))))
    quoting = [line for line in read(path).splitlines() if "measurements.md#" in line]
    assert decimals("\n".join(quoting)) - tables == set()


@pytest.mark.parametrize("path", [PAGES[0], DOCS / "index.md"], ids=name_of)
def test_first_pages_leave_figures_to_the_measurements(path):
    assert not re.findall(r"\b0\.\d+|\d ?%", read(path))


def test_every_row_says_when_and_by_what_it_was_measured():
    for rows in MEASUREMENTS["tables"].values():
        for row in rows:
            assert {"date", "command"} <= set(MEASUREMENTS["runs"][row["run"]])

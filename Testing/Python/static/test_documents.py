"""README and docs keep to what the program says and to files that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from documents import DOCS, DOCUMENTS, README, inline_code, name_of, read
from extension_files import LIBRARY, ROOT, parse

ANY = "…"
"""Stands for what a message fills in, and for its end."""


def messages() -> set[str]:
    """Every text in the library, with `ANY` for what is filled in."""
    found = set()
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", None) for part in node.values)
                found.add("".join(part if isinstance(part, str) else ANY for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_each_message_under_troubleshooting_is_one_of_the_program():
    quoted = re.findall(r'^\| "(.+)" \|', read(DOCS / "troubleshooting.md"), flags=re.MULTILINE)
    assert len(quoted) > 10
    said = messages()
    patterns = {each: ".*".join(map(re.escape, each.split(ANY))) for each in quoted}
    unknown = [
        message
        for message, pattern in patterns.items()
        if not any(re.fullmatch(pattern, each, re.DOTALL) for each in said)
    ]
    assert unknown == []


def anchors(path: Path) -> set[str]:
    """What a link can name of a document after the #."""
    headings = re.findall(r"^#+ (.+)$", read(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_each_link_inside_the_project_leads_somewhere(path: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_each_file_of_the_project_that_is_named_exists(path: Path):
    named = [code for code in inline_code(path) if re.match(r"(Testing|S3NetSegmentation)/", code)]
    assert [each for each in named if not list(ROOT.glob(each.rstrip("/")))] == []


def test_each_function_among_the_steps_of_the_algorithm_exists():
    section = read(DOCS / "algorithm.md").split("\n## The steps\n")[1].split("\n#")[0]
    cells = re.findall(r"^\| \w+ \| (`.+?) \| ", section, flags=re.MULTILINE)
    functions = re.findall(r"`([\w.]+)`", " ".join(cells))
    assert len(functions) > 7
    for function in functions:
        *module, name = function.split(".")
        tree = parse(LIBRARY.joinpath(*module).with_suffix(".py"))
        assert name in {getattr(node, "name", None) for node in tree.body}, function


def test_readme_is_short_shows_a_picture_and_names_the_module():
    text = read(README)
    assert len(text.split()) <= 900
    assert re.search(r"!\[[^\]]+\]\([^)]+\.png\)", text)
    assert "S3-Net Lung Segmentation" in text


def test_nobody_is_told_to_install_a_name_of_ours_that_somebody_else_may_own():
    """The package is on no index yet: it is installed from a clone."""
    pages = [*DOCUMENTS, *LIBRARY.rglob("*.py")]
    told = [line for path in pages for line in re.findall(r"pip install .*", read(path))]
    assert len(told) > 5
    assert not [line for line in told if re.search("s3net", line, re.IGNORECASE)]

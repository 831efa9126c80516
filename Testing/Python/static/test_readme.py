"""The documents keep to what the program says and to files that exist."""

from __future__ import annotations

import ast
import re

import pytest
from extension_files import LIBRARY, ROOT, parse

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/releasing.md"]
ANY = "…"
"""Stands for what a message fills in."""


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
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Troubleshooting\n")[1].split("\n## ")[0]
    quoted = re.findall(r'^\| "(.+)" \|', section, flags=re.MULTILINE)
    assert len(quoted) > 10
    said = messages()
    patterns = [".*".join(map(re.escape, message.split(ANY))) for message in quoted]
    unknown = [p for p in patterns if not any(re.fullmatch(p, each, re.DOTALL) for each in said)]
    assert unknown == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_link_inside_the_project_leads_somewhere(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif "://" not in link:
            assert (ROOT / name).parent.joinpath(link).exists(), link


def test_each_make_target_that_a_document_names_is_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = {
        target
        for name in DOCUMENTS
        for target in re.findall(r"`[^`\n]*make ([a-z-]+)`", (ROOT / name).read_text("utf-8"))
    }
    assert named
    assert sorted(named - targets) == []


def test_readme_shows_a_picture_and_names_the_module():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"!\[[^\]]+\]\([^)]+\.png\)", text)
    assert "S3-Net Lung Segmentation" in text

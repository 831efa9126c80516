"""README and docs, read as text: their pages, and the code within them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from extension_files import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
DOCUMENTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def name_of(path: Path) -> str:
    """Path of a document within the project."""
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> str:
    """Text of a document."""
    return path.read_text(encoding="utf-8")


def code_blocks(path: Path) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", read(path), re.MULTILINE | re.DOTALL)
    return [(language, textwrap.dedent(code)) for language, code in found]


def inline_code(path: Path) -> list[str]:
    """Each piece of code within the text."""
    text = re.sub(r"^ *```.*?^ *```$", "", read(path), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)

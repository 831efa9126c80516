"""The extension's own files, read as text, for tests without Slicer."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "S3NetExtension"
MODULE_NAME = "S3NetSegmentation"
MODULE = ROOT / MODULE_NAME
LIBRARY = MODULE / f"{MODULE_NAME}Lib"
SCRIPT = MODULE / f"{MODULE_NAME}.py"
EFFECT_NAME = "SegmentEditorS3Net"
EFFECT = ROOT / EFFECT_NAME
PANEL = MODULE / "Resources" / "UI" / f"{MODULE_NAME}.ui"


def cmake_variables(path: Path) -> dict[str, list[str]]:
    """What the set() commands of a CMake file set; variables of the file itself are replaced."""
    text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: dict[str, list[str]] = {}
    for body in re.findall(r"^set\(((?:[^\")]|\"[^\"]*\")*)\)", text, flags=re.MULTILINE):
        for name, values in found.items():
            body = body.replace(f"${{{name}}}", " ".join(values))
        name, *values = shlex.split(body)
        found[name] = values
    return found


def panel_scripts() -> list[Path]:
    """The files that drive Qt: the module's script, the library's folder ui, and the effect."""
    helpers = sorted((LIBRARY / "ui").rglob("*.py"))
    assert helpers, "the library has no folder ui"
    return [SCRIPT, *helpers, *sorted(EFFECT.rglob("*.py"))]


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def where(path: Path, node: ast.AST) -> str:
    """File and line, as a failed test shows it."""
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def decorated_classes(decorator: str) -> Iterator[ast.ClassDef]:
    """Classes of the module that bear a decorator of this name, with or without arguments."""
    for path in MODULE.rglob("*.py"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef) and any(
                decorator in names(each) for each in node.decorator_list
            ):
                yield node


def names(node: ast.AST) -> set[str]:
    """Every plain name and attribute in an expression."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }

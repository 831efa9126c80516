"""Only what faces Slicer knows Slicer: the engine runs without it, the logic without Qt."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from extension_files import LIBRARY, parse, where

QT, SLICER = {"qt", "ctk"}, {"slicer", "vtk"}
FORBIDDEN = {"ui": set(), "mrml": QT}
"""What the folders of the library may not import; every other one neither Slicer nor Qt."""


@pytest.mark.parametrize(
    "path",
    sorted(LIBRARY.rglob("*.py")),
    ids=lambda path: path.relative_to(LIBRARY).as_posix(),
)
def test_file_knows_of_slicer_only_what_its_folder_may(path: Path):
    forbidden = FORBIDDEN.get(path.relative_to(LIBRARY).parts[0], QT | SLICER)
    wrong = []
    for node in ast.walk(parse(path)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module]
        wrong += [where(path, node) for each in modules if each.split(".")[0] in forbidden]
    assert wrong == []

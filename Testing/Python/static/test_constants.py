"""A number at the top of a module says its unit and where it comes from."""

from __future__ import annotations

import ast

import pytest
from extension_files import LIBRARY, parse

MODULES = [
    path
    for folder in ("batch", "cli", "io", "lung", "picture")
    for path in sorted((LIBRARY / folder).glob("*.py"))
]


def is_number(value: ast.expr) -> bool:
    """Whether an expression is made of numbers alone."""
    parts = [each for each in ast.walk(value) if isinstance(each, (ast.Constant, ast.Name))]
    return bool(parts) and all(
        isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in parts
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_constant_has_a_docstring(path):
    body = parse(path).body
    for constant, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(constant, ast.Assign) and is_number(constant.value):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            assert is_text, ast.unparse(constant)

"""What Slicer loads at start-up is light: no torch, nothing that Slicer lacks, no work done."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_files import LIBRARY, MODULE, ROOT, SCRIPT, names, parse, where

SHIPPED = {"slicer", "vtk", "qt", "ctk", "SimpleITK", "numpy", "scipy"}
"""What may be imported at start-up beside the standard library."""


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in names(node.test)


def imports_at_load(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run when the file is loaded, also those in classes and branches."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inner = node.orelse if is_type_checking(node) else ast.iter_child_nodes(node)
        for child in inner:
            yield from imports_at_load(child)


def imported(node: ast.Import | ast.ImportFrom, path: Path) -> list[tuple[str, str | None]]:
    """Absolute module names, and for ``from module import name`` the names."""
    if isinstance(node, ast.Import):
        return [(alias.name, None) for alias in node.names]
    package = path.relative_to(MODULE).parent.parts
    base = package[: len(package) - node.level + 1] if node.level else ()
    module = ".".join([*base, *filter(None, [node.module])])
    return [(module, alias.name) for alias in node.names]


def source(module: str) -> Path | None:
    """The file of a module of this extension."""
    path = MODULE.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def bound(node: ast.AST) -> set[str]:
    """Names that a file defines at its own scope."""
    if is_type_checking(node):
        return set()
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    return set().union(*(bound(child) for child in ast.iter_child_nodes(node)))


def loaded_at_startup() -> tuple[set[Path], list[str]]:
    """Files of this extension that loading the module loads, and what they import wrongly."""
    files, problems, pending = set(), [], [SCRIPT]
    while pending:
        path = pending.pop()
        if path in files:
            continue
        files.add(path)
        for node in imports_at_load(parse(path)):
            for module, name in imported(node, path):
                top = module.split(".")[0]
                if top != LIBRARY.name:
                    if top not in SHIPPED | sys.stdlib_module_names:
                        problems.append(f"{where(path, node)} imports {module}")
                    continue
                parts = module.split(".")
                parents = [source(".".join(parts[:n])) for n in range(1, len(parts) + 1)]
                submodule = source(f"{module}.{name}") if name else None
                if None in parents:
                    problems.append(f"{where(path, node)} imports {module}, which isn't there")
                elif name and not submodule and name not in bound(parse(parents[-1])):
                    problems.append(f"{where(path, node)}: {module} loads {name} on demand")
                pending += filter(None, [*parents, submodule])
    return files, problems


def test_nothing_is_imported_at_startup_but_what_slicer_ships():
    files, problems = loaded_at_startup()
    assert problems == []
    assert LIBRARY / "mrml" / "logic.py" in files


def runs_code(node: ast.stmt) -> bool:
    """Whether a statement at file scope does more than import and define."""
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    if isinstance(node, (*definitions, ast.Assign, ast.AnnAssign)):
        return False
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Try):
        parts = [*node.body, *node.orelse, *node.finalbody]
        parts += [each for handler in node.handlers for each in handler.body]
        return any(runs_code(each) for each in parts)
    is_main = isinstance(node, ast.If) and "__name__" in names(node.test)
    return not (is_main or is_type_checking(node))


@pytest.mark.parametrize(
    "path",
    [SCRIPT, *sorted(LIBRARY.rglob("*.py"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_loading_a_file_only_defines(path):
    assert [where(path, node) for node in parse(path).body if runs_code(node)] == []

"""Texts that a user sees go through ``_()``, as whole literals that translators can find."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from extension_files import panel_scripts, parse, where

TRANSLATE = {"_", "translate"}

SHOWING = {
    *("setText", "setToolTip", "setTitle", "setWindowTitle", "setPlaceholderText", "setFormat"),
    *("setStatusTip", "setWhatsThis", "setInformativeText", "setDetailedText", "setLabelText"),
    *("addItem", "addItems", "setHorizontalHeaderLabels", "setHeaderLabels", "addAction"),
    *("errorDisplay", "warningDisplay", "infoDisplay", "messageBox", "tryWithErrorDisplay"),
    *("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay"),
    *("showStatusMessage", "createProgressDialog", "delayDisplay"),
}
"""Functions and methods that show their first argument."""

SHOWN = {
    *("text", "toolTip", "title", "windowTitle", "placeholderText", "statusTip", "whatsThis"),
    *("plainText", "informativeText", "detailedText", "labelText", "helpText"),
    *("acknowledgementText", "prefix", "suffix", "format"),
}
"""Attributes and keyword arguments that are shown."""


def called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def outside_tests(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node but those of test classes, which speak to developers."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if not (isinstance(node, ast.ClassDef) and node.name.endswith("Test")):
            yield node
            pending += ast.iter_child_nodes(node)


def shown_expressions(node: ast.AST) -> list[ast.expr]:
    """What a statement or call puts before the user."""
    if isinstance(node, ast.Assign):
        targets = {getattr(target, "attr", "") for target in node.targets}
        return [node.value] if targets & SHOWN else []
    if isinstance(node, ast.Call) and called(node) not in TRANSLATE:
        shown = [each.value for each in node.keywords if each.arg in SHOWN]
        return shown + (node.args[:1] if called(node) in SHOWING else [])
    return []


def bare_texts(node: ast.AST) -> Iterator[ast.Constant]:
    """Literals with words in them that don't go through ``_()``."""
    if is_literal(node):
        if re.search(r"[^\W\d_]{2}", re.sub(r"<[^>]*>", "", node.value)):
            yield node
    elif isinstance(node, ast.Subscript):
        yield from bare_texts(node.value)  # a key is no text
    elif isinstance(node, ast.IfExp):
        yield from [*bare_texts(node.body), *bare_texts(node.orelse)]  # nor is a condition
    elif not isinstance(node, ast.Call):
        for child in ast.iter_child_nodes(node):
            yield from bare_texts(child)
    elif called(node) not in TRANSLATE:
        # Of ``_("...").format(...)`` the text, of other calls nothing is shown as it stands.
        inner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if inner is not None and called(node) in {"format", "join", "replace"}:
            yield from bare_texts(inner)


@pytest.fixture(scope="module")
def trees() -> dict:
    return {path: parse(path) for path in panel_scripts()}


def test_shown_texts_go_through_the_translation(trees):
    found = [
        f"{where(path, text)} {text.value!r}"
        for path, tree in trees.items()
        for node in outside_tests(tree)
        for expression in shown_expressions(node)
        for text in bare_texts(expression)
    ]
    assert found == []


def test_translated_texts_are_whole_literals(trees):
    """Slicer's tools collect the texts from the source; they can't see into an expression."""
    calls = {
        where(path, node): node
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) in TRANSLATE
    }
    assert calls, "no text is translated"
    assert [place for place, node in calls.items() if not all(map(is_literal, node.args))] == []


def test_translation_is_slicers(trees):
    for path, tree in trees.items():
        nodes = list(ast.walk(tree))
        if any(isinstance(node, ast.Call) and called(node) == "_" for node in nodes):
            imports = [each for each in nodes if isinstance(each, ast.ImportFrom)]
            found = {
                (each.module, alias.name, alias.asname) for each in imports for alias in each.names
            }
            assert ("slicer.i18n", "tr", "_") in found, path.name

"""Commands and Python examples in README and docs use what exists."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import re
from pathlib import Path

import pytest
from documents import DOCS, DOCUMENTS, PAGES, code_blocks, inline_code, name_of, read
from extension_files import MODULE, ROOT, parse
from S3NetSegmentationLib.cli import main

COMMANDS = ("segment", "batch", "sample-data")

ANYTHING = "**"
"""Among the parameters of a function that takes keywords of any name."""

EXAMPLES = [
    pytest.param(code, id=f"{name_of(path)}-{number}")
    for path in PAGES
    for number, (language, code) in enumerate(code_blocks(path), 1)
    if language == "python"
]


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What the program, ``""``, and each of its commands say about their options."""
    return {"": help_of(), **{command: help_of(command) for command in COMMANDS}}


def help_of(*command: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit):
        main([*command, "--help"])
    return printed.getvalue()


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def offered(text: str) -> dict[str, list[str]]:
    """The values that a command offers for its options."""
    listed = re.findall(r"(--[a-z-]+) \{([^}]+)\}", text)
    return {option: values.split(",") for option, values in listed}


def commands(path: Path) -> list[str]:
    """Each line of a block that is not Python, and each piece of code within the text."""
    blocks = [code for language, code in code_blocks(path) if language != "python"]
    lines = [line.strip() for code in blocks for line in code.splitlines()]
    return list(filter(None, lines + inline_code(path)))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_each_s3net_command_exists_with_its_options_and_values(path: Path, helps: dict[str, str]):
    for line in commands(path):
        program, *words = line.split()
        if program != "s3net" or not words:
            continue
        text = helps["" if words[0].startswith("-") else words[0]]
        assert options(line) <= options(text), line
        for option, values in offered(text).items():
            assert set(re.findall(f"{option} (\\S+)", line)) <= set(values), line


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_each_option_that_is_named_alone_exists(path: Path, helps: dict[str, str]):
    named = " ".join(code for code in inline_code(path) if code.startswith("--"))
    assert options(named) <= options(" ".join(helps.values()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_each_make_target_exists(path: Path):
    makefile = read(ROOT / "Makefile")
    named = [re.match(r"make ([a-z-]+)$", line) for line in commands(path)]
    for target in filter(None, named):
        assert re.search(f"^{target[1]}:", makefile, re.MULTILINE), target[0]


@pytest.mark.parametrize("command, page", [("segment", "command-line.md"), ("batch", "batch.md")])
def test_each_option_of_a_command_is_documented(command: str, page: str, helps: dict[str, str]):
    assert options(helps[command]) - {"--help"} <= options(read(DOCS / page))


@pytest.fixture(scope="module")
def defined() -> dict[str, set[str]]:
    """Every name that the extension defines, with the names of the parameters that it takes."""
    found: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for path in MODULE.rglob("*.py"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, set()).update(parameters(node.args))
            elif isinstance(node, ast.ClassDef):
                fields = [each.target.id for each in node.body if isinstance(each, ast.AnnAssign)]
                found.setdefault(node.name, set()).update(fields)
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
                for name in fields:
                    found.setdefault(name, set())
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, set())
    for name, parents in bases.items():
        for parent in parents:
            found[name] |= found.get(parent, set())
    return found


def parameters(arguments: ast.arguments) -> set[str]:
    named = {each.arg for each in (*arguments.args, *arguments.kwonlyargs)}
    return named | {ANYTHING} if arguments.kwarg else named


@pytest.mark.parametrize("code", EXAMPLES)
def test_each_python_example_uses_what_is_defined(code: str, defined: dict[str, set[str]]):
    tree = ast.parse(code)
    ours, others = imported(tree)
    others.add("slicer")  # in Slicer's console it is there
    assert ours <= set(defined)
    stored = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            assert node.id in ours | others | stored | set(dir(builtins)), node.id
        elif isinstance(node, ast.Attribute) and owner(node) not in {None, *others}:
            assert node.attr in defined, node.attr
        elif isinstance(node, ast.Call) and owner(node.func) not in others:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in others:
                continue
            taken = defined.get(name, set())
            keywords = {each.arg for each in node.keywords}
            assert keywords <= (set(defined) if ANYTHING in taken else taken), keywords


def imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Names that are imported from the extension, and names of other modules."""
    ours, others = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            is_ours = isinstance(node, ast.ImportFrom) and node.module.startswith(MODULE.name)
            (ours if is_ours else others).update(alias.asname or alias.name for alias in node.names)
    return ours, others


def owner(node: ast.expr) -> str | None:
    """The name that an attribute is of, or of a call of that name; None of anything else."""
    value = getattr(node, "value", None)
    value = value.func if isinstance(value, ast.Call) else value
    return value.id if isinstance(value, ast.Name) else None

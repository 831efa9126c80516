"""What CMake packages is what is there: a file that isn't listed is missing after installation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from extension_files import (
    EFFECT,
    EFFECT_NAME,
    LIBRARY,
    MODULE,
    MODULE_NAME,
    PANEL,
    ROOT,
    SCRIPT,
    cmake_variables,
)


@pytest.fixture(scope="module")
def listed() -> dict[str, list[str]]:
    return cmake_variables(MODULE / "CMakeLists.txt")


def relative(paths) -> set[str]:
    return {path.relative_to(MODULE).as_posix() for path in paths}


def test_every_script_is_listed_and_every_listed_script_exists(listed):
    scripts = listed["MODULE_PYTHON_SCRIPTS"]
    found = relative([SCRIPT, *LIBRARY.rglob("*.py")])
    assert sorted(found - set(scripts)) == [], "not in S3NetSegmentation/CMakeLists.txt"
    assert [name for name in scripts if not (MODULE / name).is_file()] == [], "listed, not there"
    assert len(scripts) == len(set(scripts))


def test_every_resource_is_listed_and_every_listed_resource_exists(listed):
    resources = listed["MODULE_PYTHON_RESOURCES"]
    files = (path for path in (MODULE / "Resources").rglob("*") if path.is_file())
    found = relative(path for path in files if not path.name.startswith("."))
    found |= relative([LIBRARY / "py.typed"])
    assert sorted(found - set(resources)) == [], "not in S3NetSegmentation/CMakeLists.txt"
    assert [name for name in resources if not (MODULE / name).is_file()] == [], "listed, not there"
    assert relative([PANEL]) <= set(resources)
    assert f"Resources/Icons/{MODULE_NAME}.png" in resources, "Slicer looks for this icon"


def test_every_folder_of_the_library_is_a_package():
    folders = {path.parent for path in LIBRARY.rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_lists_of_the_effect_are_complete():
    listed = cmake_variables(EFFECT / "CMakeLists.txt")
    files = {
        path.relative_to(EFFECT).as_posix()
        for path in EFFECT.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    named = {*listed["MODULE_PYTHON_SCRIPTS"], *listed["MODULE_PYTHON_RESOURCES"]}
    assert named == files - {"CMakeLists.txt"}


@pytest.mark.parametrize("folder", [MODULE, EFFECT])
def test_slicer_builds_the_module_with_these_lists(folder: Path):
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    assert cmake_variables(folder / "CMakeLists.txt")["MODULE_NAME"] == [folder.name]
    call = re.search(r"slicerMacroBuildScriptedModule\(([^)]*)\)", text)[1].split()
    assert call[:6] == [
        *("NAME", "${MODULE_NAME}"),
        *("SCRIPTS", "${MODULE_PYTHON_SCRIPTS}"),
        *("RESOURCES", "${MODULE_PYTHON_RESOURCES}"),
    ]


@pytest.mark.parametrize("folder", [MODULE, ROOT / "Testing"])
def test_tests_that_run_in_slicer_exist(folder: Path):
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    scripts = re.findall(r"slicer_add_python_unittest\(SCRIPT ([^)\s]+)", text)
    assert scripts
    for script in scripts:
        script = script.replace("${MODULE_NAME}", MODULE_NAME)
        name = Path(script).stem
        # unittest finds the class by loading the script as a module.
        tests = re.findall(r"^class (\w+)\(", (folder / script).read_text(encoding="utf-8"), re.M)
        assert {name, f"{name}Test"} & set(tests)


def test_the_build_reaches_every_folder():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    folders = re.findall(r"add_subdirectory\((\S+)\)", text)
    assert folders == [MODULE_NAME, EFFECT_NAME, "Testing"]
    assert all((ROOT / folder / "CMakeLists.txt").is_file() for folder in folders)

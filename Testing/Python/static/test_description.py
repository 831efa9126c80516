"""CMake, the .s4ext file and the catalog's JSON file say the same, in the catalog's form."""

from __future__ import annotations

import json
import re

import pytest
from extension_files import MODULE, NAME, ROOT, cmake_variables

SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
    "slicer-extension-catalog-entry-schema-v1.0.2.json#"
)
REQUIRED = {"$schema", "category", "scm_url"}
ALLOWED = {
    "$schema": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "category": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "scm_revision": str,
    "scm_type": str,
    "scm_url": str,
    "tier": int,
}
"""Keys of schema version 1.0.2; it rejects every other one."""

SAME_IN_S4EXT = {
    "category": "EXTENSION_CATEGORY",
    "contributors": "EXTENSION_CONTRIBUTORS",
    "depends": "EXTENSION_DEPENDS",
    "description": "EXTENSION_DESCRIPTION",
    "homepage": "EXTENSION_HOMEPAGE",
    "iconurl": "EXTENSION_ICONURL",
    "screenshoturls": "EXTENSION_SCREENSHOTURLS",
}


@pytest.fixture(scope="module")
def cmake() -> dict[str, str]:
    return {
        name: " ".join(values) for name, values in cmake_variables(ROOT / "CMakeLists.txt").items()
    }


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads((ROOT / f"{NAME}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def s4ext() -> dict[str, str]:
    lines = (ROOT / f"{NAME}.s4ext").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    assert len(pairs) == len(dict(pairs)), "a keyword is given twice"
    return dict(pairs)


def test_project_is_named_like_the_catalog_entry():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^project\((\w+)\)$", text, re.M) == [NAME]
    assert not NAME.lower().startswith("slicer")


def test_metadata_is_set_on_single_lines():
    """The catalog reads the file line by line with a regular expression."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\s*set\s*\(\s*EXTENSION_", line)]
    whole = re.compile(r'set\(EXTENSION_\w+ "[^";]+"\)')
    assert lines
    assert [line for line in lines if not whole.fullmatch(line)] == []


def test_entry_has_the_keys_and_types_of_the_schema(entry):
    assert entry["$schema"] == SCHEMA
    assert set(entry) >= REQUIRED
    assert set(entry) <= set(ALLOWED)
    assert [key for key, value in entry.items() if type(value) is not ALLOWED[key]] == []
    assert all(isinstance(name, str) for name in entry["build_dependencies"])
    assert 1 <= entry["tier"] <= 5
    assert entry.get("scm_type", "git") in {"git", "local"}


def test_entry_has_unix_line_ends():
    assert b"\r" not in (ROOT / f"{NAME}.json").read_bytes()


def test_entry_agrees_with_cmake(entry, cmake):
    assert entry["category"] == cmake["EXTENSION_CATEGORY"]
    assert entry["build_dependencies"] == cmake["EXTENSION_DEPENDS"].split()
    assert entry["scm_url"] == cmake["EXTENSION_HOMEPAGE"]


def test_s4ext_agrees_with_cmake_and_entry(s4ext, cmake, entry):
    assert {key: s4ext[key] for key in SAME_IN_S4EXT} == {
        key: cmake[name] for key, name in SAME_IN_S4EXT.items()
    }
    assert s4ext["scm"] == "git"
    assert s4ext["scmurl"] == entry["scm_url"]
    assert s4ext["scmrevision"] == entry["scm_revision"]
    assert s4ext["build_subdirectory"] == entry["build_subdirectory"]
    assert s4ext["tier"] == str(entry["tier"])


def test_torch_comes_from_the_pytorch_extension(entry):
    assert "PyTorch" in entry["build_dependencies"]


def test_pictures_are_urls_of_files_in_this_repository(cmake, entry):
    owner_and_name = entry["scm_url"].removeprefix("https://github.com/")
    raw = f"https://raw.githubusercontent.com/{owner_and_name}/{entry['scm_revision']}/"
    urls = [cmake["EXTENSION_ICONURL"], *cmake["EXTENSION_SCREENSHOTURLS"].split()]
    assert len(urls) > 1
    for url in urls:
        assert url.startswith(raw)
        assert (ROOT / url.removeprefix(raw)).is_file(), url


def test_description_is_a_sentence_or_two(cmake):
    description = cmake["EXTENSION_DESCRIPTION"]
    assert description.endswith(".")
    assert 40 < len(description) < 300


def test_license_is_at_the_root_and_named_where_users_read(cmake):
    license_name = (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()[0]
    assert license_name == "BSD 3-Clause License"
    assert "BSD 3-Clause" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "BSD 3-Clause" in cmake["EXTENSION_DESCRIPTION"]
    assert cmake["EXTENSION_LICENSE_FILE"].endswith("/LICENSE")
    assert cmake["EXTENSION_README_FILE"].endswith("/README.md")


def test_citation_agrees_with_entry_and_readme(entry):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    papers = re.findall(r"\(https://arxiv\.org/abs/([\d.]+)\)", readme)
    assert f"repository-code: {entry['scm_url']}" in citation
    assert "license: BSD-3-Clause" in citation
    assert len(papers) == 1
    assert f"  url: https://arxiv.org/abs/{papers[0]}" in citation


def test_module_has_no_requirements_beyond_slicer_and_the_pytorch_extension():
    path = MODULE / "Resources" / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    assert [line for line in lines if line.strip() and not line.startswith("#")] == []

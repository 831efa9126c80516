"""The workflow tests with what the project depends on."""

from __future__ import annotations

import re

from extension_files import ROOT


def test_slicers_sources_are_of_the_release_whose_mrml_is_installed():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    sources = re.search(r"repository: Slicer/Slicer\n +ref: v(\d+\.\d+)\.", workflow)
    mrml = re.search(r'"slicer-core>=(\d+\.\d+)', project)
    assert sources[1] == mrml[1]

"""Icons and screenshots have the form that Slicer, its catalog and the documentation show."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from extension_files import MODULE, MODULE_NAME, NAME, ROOT

ICONS = [
    ROOT / "Resources" / f"{NAME}.png",
    MODULE / "Resources" / "Icons" / f"{MODULE_NAME}.png",
]
SCREENSHOTS = sorted((ROOT / "Resources" / "Screenshots").glob("*"))
DOCUMENTED = sorted((ROOT / "docs" / "images").glob("*"))
WITH_ALPHA = 6


def png_header(path: Path) -> tuple[int, int, int]:
    """Width, height and color type of a PNG file."""
    start = path.read_bytes()[:26]
    assert start[:8] == b"\x89PNG\r\n\x1a\n", f"{path.name} is no PNG file"
    assert start[12:16] == b"IHDR"
    width, height, _, color = struct.unpack(">IIBB", start[16:26])
    return width, height, color


@pytest.mark.parametrize("path", ICONS, ids=lambda path: path.name)
def test_icon_is_128_pixels_wide_and_high_with_a_transparent_background(path):
    assert png_header(path) == (128, 128, WITH_ALPHA)
    assert path.stat().st_size < 20_000


def test_there_is_a_screenshot():
    assert SCREENSHOTS


@pytest.mark.parametrize("path", SCREENSHOTS, ids=lambda path: path.name)
def test_screenshot_is_large_enough_to_read_and_small_enough_to_load(path):
    width, height, _ = png_header(path)
    assert 350 <= width <= 2000
    assert 300 <= height <= 2000
    assert path.stat().st_size < 1_500_000


def test_the_tutorial_has_pictures():
    assert DOCUMENTED


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.name)
def test_picture_of_the_documentation_is_shown_and_loads_fast(path):
    png_header(path)
    assert path.stat().st_size < 150_000
    pages = (page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert any(f"](images/{path.name})" in page for page in pages)

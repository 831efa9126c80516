"""A picture of the segmented scan for a quick visual check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..geometry import Geometry
from ..orientation import AxialOrientation
from ..resampling import resized
from .segments import LUNG_SEGMENTS
from .write import write_image

WINDOW_HU = (-1350.0, 250.0)
"""Hounsfield units shown black and white: the usual lung window, level -550, width 1600."""

AXIAL_SLICES, COLUMNS = 6, 3
"""Number of axial slices shown, and number of columns."""

PANEL_PIXELS = 320
"""Longer side of an axial slice in the picture."""

GAP_PIXELS = 8
"""Between the slices."""

TINT_SHARE = 0.22
"""How strongly a lung is tinted inside its outline; by eye, so that vessels stay visible."""

BACKGROUND_GRAY = 16
"""Of 255: darker than air in the window, so the slices stand out."""

MARKS = {
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
    "A": (".###.", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"),
}


def write_overview(path: Path, image: sitk.Image, lungs: sitk.Image) -> None:
    """Write a coronal, a sagittal, and several axial slices with the lungs outlined, as PNG.

    Proportions are true, the head is up, and the patient's right is on the left of the picture, as
    is usual in radiology. An oblique scan is shown along its own axes.

    Parameters
    ----------
    path : Path
        Ends in ``.png``.
    image : SimpleITK.Image
        The scan in Hounsfield units.
    lungs : SimpleITK.Image
        Same geometry: 1 right lung, 2 left lung; may be empty.

    Raises
    ------
    InputError
        If the file can't be written; nothing is left of it.
    """
    write_image(path, sitk.GetImageFromArray(compose_overview(image, lungs), isVector=True))


def compose_overview(image: sitk.Image, lungs: sitk.Image) -> np.ndarray:
    """The picture that `write_overview` writes, (rows, columns, 3) of uint8."""
    order = AxialOrientation(Geometry.of(image))
    scan, labels = (order.apply(sitk.GetArrayViewFromImage(each)) for each in (image, lungs))
    height, depth, width = (n * s for n, s in zip(scan.shape, order.spacing, strict=True))
    zoom = PANEL_PIXELS / max(width, depth)
    levels, row, column = _places(labels)

    def panel(
        section: int | tuple[int | slice, ...], extent: tuple[float, float], mark: str
    ) -> np.ndarray:
        rows, columns = (max(1, round(length * zoom)) for length in extent)
        return _panel(scan[section], labels[section], (rows, columns), mark)

    upright = slice(None, None, -1)
    long_views = [
        panel(np.s_[upright, row, :], (height, width), "R"),
        panel(np.s_[upright, :, column], (height, depth), "A"),
    ]
    axial = [panel(np.s_[level], (depth, width), "R") for level in reversed(levels)]
    rows = [axial[start : start + COLUMNS] for start in range(0, len(axial), COLUMNS)]
    return _stack([_stack(each, axis=1) for each in [long_views, *rows]], axis=0)


def _places(labels: np.ndarray) -> tuple[list[int], int, int]:
    """Axial levels spread over the lungs, and the row and the column to cut at."""
    lung = labels > 0
    if not lung.any():
        lung = np.ones_like(lung)
    levels = np.flatnonzero(lung.any((1, 2)))
    shares = np.linspace(0.08, 0.92, AXIAL_SLICES)
    chosen = sorted({int(levels[round(share * (len(levels) - 1))]) for share in shares})
    return chosen, _middle(lung.sum((0, 2))), int(lung.sum((0, 1)).argmax())


def _middle(counts: np.ndarray) -> int:
    """Index at which half of the counts is reached."""
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _panel(plane: np.ndarray, labels: np.ndarray, shape: tuple[int, int], mark: str) -> np.ndarray:
    """One slice in the lung window with tinted, outlined lungs, (*shape, 3) float."""
    low, high = WINDOW_HU
    plane = np.clip((np.asarray(plane, np.float32) - low) / (high - low), 0, 1)
    zoom = np.divide(shape, plane.shape)
    grey = 255 * np.clip(resized(plane, zoom), 0, 1)
    picture = np.repeat(grey[..., None], 3, axis=2)
    for segment in LUNG_SEGMENTS:
        color = _vivid(segment.color)
        # After interpolation and a threshold, the outline is smooth even if voxels are large.
        inside = resized((labels == segment.label).astype(np.float32), zoom) > 0.5
        outline = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside)
        picture[inside] = (1 - TINT_SHARE) * picture[inside] + TINT_SHARE * color
        picture[outline] = color
    _draw_mark(picture, MARKS[mark])
    return picture


def _vivid(color: tuple[float, float, float]) -> np.ndarray:
    """The segment's hue, saturated to stand out from gray."""
    channels = np.array(color)
    stretched = (channels - channels.min()) / np.ptp(channels)
    return 255 * (0.15 + 0.85 * stretched)


def _draw_mark(picture: np.ndarray, rows: tuple[str, ...]) -> None:
    """Draw a letter in the upper left corner that marks the side, readable on any background."""
    letter = np.array([[pixel == "#" for pixel in row] for row in rows]).repeat(2, 0).repeat(2, 1)
    letter = np.pad(letter, 8)
    corner = picture[: letter.shape[0], : letter.shape[1]]
    letter = letter[: corner.shape[0], : corner.shape[1]]
    corner[ndimage.binary_dilation(letter, np.ones((5, 5)))] = BACKGROUND_GRAY
    corner[letter] = 230


def _stack(panels: list[np.ndarray], axis: int) -> np.ndarray:
    """Panels side by side (axis 1) or stacked (axis 0), centered, with gaps; uint8."""
    across = 1 - axis
    size = max(panel.shape[across] for panel in panels)
    padded = []
    for panel in panels:
        missing = size - panel.shape[across]
        margins = [(0, 0), (0, 0), (0, 0)]
        margins[across] = (missing // 2, missing - missing // 2)
        margins[axis] = (0, GAP_PIXELS)
        padded.append(np.pad(panel, margins, constant_values=BACKGROUND_GRAY))
    joined = np.concatenate(padded, axis)
    return np.delete(joined, np.s_[-GAP_PIXELS:], axis).round().astype(np.uint8)

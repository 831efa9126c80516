"""The numbers of a result: as a dictionary for JSON and as lines for the terminal."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from . import __version__
from .lung.densitometry import BRIEF, REGIONS, WHOLE
from .lung.sentences import methods_text, report_text
from .picture.result import PictureResult
from .result import LungResult

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "SimpleITK", "pydicom")


def as_dict(result: LungResult) -> dict:
    """All numbers and texts of a result, without paths or anything about the patient.

    Parameters
    ----------
    result : LungResult
    """
    figures = result.figures
    return {
        "lungs_found": result.lungs_found,
        "quality": figures.quality,
        "slice_quality": figures.slice_quality.tolist(),
        "hints": list(figures.hints),
        "tissues": [asdict(row) for row in result.tissue_table],
        "numbers": figures.numbers,
        "report_text": report_text(figures.numbers),
        "methods_text": methods_text(result.settings),
        "image": {
            "size": list(reversed(result.lung_array.shape)),
            "spacing_mm": list(result.geometry.spacing),
        },
        "settings": result.settings.as_dict(),
        "timings_s": result.timings,
        "warnings": list(result.warnings),
        "versions": versions(),
    }


def picture_as_dict(result: PictureResult) -> dict:
    """All numbers of a picture's result."""
    height, width = result.mask.shape
    return {
        "mask_share": float(result.mask.mean()),
        "quality": result.quality,
        "image": {"size": [width, height]},
        "settings": result.settings.as_dict(),
        "timings_s": result.timings,
        "warnings": list(result.warnings),
        "versions": versions(),
    }


def picture_as_lines(result: PictureResult) -> list[str]:
    """A short summary of a picture's result, as lines of text."""
    return [
        f"{'mask':<11} {result.mask.mean():6.1%} of the picture",
        f"{'quality':<11} {result.quality:6.2f} (estimated; 1 is best)",
        f"{'time':<11} {result.timings['total']:6.1f} s on {result.settings.device}",
        *(f"Warning: {warning}" for warning in result.warnings),
    ]


def versions() -> dict[str, str | None]:
    """Versions of the program and its dependencies; None if one is missing."""
    found: dict[str, str | None] = {"s3net": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def as_lines(result: LungResult) -> list[str]:
    """A short summary, as lines of text."""
    lines = []
    for region in WHOLE:
        numbers = result.figures.numbers[region]
        found = ", ".join(
            f"{each.name} {each.text(numbers[each.key])}{each.after}" for each in BRIEF
        )
        lines.append(f"{REGIONS[region]:<11} {found if numbers['volume_ml'] else 'not found'}")
    lines.append(
        f"{'quality':<11} {result.figures.quality:6.2f} (estimated; 1 is best); look for dense "
        "disease, which this check misses"
    )
    lines += [f"{'':<11} {hint}" for hint in result.figures.hints]
    lines.append(f"{'time':<11} {result.timings['total']:6.1f} s on {result.settings.device}")
    lines += [f"Warning: {warning}" for warning in result.warnings]
    return lines

"""The lungs in sentences, to be copied into a radiology report or into a paper's methods."""

from __future__ import annotations

from collections.abc import Collection

from .. import __version__
from ..settings import Settings
from .densitometry import BRIEF, QUANTITIES, Numbers

CITATION = (
    "S. Karimijafarbigloo, R. Azad, A. Kazerouni, Y. Velichko, U. Bagci, D. Merhof: "
    "Self-supervised Semantic Segmentation: Consistency over Transformation. ICCV Workshops 2023"
)

WITHOUT_EFFECT = {"seed", "device", "gpu_memory_gb"}
"""Settings that are mentioned anyway, or that affect where the work runs and not the result."""


def report_text(numbers: Numbers, edited: Collection[str] = ()) -> str:
    """The most important numbers for a radiology report.

    Parameters
    ----------
    numbers : dict
        From `numbers_of`.
    edited : collection of str
        Names of the lungs that were edited by hand.
    """
    found = []
    for each in BRIEF:
        both, right, left = (
            each.text(numbers[region][each.key]) or "none" for region in ("both", "right", "left")
        )
        found.append(f"{each.name} {both}{each.after} ({right}, {left})")
    by_hand = f"; edited by hand: {', '.join(edited)}" if edited else ""
    return (
        f"CT of both lungs (right, left): {'; '.join(found)}. Segmented automatically with "
        f"S3NetExtension {__version__}{by_hand}."
    )


def methods_text(settings: Settings, edited: Collection[str] = ()) -> str:
    """How the lungs were segmented and measured, for the methods section of a paper.

    Parameters
    ----------
    settings : Settings
        The settings used.
    edited : collection of str
        Names of the lungs that were edited by hand.
    """
    defaults = Settings().as_dict()
    changed = ", ".join(
        f"{name} {value}"
        for name, value in settings.as_dict().items()
        if value != defaults[name] and name not in WITHOUT_EFFECT
    )
    corrected = f" and corrected by hand ({', '.join(edited)})" if edited else ""
    definitions = "; ".join(
        f"{each.name} ({each.unit}), {each.definition[0].lower()}{each.definition[1:]}"
        + (f" [{each.source}]" if each.source else "")
        for each in QUANTITIES
    )
    return (
        f"The right and the left lung were segmented with S3NetExtension {__version__}, an "
        f"independent implementation of S3-Net [{CITATION}], which fits a network to each scan "
        f"and needs no training data (settings: {changed or 'default'}; seed {settings.seed})"
        f"{corrected}. All voxels of each lung were measured at the resolution of the scan: "
        f"{definitions}."
    )

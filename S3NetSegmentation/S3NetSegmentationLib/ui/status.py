"""What the panel says of the segmentation that is selected, and nothing of any other."""

from __future__ import annotations

import re
from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from ..mrml.edits import editedLungs
from ..mrml.logic import SegmentationLogic
from ..mrml.nodes import SETTINGS, isFromAnotherScan

SLICES = re.compile(r"slices? (\d+)(?: to (\d+))? of \d+")
"""How a hint names slices, counted from 1; Slicer shows no numbers but millimeters."""


def describe(
    logic: SegmentationLogic,
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
) -> str:
    """One or two sentences about a segmentation.

    The estimate of the quality is not among them: it can't tell a good segmentation from one that
    lacks diseased lung (docs/measurements.md).
    """
    if not volumeNode:
        return _("Select a chest CT.")
    if not segmentationNode:
        return _("Not segmented yet.")
    if isFromAnotherScan(segmentationNode, volumeNode):
        return _("This segmentation was made from another scan.")
    if segmentationNode.GetAttribute(SETTINGS) is None:
        return _("This segmentation was not made here, so nothing is known about its quality.")
    if editedLungs(segmentationNode):
        return _("Edited by hand.")
    if not logic.quality(segmentationNode):
        return _("No lungs.")
    if logic.warnings(segmentationNode):
        return _("See the notes under Output.")
    return _("Nothing doubtful was found. Look for dense disease, which this check misses.")


def asLinks(hint: str, positionOf: Callable[[int], float]) -> str:
    """A hint as rich text, in which slices are links, by their numbers, with their positions.

    Parameters
    ----------
    hint : str
    positionOf : callable
        Position in mm, as the slice views show it, of a slice, counted from 1.
    """

    def link(found: re.Match) -> str:
        first, last = int(found[1]), int(found[2] or found[1])
        ends = [f"{positionOf(number):.1f}" for number in sorted({first, last})]
        text = _("{positions} mm").format(positions=_(" to ").join(ends))
        return f'<a href="{(first + last) // 2}">{text}</a>'

    return SLICES.sub(link, hint)

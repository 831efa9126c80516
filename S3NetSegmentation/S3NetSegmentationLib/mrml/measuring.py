"""The figures of the lungs, as a table, a histogram and a map, kept in step with the segments."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
import slicer

from ..errors import InputError
from ..io.segments import LUNG_SEGMENTS
from ..lung.densitometry import (
    COMPARTMENTS,
    Distribution,
    Numbers,
    aeration_map,
    distributions,
    numbers_of,
)
from ..orientation import AxialOrientation
from .edits import Shapes, differing, shapesOf, writtenShapes
from .histogram import makeChart, writeHistogram
from .nodes import (
    AERATION,
    CHART,
    HISTOGRAM,
    MAP,
    PLOT,
    RESULTS_TABLE,
    ensureNode,
    volumeOf,
)
from .segmentation import fillColors, readLungs, writeLabels
from .tables import writeResultsTable
from .volume import Frame, frameOf

MEASURED = "S3Net.measured"
"""Attribute of what shows figures: the shapes of the lungs that it is about."""

AERATION_RGB = ((0.27, 0.47, 0.67), (0.13, 0.53, 0.2), (0.8, 0.73, 0.27), (0.67, 0.2, 0.47))
"""Colors of the compartments (Paul Tol's "bright"); the color-blind tell them apart, too."""


def updateFigures(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Measure the lungs anew for what is no longer about the lungs as they are."""
    volumeNode = volumeOf(segmentationNode)
    if not volumeNode or not volumeNode.GetImageData():
        return
    now = shapesOf(segmentationNode)
    stale = {
        role: node
        for role in (RESULTS_TABLE, HISTOGRAM, AERATION)
        if (node := segmentationNode.GetNodeReference(role))
        and differing(now, json.loads(node.GetAttribute(MEASURED) or "{}"))
    }
    if not stale:
        return
    lungs = readLungs(segmentationNode, volumeNode)
    regions = regionsOf(lungs, frameOf(volumeNode))
    if RESULTS_TABLE in stale:
        edited = differing(now, writtenShapes(segmentationNode))
        writeFigures(stale[RESULTS_TABLE], numbers_of(regions), now, edited)
    if HISTOGRAM in stale:
        writeHistogram(segmentationNode, regions)
    if AERATION in stale:
        hounsfield = slicer.util.arrayFromVolume(volumeNode)
        writeLabels(stale[AERATION], aeration_map(lungs, hounsfield), volumeNode)
    for node in stale.values():
        node.SetAttribute(MEASURED, json.dumps(now))


def regionsOf(lungs: np.ndarray, frame: Frame) -> dict[str, Distribution]:
    """The intensities in each region of lungs.

    Parameters
    ----------
    lungs : ndarray of uint8, (k, j, i)
        On the voxels of the volume: 1 right lung, 2 left lung.
    frame : Frame
        Of the volume.
    """
    apply = AxialOrientation(frame.geometry).apply
    return distributions(apply(lungs), apply(frame.hounsfield), frame.geometry.voxel_ml)


def writeFigures(
    tableNode: slicer.vtkMRMLTableNode,
    numbers: Numbers,
    shapes: Shapes,
    edited: Collection[str],
) -> None:
    """Write the figures of lungs into a table.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode
    numbers : dict
        From `numbers_of`.
    shapes : dict
        Those of the lungs.
    edited : collection of str
        Ids of those that were edited by hand.
    """
    writeResultsTable(tableNode, numbers, _names(edited))
    tableNode.SetAttribute(MEASURED, json.dumps(shapes))


def numbersOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Numbers:
    """Every quantity of every region of the lungs as they are, not rounded.

    For example ``numbers["right"]["volume_ml"]``; `lung.densitometry` says what there is.

    Raises
    ------
    InputError
        If the scan is gone.
    """
    volumeNode = _scanOf(segmentationNode)
    lungs = readLungs(segmentationNode, volumeNode)
    return numbers_of(regionsOf(lungs, frameOf(volumeNode)))


def namesOfEdited(segmentationNode: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """Names of the lungs that were edited by hand."""
    return _names(differing(shapesOf(segmentationNode), writtenShapes(segmentationNode)))


def histogramOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLPlotChartNode:
    """The chart with the histogram of the lungs; made where it is missing.

    Raises
    ------
    InputError
        If the scan is gone.
    """
    volumeNode = _scanOf(segmentationNode)
    for role in PLOT:
        ensureNode(segmentationNode, role, volumeNode)
    updateFigures(segmentationNode)
    makeChart(segmentationNode)
    return segmentationNode.GetNodeReference(CHART)


def aerationOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> slicer.vtkMRMLLabelMapVolumeNode:
    """The map of the compartments of aeration; made where it is missing.

    Raises
    ------
    InputError
        If the scan is gone.
    """
    volumeNode = _scanOf(segmentationNode)
    colorNode, labelMapNode = (ensureNode(segmentationNode, role, volumeNode) for role in MAP)
    updateFigures(segmentationNode)
    names = (name.replace("_", " ") for name in COMPARTMENTS)
    fillColors(colorNode, dict(zip(names, AERATION_RGB, strict=True)))
    labelMapNode.GetDisplayNode().SetAndObserveColorNodeID(colorNode.GetID())
    return labelMapNode


def _scanOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    volumeNode = volumeOf(segmentationNode)
    if not volumeNode or not volumeNode.GetImageData():
        raise InputError("The volume of this segmentation is gone; its lungs can't be measured.")
    return volumeNode


def _names(segmentIds: Collection[str]) -> list[str]:
    return [lung.name for lung in LUNG_SEGMENTS if lung.segment_id in segmentIds]

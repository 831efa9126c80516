"""The slice views: which scan they show, and where."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import slicer

from .edits import shapesOf
from .nodes import BOX, SETTINGS, volumeOf
from .volume import axialAxis, ijkToRas, ijkToWorld

WINDOW, LEVEL = 1400, -500
"""Hounsfield units: lungs and what is around them are seen, as in Slicer's preset "CT-Lung"."""

PARALLEL = 0.7
"""Cosine of the angle between a view and the slices of a scan that counts as alike."""


def showScan(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show a scan in the slice views, unless the user has arranged them in some way.

    As long as all views show the same, or nothing, they all change to the scan; else only those
    that are empty do. The lungs of other scans are hidden, as they would lie over this one.
    """
    display = volumeNode.GetDisplayNode()
    if display and display.GetAutoWindowLevel():  # nobody has set anything
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(WINDOW, LEVEL)
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    backgrounds = {view.GetBackgroundVolumeID() for view in views}
    if backgrounds <= {volumeNode.GetID()}:
        return
    areAlike = len(backgrounds) == 1
    for view in views:
        if areAlike or not view.GetBackgroundVolumeID():
            _setBackground(view, volumeNode)
    if areAlike:
        _showLungsOf(volumeNode)


def _setBackground(
    view: slicer.vtkMRMLSliceCompositeNode, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> None:
    view.SetBackgroundVolumeID(volumeNode.GetID())
    logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName(view.GetLayoutName())
    if logic:
        logic.FitSliceToBackground()


def _showLungsOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        display = segmentationNode.GetDisplayNode()
        if display and segmentationNode.GetAttribute(SETTINGS):
            display.SetVisibility(volumeOf(segmentationNode) is volumeNode)


def hideUnlessShown(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Hide lungs that would lie over another scan than theirs."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    volumeNode = volumeOf(segmentationNode)
    if volumeNode and volumeNode.GetID() not in {view.GetBackgroundVolumeID() for view in views}:
        segmentationNode.GetDisplayNode().SetVisibility(False)


def showTable(
    tableNode: slicer.vtkMRMLTableNode, chartNode: slicer.vtkMRMLPlotChartNode | None = None
) -> None:
    """Show a table, and a chart that belongs to it, beside the slice views."""
    layoutNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if chartNode:
        layoutNode.SetViewArrangement(layoutNode.SlicerLayoutFourUpPlotTableView)
        slicer.modules.plots.logic().ShowChartInLayout(chartNode)
    else:
        layout = slicer.modules.tables.logic().GetLayoutWithTable(layoutNode.GetViewArrangement())
        layoutNode.SetViewArrangement(layout)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveTableID(tableNode.GetID())
    logic.PropagateTableSelection()


def centerOnLungs(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Move slice views that miss the lungs to their center, if there are any."""
    if not any(voxels for voxels, *_ in shapesOf(segmentationNode).values()):
        return
    bounds = [0.0] * 6
    segmentationNode.GetRASBounds(bounds)
    low, high = np.reshape(bounds, (3, 2)).T
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        place = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
        reach = np.abs(place[:3, 2]) @ (high - low) / 2
        if abs(place[:3, 2] @ (place[:3, 3] - (low + high) / 2)) > reach:
            sliceNode.JumpSliceByOffsetting(*(low + high) / 2)


def positionOfSlice(
    segmentationNode: slicer.vtkMRMLSegmentationNode, number: int
) -> tuple[float, float, float]:
    """The center of a slice of what was segmented, in the world (RAS, mm).

    Parameters
    ----------
    segmentationNode : vtkMRMLSegmentationNode
    number : int
        Counted from 1 in the order in which the slices were stored, as hints do.
    """
    volumeNode = volumeOf(segmentationNode)
    corners = np.array(json.loads(segmentationNode.GetAttribute(BOX)))
    # A volume that was saved and loaded may store its slices the other way round.
    inverse = np.linalg.inv(ijkToRas(volumeNode))
    first, last = (np.column_stack([corners, [1, 1]]) @ inverse.T)[:, :3]
    toWorld = ijkToWorld(volumeNode)
    axis = axialAxis(toWorld)
    center = (first + last) / 2
    center[axis] = first[axis] + (number - 1) * np.sign(last[axis] - first[axis])
    x, y, z = (toWorld @ [*center, 1])[:3].tolist()
    return x, y, z


def jumpTo(ras: Sequence[float]) -> None:
    """Let the slice views that lie as axial slices do show a position in the world."""
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        normal = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, 2]
        if abs(normal[2]) > PARALLEL:
            sliceNode.JumpSliceByOffsetting(*ras)


def showChart(chartNode: slicer.vtkMRMLPlotChartNode) -> None:
    """Show a chart beside the slice views."""
    slicer.modules.plots.logic().ShowChartInLayout(chartNode)

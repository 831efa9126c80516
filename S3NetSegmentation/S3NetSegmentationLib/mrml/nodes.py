"""The nodes of a result: a segmentation, what it refers to, and the volume it was made from."""

from __future__ import annotations

from collections.abc import Iterable

import slicer

TISSUES, TISSUE_COLORS, TISSUE_TABLE, RESULTS_TABLE, EDITS = (
    "S3Net.tissues",
    "S3Net.tissueColors",
    "S3Net.tissueTable",
    "S3Net.resultsTable",
    "S3Net.edits",
)
CHART, HISTOGRAM, MARKS, RIGHT_SERIES, LEFT_SERIES, MARK_SERIES = (
    "S3Net.chart",
    "S3Net.histogram",
    "S3Net.marks",
    "S3Net.rightSeries",
    "S3Net.leftSeries",
    "S3Net.markSeries",
)
AERATION, AERATION_COLORS = "S3Net.aeration", "S3Net.aerationColors"
"""Roles of the nodes that a segmentation refers to."""

NODES = {
    TISSUES: ("vtkMRMLLabelMapVolumeNode", "tissues"),
    TISSUE_COLORS: ("vtkMRMLColorTableNode", "tissues colors"),
    TISSUE_TABLE: ("vtkMRMLTableNode", "tissues table"),
    RESULTS_TABLE: ("vtkMRMLTableNode", "lung figures"),
    EDITS: ("vtkMRMLLabelMapVolumeNode", "lung edits"),
    HISTOGRAM: ("vtkMRMLTableNode", "lung histogram table"),
    MARKS: ("vtkMRMLTableNode", "lung thresholds table"),
    RIGHT_SERIES: ("vtkMRMLPlotSeriesNode", "right lung series"),
    LEFT_SERIES: ("vtkMRMLPlotSeriesNode", "left lung series"),
    MARK_SERIES: ("vtkMRMLPlotSeriesNode", "lung thresholds series"),
    CHART: ("vtkMRMLPlotChartNode", "lung histogram"),
    AERATION: ("vtkMRMLLabelMapVolumeNode", "lung aeration"),
    AERATION_COLORS: ("vtkMRMLColorTableNode", "lung aeration colors"),
}
"""Class of each, and what follows the volume's name in its own."""

PLOT = (HISTOGRAM, MARKS, RIGHT_SERIES, LEFT_SERIES, MARK_SERIES, CHART)
MAP = (AERATION_COLORS, AERATION)
"""Roles of the nodes that exist only after the histogram, or the map, was asked for."""

MADE_BY_RUN = tuple(role for role in NODES if role not in (*PLOT, *MAP))

SETTINGS, BOX, SCAN, PICKS, WARNINGS, HINTS, QUALITY, WRITTEN = (
    "S3Net.settings",
    "S3Net.box",
    "S3Net.scan",
    "S3Net.picks",
    "S3Net.warnings",
    "S3Net.hints",
    "S3Net.quality",
    "S3Net.written",
)
"""Attributes of a segmentation: how it was made, the corners of the box that it was made from,
where body, airways and clusters are in it, what was picked by hand, what the user should know of
the run, where to look in its lungs, how far they can be trusted, and their shapes before any edit
by hand."""


HIDDEN = "SubjectHierarchy.ExcludeFromPotentialNodesList"
"""Attribute of a node that Slicer's Data module does not show."""


def volumeOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that a segmentation was made from, or None."""
    if not segmentationNode:
        return None
    role = segmentationNode.GetReferenceImageGeometryReferenceRole()
    return segmentationNode.GetNodeReference(role)


def segmentationOf(
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
) -> slicer.vtkMRMLSegmentationNode | None:
    """The segmentation that an earlier run has made from a volume, or None."""
    return next(iter(segmentationsOf(volumeNode)), None)


def segmentationsOf(
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
) -> list[slicer.vtkMRMLSegmentationNode]:
    """The segmentations that earlier runs have made from a volume."""
    return [
        segmentationNode
        for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if volumeNode
        and segmentationNode.GetAttribute(SETTINGS)
        and volumeOf(segmentationNode) is volumeNode
    ]


def isFromAnotherScan(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
) -> bool:
    """Whether a segmentation holds what was found or drawn in another volume than this one."""
    other = volumeOf(segmentationNode)
    if other is None:  # never had one, or it was deleted
        return segmentationNode.GetAttribute(SETTINGS) is not None
    return other is not volumeNode and segmentationNode.GetSegmentation().GetNumberOfSegments() > 0


def tissueMapOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
) -> slicer.vtkMRMLLabelMapVolumeNode | None:
    """The label map of the tissues of a segmentation, or None."""
    return segmentationNode.GetNodeReference(TISSUES) if segmentationNode else None


def resultsTableOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
) -> slicer.vtkMRMLTableNode | None:
    """The table of the lungs' figures of a segmentation, or None."""
    return segmentationNode.GetNodeReference(RESULTS_TABLE) if segmentationNode else None


def nodesOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode | None, roles: Iterable[str] = MADE_BY_RUN
) -> list[slicer.vtkMRMLNode]:
    """A segmentation and the nodes that it refers to, those that are there."""
    if not segmentationNode:
        return []
    referred = [segmentationNode.GetNodeReference(role) for role in roles]
    return [segmentationNode, *filter(None, referred)]


def newNode(kind: str, name: str) -> slicer.vtkMRMLNode:
    """A node that is added to the scene under a name that no other has."""
    return slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))


def ensureNode(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    role: str,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
) -> slicer.vtkMRMLNode:
    """The node that a segmentation refers to by a role; made where it is missing, and named."""
    kind, title = NODES[role]
    name = f"{volumeNode.GetName()} {title}"
    node = segmentationNode.GetNodeReference(role)
    if not node:
        node = newNode(kind, name)
        segmentationNode.SetNodeReferenceID(role, node.GetID())
    elif isFromAnotherScan(segmentationNode, volumeNode):
        node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    _placeUnder(node, segmentationNode)
    if role not in (RESULTS_TABLE, CHART):  # the others say nothing to a user
        node.SetAttribute(HIDDEN, "1")
    return node


def _placeUnder(node: slicer.vtkMRMLNode, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Let a node lie under its segmentation in the subject hierarchy, which deletes both."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item, parent = (hierarchy.GetItemByDataNode(each) for each in (node, segmentationNode))
    if item and parent:
        hierarchy.SetItemParent(item, parent)


def removeNodesOf(
    segmentationNode: slicer.vtkMRMLSegmentationNode, roles: Iterable[str] = tuple(NODES)
) -> None:
    """Remove what a segmentation refers to; all of it, as it is removed itself."""
    for node in nodesOf(segmentationNode, roles)[1:]:
        if node.IsA("vtkMRMLDisplayableNode") and node.GetDisplayNode():
            slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
        slicer.mrmlScene.RemoveNode(node)


def placeBeside(node: slicer.vtkMRMLNode, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Put a node that nobody has placed yet into the folder or study of the volume."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item, beside = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volumeNode)
    if item and beside and hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID():
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))

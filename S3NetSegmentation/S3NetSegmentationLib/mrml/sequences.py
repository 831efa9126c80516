"""Sequences of volumes (4D CT, inspiration and expiration): every frame is segmented."""

from __future__ import annotations

import slicer

from ..errors import InputError
from ..settings import Settings
from .display import hideUnlessShown
from .logic import Run, SegmentationLogic, checkVoxels
from .nodes import newNode, placeBeside
from .scan_table import BOTH, LEFT, RIGHT, Row, rowOf, writeBreath, writeScans
from .segmentation import writeLungs
from .transaction import oneStep
from .volume import voxelsOf

CHART, BREATH, SEGMENTATION = "S3Net.chart", "S3Net.breath", "S3Net.segmentation"
"""Roles of what a table of frames refers to: the curve of the volumes, the table of inspiration and
expiration, and the segmentation that shows the lungs of the frame that is selected."""

FRAME, VOLUMES = "Frame", (BOTH, RIGHT, LEFT)
"""Columns of the curve: along it, and its values."""


def sequenceOf(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLSequenceNode | None:
    """The sequence of volumes that a node is, browses, or shows a frame of; None for any other."""
    if node and node.IsA("vtkMRMLVolumeNode"):
        browserNode = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(node)
        node = browserNode.GetSequenceNode(node) if browserNode else None
    elif node and node.IsA("vtkMRMLSequenceBrowserNode"):
        node = node.GetMasterSequenceNode()
    first = node.GetNthDataNode(0) if node and node.IsA("vtkMRMLSequenceNode") else None
    return node if first and first.IsA("vtkMRMLScalarVolumeNode") else None


class Frames:
    """The frames of a sequence, as `Scans`; the scene changes after the last one.

    Parameters
    ----------
    logic : SegmentationLogic
    sequenceNode : vtkMRMLSequenceNode
        Of volumes.
    settings : Settings, optional
    """

    def __init__(
        self,
        logic: SegmentationLogic,
        sequenceNode: slicer.vtkMRMLSequenceNode,
        settings: Settings | None,
    ):
        self._logic, self._sequence, self._settings = logic, sequenceNode, settings
        count = sequenceNode.GetNumberOfDataNodes()
        self._values = [sequenceNode.GetNthIndexValue(index) for index in range(count)]
        self._lungs = slicer.vtkMRMLSequenceNode()
        self._lungs.SetIndexName(sequenceNode.GetIndexName())
        self._lungs.SetIndexUnit(sequenceNode.GetIndexUnit())
        self._lungs.SetIndexType(sequenceNode.GetIndexType())
        for value in self._values:  # of a frame that fails, it stays empty
            self._lungs.SetDataNodeAtValue(slicer.vtkMRMLSegmentationNode(), value)

    def __len__(self) -> int:
        return len(self._values)

    def start(self, index: int) -> Run:
        """As of `Scans`."""
        frame = self._sequence.GetDataNodeAtValue(self._values[index])
        if not frame or not self._sequence.GetScene():
            raise InputError("The frame was removed during the run.")
        return self._logic.start(frame, self._settings)

    def finish(self, index: int, run: Run) -> Row:
        """As of `Scans`."""
        result = run.job.result()
        checkVoxels(run, voxelsOf(run.volumeNode, run.box))
        scratch = slicer.vtkMRMLScene()  # nobody sees what is in there
        segmentationNode = scratch.AddNode(slicer.vtkMRMLSegmentationNode())
        writeLungs(segmentationNode, result.lung_array, run.volumeNode)
        self._lungs.SetDataNodeAtValue(segmentationNode, self._values[index])
        return rowOf(result)

    def close(self, rows: list[Row]) -> slicer.vtkMRMLTableNode | None:
        """As of `Scans`."""
        if not self._sequence.GetScene():
            return None
        with oneStep():
            tableNode = self._newTable("lung figures")
            index, unit = self._sequence.GetIndexName(), self._sequence.GetIndexUnit()
            frames = {
                FRAME: list(range(1, len(self) + 1)),
                f"{index} ({unit})" if unit else index or "Index": self._values,
            }
            writeScans(tableNode, frames, rows, VOLUMES)
            tableNode.SetNodeReferenceID(SEGMENTATION, self._browse().GetID())
            tableNode.SetNodeReferenceID(CHART, _plot(tableNode).GetID())
            breathNode = self._newTable("inspiration and expiration")
            if writeBreath(breathNode, rows):
                tableNode.SetNodeReferenceID(BREATH, breathNode.GetID())
            else:
                slicer.mrmlScene.RemoveNode(breathNode)
        return tableNode

    def _browse(self) -> slicer.vtkMRMLSegmentationNode:
        """A segmentation that shows the lungs of whatever frame is selected."""
        logic, name = slicer.modules.sequences.logic(), f"{self._sequence.GetName()} lungs"
        browserNode = logic.GetFirstBrowserNodeForSequenceNode(self._sequence)
        if not browserNode:
            browserNode = newNode("vtkMRMLSequenceBrowserNode", self._sequence.GetName())
            browserNode.SetAndObserveMasterSequenceNodeID(self._sequence.GetID())
            logic.UpdateProxyNodesFromSequences(browserNode)
        volumeNode = browserNode.GetProxyNode(self._sequence)
        segmentationNode = newNode("vtkMRMLSegmentationNode", name)
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        segmentationNode.CreateDefaultDisplayNodes()
        self._lungs.SetName(slicer.mrmlScene.GenerateUniqueName(name))
        slicer.mrmlScene.AddNode(self._lungs)
        browserNode.AddSynchronizedSequenceNode(self._lungs)
        browserNode.AddProxyNode(segmentationNode, self._lungs, False)
        browserNode.SetSaveChanges(self._lungs, True)  # lungs that are corrected by hand stay so
        logic.UpdateProxyNodesFromSequences(browserNode)
        placeBeside(segmentationNode, volumeNode)
        hideUnlessShown(segmentationNode)
        return segmentationNode

    def _newTable(self, title: str) -> slicer.vtkMRMLTableNode:
        return newNode("vtkMRMLTableNode", f"{self._sequence.GetName()} {title}")


def _plot(tableNode: slicer.vtkMRMLTableNode) -> slicer.vtkMRMLPlotChartNode:
    """The curve of the volumes of a table of frames."""
    chartNode = newNode("vtkMRMLPlotChartNode", f"{tableNode.GetName()} chart")
    chartNode.SetXAxisTitle(FRAME)
    chartNode.SetYAxisTitle("Lung volume (mL)")
    for title in VOLUMES:
        seriesNode = newNode("vtkMRMLPlotSeriesNode", title)
        seriesNode.SetAndObserveTableNodeID(tableNode.GetID())
        seriesNode.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)  # y over x
        seriesNode.SetXColumnName(FRAME)
        seriesNode.SetYColumnName(title)
        seriesNode.SetUniqueColor()
        chartNode.AddAndObservePlotSeriesNodeID(seriesNode.GetID())
    return chartNode

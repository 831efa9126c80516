"""What the module can do with many scans, for its panel and for scripts. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import slicer
import vtk

from ..errors import InputError
from ..progress import Progress
from ..settings import Settings
from .display import hideUnlessShown
from .edits import editedLungs
from .logic import Run, SegmentationLogic, waitInSlicer
from .nodes import newNode, placeBeside, segmentationsOf
from .queue import Queue, Scans
from .scan_table import Row, rowOf, writeScans
from .sequences import Frames, sequenceOf


def volumesUnder(item: int) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The scalar volumes that an item of the Data module is or holds, but no hidden ones."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    below = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, below, True)
    items = [item, *(below.GetId(index) for index in range(below.GetNumberOfIds()))]
    nodes = filter(None, map(hierarchy.GetItemDataNode, items))
    kind = "vtkMRMLScalarVolumeNode"  # not a class derived from it
    return [each for each in nodes if each.GetClassName() == kind and not each.GetHideFromEditors()]


class Volumes:
    """Volumes of the scene, as `Scans`.

    Parameters
    ----------
    logic : SegmentationLogic
    volumeNodes : sequence of vtkMRMLScalarVolumeNode
    settings : Settings, optional
    """

    def __init__(
        self,
        logic: SegmentationLogic,
        volumeNodes: Sequence[slicer.vtkMRMLScalarVolumeNode],
        settings: Settings | None,
    ):
        self._logic, self._volumes, self._settings = logic, volumeNodes, settings

    def __len__(self) -> int:
        return len(self._volumes)

    def start(self, index: int) -> Run:
        """As of `Scans`; a segmentation that was edited by hand is left alone."""
        earlier = segmentationsOf(self._volumes[index])
        unedited = (each for each in earlier if not editedLungs(each))
        return self._logic.start(self._volumes[index], self._settings, next(unedited, None))

    def finish(self, index: int, run: Run) -> Row:
        """As of `Scans`."""
        hideUnlessShown(self._logic.finish(run))
        return rowOf(run.job.result())

    def close(self, rows: list[Row]) -> slicer.vtkMRMLTableNode:
        """As of `Scans`."""
        tableNode = newNode("vtkMRMLTableNode", "S3-Net lung figures")
        writeScans(tableNode, {"Scan": [each.GetName() for each in self._volumes]}, rows)
        placeBeside(tableNode, self._volumes[0])
        return tableNode


class ManyScansLogic(SegmentationLogic):
    """Segments the lungs of many volumes, and of every frame of a sequence."""

    def queue(
        self,
        volumeNodes: Iterable[slicer.vtkMRMLScalarVolumeNode],
        settings: Settings | None = None,
    ) -> Queue:
        """Volumes to be segmented in turn; one that shows a frame of a sequence is all of it."""
        sequenceNodes = {node: sequenceOf(node) for node in volumeNodes}
        single = [node for node, sequenceNode in sequenceNodes.items() if not sequenceNode]
        groups: list[Scans] = [Volumes(self, single, settings)] if single else []
        for sequenceNode in dict.fromkeys(filter(None, sequenceNodes.values())):
            groups.append(Frames(self, sequenceNode, settings))
        return Queue(groups)

    def segmentVolumes(
        self,
        volumeNodes: Iterable[slicer.vtkMRMLScalarVolumeNode],
        settings: Settings | None = None,
        onProgress: Callable[[Progress], None] | None = None,
        isCancelled: Callable[[], bool] | None = None,
        onLog: Callable[[str], None] | None = None,
    ) -> slicer.vtkMRMLTableNode:
        """Segment the lungs of volumes, one after the other, and wait for it.

        Each has its own segmentation: that of an earlier run, or a new one where there is none or
        where it was edited by hand. Parameters and errors are those of `segment`; what was finished
        before an error is kept.

        Returns
        -------
        vtkMRMLTableNode
            A row for each volume; of one that was refused or failed it says why.
        """
        volumes = list(volumeNodes)
        if not volumes:
            raise InputError("No volume is selected; choose a chest CT.")
        queue = Queue([Volumes(self, volumes, settings)])
        notice = "Cancelled; what was finished before is kept."
        return waitInSlicer(queue, onProgress, isCancelled, onLog, notice)[0]

    def segmentSequence(
        self,
        node: slicer.vtkMRMLNode,
        settings: Settings | None = None,
        onProgress: Callable[[Progress], None] | None = None,
        isCancelled: Callable[[], bool] | None = None,
        onLog: Callable[[str], None] | None = None,
    ) -> slicer.vtkMRMLTableNode:
        """Segment the lungs in every frame of a sequence and wait for it.

        Parameters and errors are those of `segment`, except for the first.

        Parameters
        ----------
        node : vtkMRMLSequenceNode, vtkMRMLSequenceBrowserNode or vtkMRMLScalarVolumeNode
            A sequence of volumes, its browser, or the volume that shows the selected frame.

        Returns
        -------
        vtkMRMLTableNode
            A row for each frame. The table refers to the lungs (``"S3Net.segmentation"``), which
            follow the frame that is selected, to the curve of their volume (``"S3Net.chart"``),
            and to the table of inspiration and expiration (``"S3Net.breath"``), if there are two.
        """
        sequenceNode = sequenceOf(node)
        if not sequenceNode:
            raise InputError("This is not a sequence of volumes; choose a 4D CT.")
        queue = Queue([Frames(self, sequenceNode, settings)])
        notice = "Cancelled; the scene is as it was."
        tableNodes = waitInSlicer(queue, onProgress, isCancelled, onLog, notice)
        if not tableNodes:
            raise InputError("The sequence was removed during the run; the result was discarded.")
        return tableNodes[0]

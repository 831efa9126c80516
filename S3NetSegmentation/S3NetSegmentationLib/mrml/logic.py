"""What the module can do, for its panel and for scripts. No Qt."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import slicer

from ..errors import Cancelled, InputError
from ..io.validate import check_volume
from ..progress import Progress
from ..result import LungResult
from ..settings import Settings
from .job import SegmentationJob
from .segmentation import fillColors, writeClusters, writeLungs
from .tables import readClusterTable, writeClusterTable, writeResultsTable
from .volume import VoxelBox, checkVolume, imageFromVolume, voxelBox

CLUSTERS, CLUSTER_TABLE, RESULTS_TABLE = (
    "S3Net.clusters",
    "S3Net.clusterTable",
    "S3Net.resultsTable",
)
"""Roles of the nodes that a segmentation refers to."""

SETTINGS, BOX = "S3Net.settings", "S3Net.box"
"""Attributes of a segmentation: how it was made and from which voxels."""


@dataclass(frozen=True)
class Run:
    """A segmentation that is under way.

    Attributes
    ----------
    job : SegmentationJob
    volumeNode : vtkMRMLScalarVolumeNode
    segmentationNode : vtkMRMLSegmentationNode or None
        None makes a new one.
    box : VoxelBox
        The voxels that are segmented.
    image : SimpleITK.Image
        A copy of them.
    """

    job: SegmentationJob
    volumeNode: object
    segmentationNode: object
    box: VoxelBox
    image: sitk.Image


class SegmentationLogic:
    """Segments the lungs of volume nodes; see `segment`.

    The scene changes only when a segmentation has succeeded.
    """

    def __init__(self):
        super().__init__()
        # The latest result, so that choosing clusters need not prepare the scan anew.
        self._latest: tuple[str, tuple, LungResult, sitk.Image] | None = None

    def segment(
        self,
        volumeNode,
        settings: Settings | None = None,
        segmentationNode=None,
        roiNode=None,
        sliceRange: tuple[float, float] | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        log: Callable[[str], None] | None = None,
    ):
        """Segment the lungs and wait for it.

        Parameters
        ----------
        volumeNode : vtkMRMLScalarVolumeNode
            A chest CT in Hounsfield units.
        settings : Settings, optional
            As for the command ``s3net``; default: the preset ``"lung-ct"``.
        segmentationNode : vtkMRMLSegmentationNode, optional
            To be updated; by default a new one.
        roiNode : vtkMRMLMarkupsROINode, optional
            Limits the work to the voxels' box that encloses it.
        sliceRange : (float, float), optional
            Limits the work to axial slices between these positions in mm (superior is positive).
        progress : callable, optional
            Called with a `Progress` a few times a second.
        cancelled : callable, optional
            Asked a few times a second; where it answers true, the work stops.
        log : callable, optional
            Called with each line that the process prints.

        Returns
        -------
        vtkMRMLSegmentationNode
            With the segments ``right_lung`` and ``left_lung``, empty where there are no lungs.

        Raises
        ------
        S3NetError
            With one sentence for the user; the scene is as it was.
        """
        run = self.start(volumeNode, settings, segmentationNode, roiNode, sliceRange)
        try:
            while run.job.poll(progress, log):
                if cancelled and cancelled():
                    raise Cancelled("Cancelled; the scene is as it was.")
                slicer.app.processEvents()
                time.sleep(0.05)
            return self.finish(run)
        finally:
            run.job.cancel()

    def segmentFolder(
        self,
        inputFolder: str,
        outputFolder: str,
        settings: Settings | None = None,
        formats: Iterable[str] = (".seg.nrrd",),
        nameBy: str = "hash",
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> list[dict]:
        """Segment the lungs in every CT scan below a folder and wait for it; no scene is needed.

        The same call goes on where an earlier one was interrupted.

        Parameters
        ----------
        inputFolder, outputFolder : str
            See `S3NetSegmentationLib.batch.run.run_batch`, also for `formats` and `nameBy`.
        settings : Settings, optional
            Default: the preset ``"lung-ct"``.
        formats : iterable of str
            Of ``".seg.nrrd"``, ``".nii.gz"`` and ``".seg.dcm"``.
        nameBy : {"hash", "path", "series"}
            What outputs are named by.
        progress, cancelled, log : callable, optional
            As of `segment`.

        Returns
        -------
        list of dict
            A record for each scan, also those that failed (``"status"``, ``"error"``).

        Raises
        ------
        S3NetError
            With one sentence for the user.
        """
        from ..batch.background import run_batch_in_background

        return run_batch_in_background(
            inputFolder,
            outputFolder,
            settings,
            formats=tuple(formats),
            name_by=nameBy,
            progress=progress,
            cancelled=cancelled,
            log=log,
            idle=slicer.app.processEvents,
            temporary=slicer.app.temporaryPath,
        )

    def start(
        self, volumeNode, settings=None, segmentationNode=None, roiNode=None, sliceRange=None
    ) -> Run:
        """Begin to segment in the background; parameters and errors as of `segment`.

        Call ``run.job.poll()`` until it answers false, then `finish`; or ``run.job.cancel()``.
        """
        checkVolume(volumeNode)
        box = voxelBox(volumeNode, roiNode, sliceRange)
        image = imageFromVolume(volumeNode, box)
        check_volume(image)
        job = SegmentationJob(image, settings or Settings(), slicer.app.temporaryPath)
        return Run(job, volumeNode, segmentationNode, box, image)

    def finish(self, run: Run):
        """Put the result of a run that has ended into the scene.

        Returns
        -------
        vtkMRMLSegmentationNode

        Raises
        ------
        S3NetError
            If the run failed or its volume is no longer there; the scene is as it was.
        """
        result = run.job.result()
        self._checkUnchanged(run)
        with _allOrNothing() as add:
            segmentationNode = run.segmentationNode or add(
                "vtkMRMLSegmentationNode", f"{run.volumeNode.GetName()} lungs"
            )
            self._show(run, result, segmentationNode, add)
        self._latest = (segmentationNode.GetID(), _key(segmentationNode), result, run.image)
        return segmentationNode

    def chooseClusters(self, segmentationNode, clusterNumbers: Iterable[int]) -> None:
        """Decide the lungs anew from other clusters, without fitting again.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode
            From `segment`, perhaps of an earlier session.
        clusterNumbers : iterable of int

        Raises
        ------
        InputError
            If a cluster does not exist, or the volume or the clusters are gone.
        """
        result, image, box = self._restore(segmentationNode)
        result = result.choose(image, clusterNumbers)
        volumeNode = volumeOf(segmentationNode)
        slicer.mrmlScene.SaveStateForUndo()
        _write(segmentationNode, result, image, volumeNode, box)
        self._latest = (segmentationNode.GetID(), _key(segmentationNode), result, image)

    def clusterAt(self, ras, segmentationNode) -> int:
        """The number of the cluster under a point, 0 where there is none.

        Parameters
        ----------
        ras : sequence of float
            World coordinates in mm.
        segmentationNode : vtkMRMLSegmentationNode
        """
        from .volume import ijkToWorld

        labelMapNode = clusterMapOf(segmentationNode)
        if not labelMapNode:
            return 0
        position = np.linalg.inv(ijkToWorld(labelMapNode)) @ [*ras, 1]
        i, j, k = np.rint(position[:3]).astype(int)
        clusters = slicer.util.arrayFromVolume(labelMapNode)
        inside = all(0 <= n < size for n, size in zip((k, j, i), clusters.shape, strict=True))
        return int(clusters[k, j, i]) if inside else 0

    def clusters(self, segmentationNode):
        """The clusters of a segmentation and the numbers of those that are chosen.

        Returns
        -------
        tuple of ClusterStatistics, tuple of int
        """
        tableNode = segmentationNode.GetNodeReference(CLUSTER_TABLE) if segmentationNode else None
        return readClusterTable(tableNode) if tableNode else ((), ())

    def _checkUnchanged(self, run: Run) -> None:
        """Refuse to place a result on a volume that is gone or has become another one."""
        scene = slicer.mrmlScene
        if not scene.IsNodePresent(run.volumeNode):
            raise InputError("The volume was removed meanwhile; the result was dropped.")
        if run.segmentationNode and not scene.IsNodePresent(run.segmentationNode):
            raise InputError("The segmentation was removed meanwhile; the result was dropped.")
        now = imageFromVolume(run.volumeNode, run.box)
        if now.GetSize() != run.image.GetSize() or not np.array_equal(
            sitk.GetArrayViewFromImage(now), sitk.GetArrayViewFromImage(run.image)
        ):
            raise InputError("The volume was changed meanwhile; apply again.")

    def _show(self, run: Run, result: LungResult, segmentationNode, add) -> None:
        """Fill the segmentation and the nodes it refers to, making those that are missing."""
        name = run.volumeNode.GetName()
        kinds = {
            CLUSTERS: ("vtkMRMLLabelMapVolumeNode", f"{name} clusters"),
            CLUSTER_TABLE: ("vtkMRMLTableNode", f"{name} clusters table"),
            RESULTS_TABLE: ("vtkMRMLTableNode", f"{name} lung figures"),
        }
        for role, (kind, title) in kinds.items():
            node = segmentationNode.GetNodeReference(role) or add(kind, title)
            segmentationNode.SetNodeReferenceID(role, node.GetID())
            _placeBeside(node, run.volumeNode)
        _placeBeside(segmentationNode, run.volumeNode)
        segmentationNode.SetAttribute(SETTINGS, json.dumps(result.settings.as_dict()))
        segmentationNode.SetAttribute(BOX, json.dumps([run.box.start, run.box.stop]))
        self._showClusters(run, result, clusterMapOf(segmentationNode), add)
        _write(segmentationNode, result, run.image, run.volumeNode, run.box)

    def _showClusters(self, run: Run, result: LungResult, labelMapNode, add) -> None:
        shape = slicer.util.arrayFromVolume(run.volumeNode).shape
        clusters = sitk.GetArrayFromImage(result.clusters)
        writeClusters(labelMapNode, run.box.paste(clusters, shape), run.volumeNode)
        display = labelMapNode.GetDisplayNode()
        colorNode = display.GetColorNode()
        if not colorNode or colorNode.GetType() != colorNode.User:
            colorNode = add("vtkMRMLColorTableNode", f"{labelMapNode.GetName()} colors")
        fillColors(colorNode, len(result.table))
        display.SetAndObserveColorNodeID(colorNode.GetID())

    def _restore(self, segmentationNode) -> tuple[LungResult, sitk.Image, VoxelBox]:
        """The result behind a segmentation, its image and its box: from memory or the scene."""
        volumeNode, labelMapNode = volumeOf(segmentationNode), clusterMapOf(segmentationNode)
        if not volumeNode or not labelMapNode:
            raise InputError(
                "The volume or the clusters of this segmentation are gone; apply again."
            )
        checkVolume(volumeNode)
        box = VoxelBox(*map(tuple, json.loads(segmentationNode.GetAttribute(BOX))))
        if self._latest and self._latest[:2] == (segmentationNode.GetID(), _key(segmentationNode)):
            return *self._latest[2:], box
        shape = slicer.util.arrayFromVolume(volumeNode).shape
        clusters = slicer.util.arrayFromVolume(labelMapNode)
        if clusters.shape != shape:
            raise InputError("The volume no longer fits its clusters; apply again.")
        image = imageFromVolume(volumeNode, box)
        settings = Settings.from_dict(json.loads(segmentationNode.GetAttribute(SETTINGS)))
        table, chosen = self.clusters(segmentationNode)
        return (
            LungResult.restore(image, clusters[box.slices], table, chosen, settings),
            image,
            box,
        )


def volumeOf(segmentationNode):
    """The volume that a segmentation was made from, or None."""
    role = segmentationNode.GetReferenceImageGeometryReferenceRole()
    return segmentationNode.GetNodeReference(role)


def clusterMapOf(segmentationNode):
    """The label map of the clusters of a segmentation, or None."""
    return segmentationNode.GetNodeReference(CLUSTERS)


def _key(segmentationNode) -> tuple:
    """Changes whenever the voxels of the volume or of the clusters do."""
    volumeNode, labelMapNode = volumeOf(segmentationNode), clusterMapOf(segmentationNode)
    return (
        volumeNode.GetID(),
        volumeNode.GetImageData().GetMTime(),
        labelMapNode.GetImageData().GetMTime(),
    )


def _write(segmentationNode, result: LungResult, image, volumeNode, box: VoxelBox) -> None:
    """The lungs and both tables of a segmentation."""
    shape = slicer.util.arrayFromVolume(volumeNode).shape
    writeLungs(
        segmentationNode, box.paste(sitk.GetArrayViewFromImage(result.lungs), shape), volumeNode
    )
    writeClusterTable(segmentationNode.GetNodeReference(CLUSTER_TABLE), result.table, result.chosen)
    writeResultsTable(segmentationNode.GetNodeReference(RESULTS_TABLE), result.measurements(image))


@contextmanager
def _allOrNothing():
    """A function that adds nodes; after an error they are gone again."""
    scene, added = slicer.mrmlScene, []
    scene.SaveStateForUndo()

    def add(kind: str, name: str):
        node = scene.AddNewNodeByClass(kind, scene.GenerateUniqueName(name))
        node.SetUndoEnabled(True)
        added.append(node)
        return node

    try:
        yield add
    except BaseException:
        for node in reversed(added):
            scene.RemoveNode(node)
        raise


def _placeBeside(node, volumeNode) -> None:
    """Put a node into the folder or study of the volume."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item, beside = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volumeNode)
    if item and beside:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))

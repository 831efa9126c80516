"""What the module can do, for its panel and for scripts. No Qt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import slicer

from ..batch.words import NAME_BY, SEGMENTATION
from ..errors import Cancelled, InputError
from ..jobs.job import wait_for
from ..jobs.segmentation import SegmentationJob
from ..lung.clusters import ClusterStatistics
from ..manual_choice import choose_clusters, restore_result
from ..progress import Progress
from ..result import LungResult
from ..settings import Settings
from .edits import (
    Shapes,
    differing,
    editedLungs,
    editsSince,
    keepCopy,
    shapesIn,
    shapesOf,
    withEdits,
)
from .measuring import writeFigures
from .nodes import (
    BOX,
    CLUSTER_COLORS,
    CLUSTER_TABLE,
    CLUSTERS,
    EDITS,
    HINTS,
    QUALITY,
    RESULTS_TABLE,
    SCAN,
    SETTINGS,
    WARNINGS,
    WRITTEN,
    clusterMapOf,
    ensureNode,
    isFromAnotherScan,
    newNode,
    nodesOf,
    placeBeside,
    segmentationOf,
    volumeOf,
)
from .segmentation import checkSegmentation, fillColors, readLungs, writeLabels, writeLungs
from .tables import readClusterTable, writeClusterTable
from .transaction import Step, oneStep
from .volume import (
    VoxelBox,
    boxFromCorners,
    checkVolume,
    cornersOfBox,
    geometryOf,
    ijkToWorld,
    imageFromVolume,
    sameAxes,
    voxelBox,
    voxelsOf,
)

NO_LUNGS_MESSAGE = (
    "No lungs were found in this volume; choose their clusters, if it does show lungs."
)


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
    replaced : dict, optional
        The shapes of the lungs that may be lost, though they were edited by hand.
    """

    job: SegmentationJob
    volumeNode: slicer.vtkMRMLScalarVolumeNode
    segmentationNode: slicer.vtkMRMLSegmentationNode | None
    box: VoxelBox
    image: sitk.Image
    replaced: Shapes | None


class SegmentationLogic:
    """Segments the lungs of volume nodes; see `segment`.

    The scene changes only when a segmentation has succeeded, and then as one step of its undo.

    Parameters
    ----------
    startJob : callable, optional
        Begins to segment an image: takes it, the settings and a folder for temporary files, and
        gives what works as a `SegmentationJob`.
    """

    # The latest result of any logic, from which other clusters are chosen at once.
    _latest: tuple[str, tuple, LungResult] | None = None

    def __init__(
        self, startJob: Callable[[sitk.Image, Settings, str], SegmentationJob] = SegmentationJob
    ):
        super().__init__()
        self.startJob = startJob
        self._done: tuple[slicer.vtkMRMLSegmentationNode, Step, Shapes] | None = None

    def segment(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        settings: Settings | None = None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        sliceRange: tuple[float, float] | None = None,
        onProgress: Callable[[Progress], None] | None = None,
        isCancelled: Callable[[], bool] | None = None,
        onLog: Callable[[str], None] | None = None,
        overwrite: bool = False,
    ) -> slicer.vtkMRMLSegmentationNode:
        """Segment the lungs and wait for it.

        Parameters
        ----------
        volumeNode : vtkMRMLScalarVolumeNode
            A chest CT in Hounsfield units.
        settings : Settings, optional
            As for the command ``s3net``; default: the preset ``"lung-ct"``.
        segmentationNode : vtkMRMLSegmentationNode, optional
            To be updated; by default the one of an earlier run on this volume, or a new one.
        roiNode : vtkMRMLMarkupsROINode, optional
            Limits the work to the voxels' box that encloses it.
        sliceRange : (float, float), optional
            Limits the work to axial slices between these positions in mm (superior is positive).
        onProgress : callable, optional
            Called with a `Progress` a few times a second.
        isCancelled : callable, optional
            Asked a few times a second; where it answers true, the work stops.
        onLog : callable, optional
            Called with each line that the process prints.
        overwrite : bool
            Whether to write into a segmentation that was made from another scan, and to replace
            what was edited by hand. Without it the first is refused, and a copy is kept of the
            second.

        Returns
        -------
        vtkMRMLSegmentationNode
            With the segments ``right_lung`` and ``left_lung``, empty where there are no lungs.

        Raises
        ------
        S3NetError
            With one sentence for the user; the scene is as it was.
        """
        segmentationNode = segmentationNode or segmentationOf(volumeNode)
        run = self.start(volumeNode, settings, segmentationNode, roiNode, sliceRange, overwrite)

        def onIdle() -> None:
            if isCancelled and isCancelled():
                raise Cancelled("Cancelled; the scene is as it was.")
            slicer.app.processEvents()

        wait_for(run.job, onProgress, onLog, onIdle)
        return self.finish(run)

    def segmentFolder(
        self,
        inputFolder: str,
        outputFolder: str,
        settings: Settings | None = None,
        formats: Iterable[str] = (SEGMENTATION,),
        nameBy: str = NAME_BY[0],
        onProgress: Callable[[Progress], None] | None = None,
        isCancelled: Callable[[], bool] | None = None,
        onLog: Callable[[str], None] | None = None,
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
        onProgress, isCancelled, onLog : callable, optional
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
        from ..batch.in_background import run_batch_in_background

        return run_batch_in_background(
            inputFolder,
            outputFolder,
            settings,
            formats=tuple(formats),
            name_by=nameBy,
            on_progress=onProgress,
            on_log=onLog,
            on_idle=slicer.app.processEvents,
            is_cancelled=isCancelled,
            temporary=slicer.app.temporaryPath,
        )

    def start(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        settings: Settings | None = None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        sliceRange: tuple[float, float] | None = None,
        overwrite: bool = False,
    ) -> Run:
        """Begin to segment in the background; parameters and errors as of `segment`.

        Without a segmentation node there will be a new one.

        Call ``run.job.poll()`` until it answers false, then `finish`; or ``run.job.cancel()``.
        """
        checkVolume(volumeNode)
        if segmentationNode:
            checkSegmentation(segmentationNode, volumeNode)
            if isFromAnotherScan(segmentationNode, volumeNode) and not overwrite:
                raise InputError(
                    "The segmentation was made from another scan; choose another one, or none for "
                    "a new one."
                )
        box = voxelBox(volumeNode, roiNode, sliceRange)
        image = imageFromVolume(volumeNode, box)
        job = self.startJob(image, settings or Settings(), slicer.app.temporaryPath)
        replaced = shapesOf(segmentationNode) if segmentationNode and overwrite else None
        return Run(job, volumeNode, segmentationNode, box, image, replaced)

    def finish(self, run: Run) -> slicer.vtkMRMLSegmentationNode:
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
        with oneStep(*nodesOf(run.segmentationNode)) as step:
            if editedLungs(run.segmentationNode):
                self._keepEdits(run)
            segmentationNode = run.segmentationNode or newNode(
                "vtkMRMLSegmentationNode", f"{run.volumeNode.GetName()} lungs"
            )
            self._show(run, result, segmentationNode)
            editsNode = segmentationNode.GetNodeReference(EDITS)
            if editsNode:
                slicer.mrmlScene.RemoveNode(editsNode)
        self._keep(segmentationNode, result, step)
        return segmentationNode

    def chooseClusters(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, clusterNumbers: Iterable[int]
    ) -> None:
        """Decide the lungs anew from other clusters, without fitting again.

        What was painted or erased by hand stays as it is.

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
        result, box = self._chosen(segmentationNode, clusterNumbers)
        edits = self._edits(segmentationNode)
        _, *changing = nodesOf(segmentationNode, (CLUSTER_TABLE, RESULTS_TABLE, EDITS))
        with oneStep(*changing, last=segmentationNode) as step:
            _write(segmentationNode, result, volumeOf(segmentationNode), box, edits)
        self._keep(segmentationNode, result, step)

    def canUndo(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether `undo` can take back what was last done to a segmentation.

        Where the scene's own undo is switched on, that one is to be used.
        """
        return (
            self._done is not None
            and self._done[0] is segmentationNode
            and not slicer.mrmlScene.GetUndoFlag()
        )

    def undo(self) -> None:
        """Take back the last run or choice; what was edited by hand since is kept as a copy."""
        if self._done is None:
            return
        segmentationNode, step, shapes = self._done
        if differing(shapesOf(segmentationNode), shapes):
            keepCopy(segmentationNode)
        step.takeBack()
        self.forget()

    def forget(self) -> None:
        """Let go of what is kept in memory for the next choice or undo, as the scene is closed."""
        self._done = None
        SegmentationLogic._latest = None

    def clusterAt(
        self, ras: Sequence[float], segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
    ) -> int:
        """The number of the cluster under a point, 0 where there is none.

        Parameters
        ----------
        ras : sequence of float
            World coordinates in mm.
        segmentationNode : vtkMRMLSegmentationNode, optional
            By default the one that was segmented last.
        """
        if segmentationNode is None and self._latest:
            segmentationNode = slicer.mrmlScene.GetNodeByID(self._latest[0])
        labelMapNode = clusterMapOf(segmentationNode)
        if not labelMapNode:
            return 0
        position = np.linalg.inv(ijkToWorld(labelMapNode)) @ [*ras, 1]
        i, j, k = np.rint(position[:3]).astype(int)
        clusters = slicer.util.arrayFromVolume(labelMapNode)
        inside = all(0 <= n < size for n, size in zip((k, j, i), clusters.shape, strict=True))
        return int(clusters[k, j, i]) if inside else 0

    def clusters(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode | None
    ) -> tuple[tuple[ClusterStatistics, ...], tuple[int, ...]]:
        """The clusters of a segmentation and the numbers of those that are chosen.

        Returns
        -------
        tuple of ClusterStatistics, tuple of int
        """
        tableNode = segmentationNode.GetNodeReference(CLUSTER_TABLE) if segmentationNode else None
        return readClusterTable(tableNode) if tableNode else ((), ())

    def warnings(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> tuple[str, ...]:
        """Sentences that the user should read: how it was made, and where to look."""
        if not segmentationNode:
            return ()
        kept = [segmentationNode.GetAttribute(name) for name in (WARNINGS, HINTS)]
        return tuple(sentence for each in kept if each for sentence in json.loads(each))

    def quality(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> float | None:
        """Estimate of the quality of the chosen clusters, 0 to 1, before any edit by hand."""
        kept = segmentationNode.GetAttribute(QUALITY) if segmentationNode else None
        return json.loads(kept) if kept else None

    def _keep(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, result: LungResult, step: Step
    ) -> None:
        SegmentationLogic._latest = (segmentationNode.GetID(), _key(segmentationNode), result)
        isUndoneByTheScene = slicer.mrmlScene.GetUndoFlag()
        self._done = (
            None if isUndoneByTheScene else (segmentationNode, step, shapesOf(segmentationNode))
        )

    def _checkUnchanged(self, run: Run) -> None:
        """Refuse to place a result on a volume that is gone or has become another one."""
        scene = slicer.mrmlScene
        if not scene.IsNodePresent(run.volumeNode):
            raise InputError("The volume was removed during the run; the result was discarded.")
        if run.segmentationNode and not scene.IsNodePresent(run.segmentationNode):
            raise InputError(
                "The segmentation was removed during the run; the result was discarded."
            )
        checkVolume(run.volumeNode)
        if run.segmentationNode:
            checkSegmentation(run.segmentationNode, run.volumeNode)
        then, now = sitk.GetArrayViewFromImage(run.image), voxelsOf(run.volumeNode, run.box)
        # Slice by slice, as all at once takes several times as long.
        if then.shape != now.shape or not all(map(np.array_equal, then, now)):
            raise InputError("The volume was edited during the run; click Apply again.")

    @staticmethod
    def _keepEdits(run: Run) -> None:
        """Copy what was edited by hand, unless it may be lost just as it is."""
        now = shapesOf(run.segmentationNode)
        if run.replaced is None or differing(now, run.replaced):
            keepCopy(run.segmentationNode)

    def _edits(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> np.ndarray | None:
        """What was painted and erased by hand since the run, as of `editsSince`; or None."""
        editsNode = segmentationNode.GetNodeReference(EDITS)
        if not editsNode and not editedLungs(segmentationNode):
            return None
        before = slicer.util.arrayFromVolume(editsNode) if editsNode else None
        volumeNode = volumeOf(segmentationNode)
        _, chosen = self.clusters(segmentationNode)
        result, box = self._chosen(segmentationNode, chosen)
        shape = slicer.util.arrayFromVolume(volumeNode).shape
        written = withEdits(box.paste(result.lung_array, shape), before)
        return editsSince(written, readLungs(segmentationNode, volumeNode), before)

    def _show(
        self, run: Run, result: LungResult, segmentationNode: slicer.vtkMRMLSegmentationNode
    ) -> None:
        """Fill the segmentation and the nodes it refers to, making those that are missing."""
        placeBeside(segmentationNode, run.volumeNode)
        for role in (CLUSTERS, CLUSTER_COLORS, CLUSTER_TABLE, RESULTS_TABLE):
            ensureNode(segmentationNode, role, run.volumeNode)
        segmentationNode.SetAttribute(SETTINGS, json.dumps(result.settings.as_dict()))
        segmentationNode.SetAttribute(BOX, json.dumps(cornersOfBox(run.volumeNode, run.box)))
        segmentationNode.SetAttribute(SCAN, result.scan.to_text())
        segmentationNode.SetAttribute(WARNINGS, json.dumps(result.warnings))
        self._showClusters(run, result, segmentationNode)
        _write(segmentationNode, result, run.volumeNode, run.box)

    def _showClusters(
        self, run: Run, result: LungResult, segmentationNode: slicer.vtkMRMLSegmentationNode
    ) -> None:
        labelMapNode = segmentationNode.GetNodeReference(CLUSTERS)
        colorNode = segmentationNode.GetNodeReference(CLUSTER_COLORS)
        shape = slicer.util.arrayFromVolume(run.volumeNode).shape
        clusters = run.box.paste(result.cluster_array, shape)
        writeLabels(labelMapNode, clusters, run.volumeNode)
        fillColors(colorNode, len(result.table))
        labelMapNode.GetDisplayNode().SetAndObserveColorNodeID(colorNode.GetID())

    def _chosen(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, numbers: Iterable[int]
    ) -> tuple[LungResult, VoxelBox]:
        """The result with other clusters, and its box: from memory or the scene."""
        volumeNode, labelMapNode = volumeOf(segmentationNode), clusterMapOf(segmentationNode)
        if not volumeNode or not labelMapNode:
            raise InputError(
                "The volume or the clusters of this segmentation are gone; apply again."
            )
        checkVolume(volumeNode)
        checkSegmentation(segmentationNode, volumeNode)
        box = boxFromCorners(labelMapNode, json.loads(segmentationNode.GetAttribute(BOX)))
        if self._latest and self._latest[:2] == (segmentationNode.GetID(), _key(segmentationNode)):
            return choose_clusters(self._latest[2], voxelsOf(volumeNode, box), numbers), box
        clusters = slicer.util.arrayFromVolume(labelMapNode)
        sameShape = clusters.shape == slicer.util.arrayFromVolume(volumeNode).shape
        if not sameShape or not sameAxes(volumeNode, labelMapNode):
            raise InputError("The volume no longer fits its clusters; apply again.")
        settings = Settings.from_dict(json.loads(segmentationNode.GetAttribute(SETTINGS)))
        table, _ = self.clusters(segmentationNode)
        result = restore_result(
            voxelsOf(volumeNode, box),
            geometryOf(volumeNode, box),
            clusters[box.slices],
            table,
            numbers,
            settings,
            segmentationNode.GetAttribute(SCAN),
        )
        return result, box


def _key(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple:
    """Changes whenever the voxels of the volume or of the clusters do."""
    nodes = (volumeOf(segmentationNode), clusterMapOf(segmentationNode))
    return tuple((node.GetID(), node.GetImageData().GetMTime()) for node in nodes if node)


def _write(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    result: LungResult,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    box: VoxelBox,
    edits: np.ndarray | None = None,
) -> None:
    """Both tables and, in the end, the lungs of a segmentation and what is known of them."""
    decided = box.paste(result.lung_array, slicer.util.arrayFromVolume(volumeNode).shape)
    lungs = withEdits(decided, edits)
    written = now = shapesIn(decided, volumeNode)
    if edits is not None:
        writeLabels(ensureNode(segmentationNode, EDITS, volumeNode), edits, volumeNode)
        now = shapesIn(lungs, volumeNode)
    writeClusterTable(segmentationNode.GetNodeReference(CLUSTER_TABLE), result.table, result.chosen)
    figuresNode = segmentationNode.GetNodeReference(RESULTS_TABLE)
    writeFigures(figuresNode, lungs, volumeNode, now, differing(now, written))
    writeLungs(segmentationNode, lungs, volumeNode)
    found = () if result.lungs_found else (NO_LUNGS_MESSAGE,)
    with slicer.util.NodeModify(segmentationNode):
        segmentationNode.SetAttribute(HINTS, json.dumps([*found, *result.figures.hints]))
        segmentationNode.SetAttribute(QUALITY, json.dumps(result.figures.quality))
        segmentationNode.SetAttribute(WRITTEN, json.dumps(written))

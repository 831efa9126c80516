"""What the module can do, for its panel and for scripts. No Qt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from ..batch.words import NAME_BY, SEGMENTATION
from ..click.nested import Regions
from ..errors import Cancelled, InputError
from ..jobs.job import Polled, wait_for
from ..jobs.segmentation import SegmentationJob
from ..lung.scan import unpacked
from ..lung.sentences import methods_text, report_text
from ..lung.tissues import Tissue, colors_of
from ..manual_choice import as_text, choose_tissues, merge_tissues, pick, restore_result
from ..progress import Progress
from ..result import LungResult, Part
from ..settings import Settings
from .change import Change
from .clicking import Clicks, spacingOf, voxelAt, waitForRegions
from .edits import (
    Shapes,
    differing,
    editedLungs,
    keepCopy,
    knowShapes,
    readEdited,
    shapesOf,
    stateOfLungs,
)
from .measuring import (
    MEASURED,
    aerationOf,
    histogramOf,
    namesOfEdited,
    numbersOf,
    writeFigures,
)
from .nodes import (
    AERATION,
    BOX,
    EDITS,
    HINTS,
    HISTOGRAM,
    MAP,
    PICKS,
    PLOT,
    QUALITY,
    RESULTS_TABLE,
    SCAN,
    SETTINGS,
    TISSUE_COLORS,
    TISSUE_TABLE,
    TISSUES,
    WARNINGS,
    WRITTEN,
    ensureNode,
    isFromAnotherScan,
    newNode,
    nodesOf,
    placeBeside,
    removeNodesOf,
    segmentationOf,
    tissueMapOf,
    volumeOf,
)
from .ready import ReadyLungs, readyLungs
from .segmentation import checkSegmentation, fillColors, writeLabels, writeLungs
from .tables import readTissueTable, writeTissueTable
from .transaction import Step, oneStep
from .volume import (
    VoxelBox,
    boxFromCorners,
    checkVolume,
    cornersOfBox,
    frameOf,
    geometryOf,
    ijkToWorld,
    imageFromVolume,
    sameAxes,
    voxelBox,
    voxelsOf,
)

NO_LUNGS_MESSAGE = (
    "No lungs were found in this volume; choose their tissues, if it does show lungs."
)


MAX_UNDO = 5
"""Steps that can be taken back; each takes as much memory as two copies of the lungs."""


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


@dataclass(frozen=True)
class _Done:
    """A run or a choice that can be taken back.

    Attributes
    ----------
    segmentationNode : vtkMRMLSegmentationNode
    step : Step
        What changed in the scene.
    shapes : dict
        Those of the lungs afterwards.
    before : LungResult or None
        Before a choice; None before a run.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode
    step: Step
    shapes: Shapes
    before: LungResult | None


class SegmentationLogic:
    """Segments the lungs of volume nodes; see `segment`.

    The scene changes only when a segmentation has succeeded, and then as one step of its undo.

    Parameters
    ----------
    startJob : callable, optional
        Begins to segment an image: takes it, the settings and a folder for temporary files, and
        gives what works as a `SegmentationJob`.
    """

    # The latest result of any logic, from which other tissues are chosen at once.
    _latest: tuple[str, tuple, LungResult] | None = None

    def __init__(
        self, startJob: Callable[[sitk.Image, Settings, str], SegmentationJob] = SegmentationJob
    ):
        super().__init__()
        self.startJob = startJob
        self._done: list[_Done] = []
        self._clicks = Clicks()

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
        waitInSlicer(run.job, onProgress, isCancelled, onLog, "Cancelled; the scene is as it was.")
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
        return self.finishing(run).make()

    def finishing(self, run: Run) -> Change:
        """The change that `finish` makes."""
        result = run.job.result()
        self._checkPresent(run)
        frame = frameOf(run.volumeNode)

        def compute() -> ReadyLungs:
            checkVoxels(run, frame.hounsfield[run.box.slices])
            return readyLungs(result, run.box, frame)

        def apply(lungs: ReadyLungs) -> slicer.vtkMRMLSegmentationNode:
            self._checkPresent(run)
            with oneStep(*nodesOf(run.segmentationNode)) as step:
                if editedLungs(run.segmentationNode):
                    self._keepEdits(run)
                segmentationNode = run.segmentationNode or newNode(
                    "vtkMRMLSegmentationNode", f"{run.volumeNode.GetName()} lungs"
                )
                self._show(run, result, segmentationNode, lungs)
                editsNode = segmentationNode.GetNodeReference(EDITS)
                if editsNode:
                    slicer.mrmlScene.RemoveNode(editsNode)
            self._keep(segmentationNode, result, step)
            return segmentationNode

        return Change(compute, apply, lambda: _stateOf(run.volumeNode))

    def chooseTissues(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, numbers: Iterable[int]
    ) -> None:
        """Decide the lungs anew from other tissues, without fitting again.

        What was painted or erased by hand stays as it is, and so does what was picked in tissues
        whose choice does not change.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode
            From `segment`, perhaps of an earlier session.
        numbers : iterable of int

        Raises
        ------
        InputError
            If a tissue does not exist, or the volume or the tissues are gone.
        """
        self.choosing(segmentationNode, numbers).make()

    def choosing(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, numbers: Iterable[int]
    ) -> Change:
        """The change that `chooseTissues` makes."""
        numbers = tuple(numbers)
        return self._changing(
            segmentationNode, lambda result, voxels: choose_tissues(result, voxels, numbers)
        )

    def pick(
        self,
        ras: Sequence[float],
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        whole: bool = False,
    ) -> None:
        """Take the part of a tissue under a point as lung, or give it back if it mostly is.

        Parameters
        ----------
        ras : sequence of float
            World coordinates in mm; where there is no tissue, nothing changes.
        segmentationNode : vtkMRMLSegmentationNode
        whole : bool
            Whether to pick the whole tissue in the body, not only the connected part.

        Raises
        ------
        InputError
            If the volume or the tissues are gone.
        """
        self.picking(ras, segmentationNode, whole).make()

    def picking(
        self,
        ras: Sequence[float],
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        whole: bool = False,
    ) -> Change:
        """The change that `pick` makes."""
        box = self._boxOf(segmentationNode)
        index = _indexAt(ras, volumeOf(segmentationNode), box)
        return self._changing(
            segmentationNode, lambda result, voxels: pick(result, voxels, index, whole)
        )

    def isAtHand(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether `partAt` answers at once; in a scene that was loaded, not before `preparing`."""
        return self._known(segmentationNode) is not None

    def preparing(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> Change:
        """No change, but afterwards the result is at hand; errors as of `pick`."""
        return self._changing(segmentationNode, lambda result, voxels: result)

    def partAt(
        self,
        ras: Sequence[float],
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        whole: bool = False,
    ) -> tuple[Part, np.ndarray, np.ndarray] | None:
        """What `pick` would take or give back; None where there is no tissue.

        Returns
        -------
        part : tuple of int
        mask : ndarray of bool, (z, y, x)
            Where it is on the working grid.
        toMask : ndarray, (4, 4)
            From the world (RAS, mm) to indices (z, y, x) of the mask.
        """
        if not self.isAtHand(segmentationNode):
            self.preparing(segmentationNode).make()
        box, result = self._boxOf(segmentationNode), self._known(segmentationNode)
        assert result is not None
        volumeNode = volumeOf(segmentationNode)
        part = result.part_at(_indexAt(ras, volumeNode, box), whole)
        if part is None:
            return None
        toKji = np.eye(4)[[2, 1, 0, 3]]
        toKji[:3, 3] = np.negative(box.start)
        toMask = result.to_working @ toKji @ np.linalg.inv(ijkToWorld(volumeNode))
        return part, result.part_mask(part), toMask

    def mergeTissues(self, segmentationNode: slicer.vtkMRMLSegmentationNode, count: int) -> None:
        """Merge the clusters to another number of tissues, without fitting again; the lungs stay.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode
        count : int
            As of `Settings.tissues`.

        Raises
        ------
        InputError
            If there can't be so many, or the volume or the tissues are gone.
        """
        self.merging(segmentationNode, count).make()

    def merging(self, segmentationNode: slicer.vtkMRMLSegmentationNode, count: int) -> Change:
        """The change that `mergeTissues` makes."""
        return self._changing(
            segmentationNode,
            lambda result, voxels: (
                merge_tissues(result, count) if count != result.settings.tissues else result
            ),
        )

    def _changing(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        decide: Callable[[LungResult, np.ndarray], LungResult],
    ) -> Change:
        """Another choice, as one step: `decide` makes another result from the one that is shown."""
        box = self._boxOf(segmentationNode)
        source = self._source(segmentationNode, box)
        frame = frameOf(volumeOf(segmentationNode))
        edited = readEdited(segmentationNode)

        def compute() -> tuple[LungResult, LungResult, ReadyLungs | None]:
            before = source()
            result = decide(before, frame.hounsfield[box.slices])
            if result.lung_array is before.lung_array:
                return before, result, None
            edits = None
            if edited:
                edits = edited.since(box.paste(before.lung_array, edited.lungs.shape))
            return before, result, readyLungs(result, box, frame, edits)

        def apply(found: tuple[LungResult, LungResult, ReadyLungs | None]) -> None:
            before, result, lungs = found
            if result is before:
                self._remember(segmentationNode, before)
                return
            roles = (TISSUES, TISSUE_COLORS) if lungs is None else (RESULTS_TABLE, EDITS)
            _, *changing = nodesOf(segmentationNode, (TISSUE_TABLE, *roles))
            with oneStep(*changing, last=segmentationNode) as step:
                _describeTissues(segmentationNode, result)
                if lungs is None:
                    _showTissues(segmentationNode, result, volumeOf(segmentationNode), box)
                else:
                    _write(segmentationNode, result, volumeOf(segmentationNode), lungs)
            self._keep(segmentationNode, result, step, before)

        return Change(
            compute, apply, lambda: (*_key(segmentationNode), stateOfLungs(segmentationNode))
        )

    def canUndo(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether `undo` can take back what was last done to a segmentation.

        Where the scene's own undo is switched on, that one is to be used.
        """
        return (
            bool(self._done)
            and self._done[-1].segmentationNode is segmentationNode
            and not slicer.mrmlScene.GetUndoFlag()
        )

    def undo(self) -> None:
        """Take back the last run or choice; what was edited by hand since is kept as a copy.

        Again and again, it takes back the latest `MAX_UNDO`.
        """
        if not self._done:
            return
        done = self._done.pop()
        node = done.segmentationNode
        if differing(shapesOf(node), done.shapes):
            keepCopy(node)
        removeNodesOf(node, (*PLOT, *MAP))  # made anew when they are asked for
        done.step.takeBack()
        self._remember(node, done.before)

    def undoing(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> Change:
        """The change that `undo` makes, if there still is something to take back."""

        def apply(nothing: None) -> None:
            if self.canUndo(segmentationNode):
                self.undo()

        return Change(lambda: None, apply, tuple)

    def forget(self) -> None:
        """Let go of what is kept for the next choice, undo or click, as the scene is closed."""
        self._done = []
        SegmentationLogic._latest = None
        self._clicks.close()

    def regionsAt(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, ras: Sequence[float]
    ) -> Regions:
        """The nested regions that belong together around a point, and wait for them.

        The first call takes seconds longer: its process stays warm until `forget`.

        Parameters
        ----------
        volumeNode : vtkMRMLScalarVolumeNode
            Any modality; linear transforms are respected.
        ras : sequence of float
            World coordinates in mm.

        Returns
        -------
        Regions
            ``regions.on(shape, level)`` is a mask of the voxels.

        Raises
        ------
        S3NetError
            If the point lies outside the volume, or the process fails.
        """
        index = voxelAt(volumeNode, ras)
        self._clicks.ask(slicer.util.arrayFromVolume(volumeNode), spacingOf(volumeNode), index)
        return waitForRegions(self._clicks)

    def tissues(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode | None
    ) -> tuple[Tissue, ...]:
        """The tissues of a segmentation, and how much of each is in the lungs."""
        tableNode = segmentationNode.GetNodeReference(TISSUE_TABLE) if segmentationNode else None
        return readTissueTable(tableNode) if tableNode else ()

    def warnings(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> tuple[str, ...]:
        """Sentences that the user should read: how it was made, and where to look."""
        if not segmentationNode:
            return ()
        kept = [segmentationNode.GetAttribute(name) for name in (WARNINGS, HINTS)]
        return tuple(sentence for each in kept if each for sentence in json.loads(each))

    def quality(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> float | None:
        """Estimate of the quality of the lungs, 0 to 1, before any edit by hand."""
        kept = segmentationNode.GetAttribute(QUALITY) if segmentationNode else None
        return json.loads(kept) if kept else None

    numbers = staticmethod(numbersOf)
    histogram = staticmethod(histogramOf)
    aerationMap = staticmethod(aerationOf)

    def reportText(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> str:
        """The most important numbers in sentences, for a radiology report; errors of `numbers`."""
        return report_text(self.numbers(segmentationNode), namesOfEdited(segmentationNode))

    def methodsText(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> str:
        """How the lungs were segmented and measured, for the methods section of a paper."""
        settings = Settings.from_dict(json.loads(segmentationNode.GetAttribute(SETTINGS)))
        return methods_text(settings, namesOfEdited(segmentationNode))

    def _keep(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        result: LungResult,
        step: Step,
        before: LungResult | None = None,
    ) -> None:
        self._remember(segmentationNode, result)
        if slicer.mrmlScene.GetUndoFlag():
            self._done = []
        else:
            done = _Done(segmentationNode, step, shapesOf(segmentationNode), before)
            self._done = [*self._done, done][-MAX_UNDO:]

    @staticmethod
    def _checkPresent(run: Run) -> None:
        """Refuse to place a result on a volume that is gone, or into what can't take it."""
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

    @staticmethod
    def _keepEdits(run: Run) -> None:
        """Copy what was edited by hand, unless it may be lost just as it is."""
        now = shapesOf(run.segmentationNode)
        if run.replaced is None or differing(now, run.replaced):
            keepCopy(run.segmentationNode)

    def _show(
        self,
        run: Run,
        result: LungResult,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        lungs: ReadyLungs,
    ) -> None:
        """Fill the segmentation and the nodes it refers to, making those that are missing."""
        placeBeside(segmentationNode, run.volumeNode)
        if isFromAnotherScan(segmentationNode, run.volumeNode):
            removeNodesOf(segmentationNode, (*PLOT, *MAP))
        for role in (TISSUES, TISSUE_COLORS, TISSUE_TABLE, RESULTS_TABLE):
            ensureNode(segmentationNode, role, run.volumeNode)
        segmentationNode.SetAttribute(BOX, json.dumps(cornersOfBox(run.volumeNode, run.box)))
        segmentationNode.SetAttribute(SCAN, as_text(result))
        segmentationNode.SetAttribute(WARNINGS, json.dumps(result.warnings))
        _showTissues(segmentationNode, result, run.volumeNode, run.box)
        _describeTissues(segmentationNode, result)
        _write(segmentationNode, result, run.volumeNode, lungs)

    @staticmethod
    def _boxOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> VoxelBox:
        """The box that a segmentation was made from, whose volume and tissues are checked."""
        volumeNode, labelMapNode = volumeOf(segmentationNode), tissueMapOf(segmentationNode)
        if not volumeNode or not labelMapNode:
            raise InputError(
                "The volume or the tissues of this segmentation are gone; apply again."
            )
        checkVolume(volumeNode)
        checkSegmentation(segmentationNode, volumeNode)
        return boxFromCorners(labelMapNode, json.loads(segmentationNode.GetAttribute(BOX)))

    def _source(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, box: VoxelBox
    ) -> Callable[[], LungResult]:
        """What gives the result that a segmentation shows, in any thread."""
        known = self._known(segmentationNode)
        if known is not None:
            return lambda: known
        volumeNode, labelMapNode = volumeOf(segmentationNode), tissueMapOf(segmentationNode)
        tissues = slicer.util.arrayFromVolume(labelMapNode)
        sameShape = tissues.shape == slicer.util.arrayFromVolume(volumeNode).shape
        if not sameShape or not sameAxes(volumeNode, labelMapNode):
            raise InputError("The volume no longer fits its tissues; apply again.")
        return partial(
            restore_result,
            voxelsOf(volumeNode, box),
            geometryOf(volumeNode, box),
            tissues[box.slices].copy(),
            Settings.from_dict(json.loads(segmentationNode.GetAttribute(SETTINGS))),
            segmentationNode.GetAttribute(SCAN),
            unpacked(*json.loads(segmentationNode.GetAttribute(PICKS))),
        )

    def _known(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> LungResult | None:
        """The result that a segmentation shows, if it is the latest."""
        if self._latest and self._latest[:2] == (segmentationNode.GetID(), _key(segmentationNode)):
            return self._latest[2]
        return None

    @staticmethod
    def _remember(
        segmentationNode: slicer.vtkMRMLSegmentationNode, result: LungResult | None
    ) -> None:
        key = _key(segmentationNode)
        SegmentationLogic._latest = (segmentationNode.GetID(), key, result) if result else None


def checkVoxels(run: Run, now: np.ndarray) -> None:
    """Refuse voxels of a run's box that were edited since it began.

    Raises
    ------
    InputError
    """
    then = sitk.GetArrayViewFromImage(run.image)
    # Slice by slice, as all at once takes several times as long.
    if then.shape != now.shape or not all(map(np.array_equal, then, now)):
        raise InputError("The volume was edited during the run; click Apply again.")


def waitInSlicer(
    job: Polled,
    onProgress: Callable[[Progress], None] | None,
    isCancelled: Callable[[], bool] | None,
    onLog: Callable[[str], None] | None,
    notice: str,
) -> Any:
    """The result of a job; Slicer's window stays alive meanwhile.

    Raises
    ------
    Cancelled
        With the notice, where the user wants to stop.
    S3NetError
        As of the job.
    """

    def onIdle() -> None:
        if isCancelled and isCancelled():
            raise Cancelled(notice)
        slicer.app.processEvents()

    return wait_for(job, onProgress, onLog, onIdle)


def _key(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple:
    """Changes whenever the voxels of the volume or of the tissues do, or what was picked."""
    nodes = (volumeOf(segmentationNode), tissueMapOf(segmentationNode))
    states = [_stateOf(node) for node in nodes if node]
    return (*states, *(segmentationNode.GetAttribute(name) for name in (PICKS, SETTINGS)))


def _stateOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> tuple:
    """Changes whenever the voxels of a volume do, or become others."""
    image = volumeNode.GetImageData()
    return volumeNode.GetID(), image.GetMTime() if image else None


def _indexAt(
    ras: Sequence[float], volumeNode: slicer.vtkMRMLScalarVolumeNode, box: VoxelBox
) -> tuple[int, int, int]:
    """The voxel (k, j, i) of a box at a point; it may lie outside."""
    k, j, i = (n - first for n, first in zip(voxelAt(volumeNode, ras), box.start, strict=True))
    return k, j, i


def _showTissues(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    result: LungResult,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    box: VoxelBox,
) -> None:
    """The colored label map of the tissues."""
    labelMapNode = segmentationNode.GetNodeReference(TISSUES)
    colorNode = segmentationNode.GetNodeReference(TISSUE_COLORS)
    shape = slicer.util.arrayFromVolume(volumeNode).shape
    writeLabels(labelMapNode, box.paste(result.tissue_array, shape), volumeNode)
    names = [tissue.name for tissue in result.tissue_table]
    fillColors(colorNode, dict(zip(names, colors_of(result.tissue_table), strict=True)))
    labelMapNode.GetDisplayNode().SetAndObserveColorNodeID(colorNode.GetID())
    segmentationNode.SetAttribute(SETTINGS, json.dumps(result.settings.as_dict()))


def _describeTissues(segmentationNode: slicer.vtkMRMLSegmentationNode, result: LungResult) -> None:
    writeTissueTable(segmentationNode.GetNodeReference(TISSUE_TABLE), result.tissue_table)


def _write(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    result: LungResult,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    lungs: ReadyLungs,
) -> None:
    """The figures and, in the end, the lungs of a segmentation and what is known of them."""
    if lungs.edits is not None:
        writeLabels(ensureNode(segmentationNode, EDITS, volumeNode), lungs.edits, volumeNode)
    for node in nodesOf(segmentationNode, (HISTOGRAM, AERATION))[1:]:
        node.RemoveAttribute(MEASURED)  # the scan may have changed, too
    edited = differing(lungs.shapes, lungs.decided)
    figuresNode = segmentationNode.GetNodeReference(RESULTS_TABLE)
    writeFigures(figuresNode, lungs.numbers, lungs.shapes, edited)
    writeLungs(segmentationNode, lungs.labels, volumeNode)
    knowShapes(segmentationNode, lungs.shapes)
    found = () if result.lungs_found else (NO_LUNGS_MESSAGE,)
    with slicer.util.NodeModify(segmentationNode):
        segmentationNode.SetAttribute(HINTS, json.dumps([*found, *result.figures.hints]))
        segmentationNode.SetAttribute(PICKS, lungs.picks)
        segmentationNode.SetAttribute(QUALITY, json.dumps(result.figures.quality))
        segmentationNode.SetAttribute(WRITTEN, json.dumps(lungs.decided))

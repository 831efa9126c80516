"""Clicks on volumes: where they lie, the regions around them, and what an editor takes of those."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from ..click.box import box_around
from ..click.nested import LEVELS, Regions
from ..errors import InputError
from ..jobs.clicks import ClickProcess
from ..lung.block_grid import Box
from .segmentation import voxelsOfImage
from .volume import checkVolume, ijkToWorld

PAUSE = 0.02
"""Seconds between two looks at a process that is waited for."""

PREVIEW = "S3NetPreview"
"""Name of the node, and ID of its segment."""

PREVIEW_COLOR = (1.0, 0.85, 0.1)


class Answering(Protocol):
    """What answers clicks like a `ClickProcess`."""

    def ask(
        self,
        box: np.ndarray,
        spacing: tuple[float, float, float],
        index: tuple[int, int, int],
    ) -> None:
        """As of `ClickProcess`."""

    def poll(self) -> tuple[np.ndarray, int] | None:
        """As of `ClickProcess`."""

    def close(self) -> None:
        """As of `ClickProcess`."""


class Clicks:
    """One click at a time, answered by a process that stays warm until `close`.

    Parameters
    ----------
    startProcess : callable, optional
        Takes a folder for temporary files, and gives what works as a `ClickProcess`.

    Attributes
    ----------
    regions : Regions or None
        Of the latest click, once they are there.
    level : int
        The one that is chosen of them.
    """

    def __init__(self, startProcess: Callable[[str], Answering] = ClickProcess):
        self._startProcess = startProcess
        self._process: Answering | None = None
        self._box: Box | None = None
        self.regions: Regions | None = None
        self.level = 0

    @property
    def isWaiting(self) -> bool:
        """Whether a click has not been answered yet."""
        return self._box is not None and self.regions is None

    def warmUp(self) -> None:
        """Start the process, so the first click need not wait for it.

        Raises
        ------
        S3NetError
            If it can't be started.
        """
        if self._process is None:
            self._process = self._startProcess(slicer.app.temporaryPath)

    def ask(self, voxels: np.ndarray, spacing: Sequence[float], index: Sequence[int]) -> None:
        """Ask for the regions around a voxel; the click before is forgotten.

        Parameters
        ----------
        voxels : ndarray, (k, j, i)
        spacing : sequence of float
            In mm, (k, j, i).
        index : sequence of int
            The clicked voxel, (k, j, i).

        Raises
        ------
        S3NetError
            If it lies outside, or the process can't be started.
        """
        self.forget()
        if voxels.ndim != 3:
            raise InputError("The volume has several values in a voxel; click in another one.")
        box = box_around(voxels.shape, spacing, index)
        k, j, i = (n - ends.start for n, ends in zip(index, box, strict=True))
        depth, height, width = spacing
        self.warmUp()
        assert self._process is not None
        self._process.ask(voxels[box], (depth, height, width), (k, j, i))
        self._box = box

    def poll(self) -> bool:
        """Whether the regions of the latest click have just arrived; never waits.

        Raises
        ------
        S3NetError
            If there are none, or the process has ended.
        """
        if self._process is None or not self.isWaiting:
            return False
        try:
            answer = self._process.poll()
        except InputError:
            self.forget()
            raise
        except BaseException:
            self.close()
            raise
        if answer is None:
            return False
        assert self._box is not None
        self.regions = Regions(self._box, *answer)
        self.level = self.regions.level
        return True

    def choose(self, level: int) -> None:
        """Choose a level; beyond the smallest and the largest it is that one."""
        if self.regions is not None:
            self.level = min(max(level, self._smallest(self.regions)), LEVELS)

    def holds(self, index: Sequence[int]) -> bool:
        """Whether a voxel (k, j, i) lies in the chosen region."""
        if self.regions is None:
            return False
        inside = [n - ends.start for n, ends in zip(index, self.regions.box, strict=True)]
        mask = self.regions.mask(self.level)
        isInBox = all(0 <= n < count for n, count in zip(inside, mask.shape, strict=True))
        return isInBox and bool(mask[tuple(inside)])

    def forget(self) -> None:
        """Forget the latest click; the process stays warm."""
        self._box = self.regions = None

    def close(self) -> None:
        """Forget the click and end the process; harmless where there is none."""
        self.forget()
        if self._process is not None:
            self._process.close()
            self._process = None

    @staticmethod
    def _smallest(regions: Regions) -> int:
        return int(regions.joins.min())


def waitForRegions(clicks: Clicks) -> Regions:
    """The regions of the click that was asked for, while the window stays alive."""
    while not clicks.poll():
        slicer.app.processEvents()
        time.sleep(PAUSE)
    assert clicks.regions is not None
    return clicks.regions


def voxelAt(volumeNode: slicer.vtkMRMLScalarVolumeNode, ras: Sequence[float]) -> tuple[int, ...]:
    """The voxel (k, j, i) under a point of the world, which may lie outside; transforms included.

    Raises
    ------
    InputError
        If the volume can't be used.
    """
    checkVolume(volumeNode)
    position = np.linalg.inv(ijkToWorld(volumeNode)) @ [*ras, 1]
    return tuple(int(n) for n in np.rint(position[2::-1]))


def spacingOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, ...]:
    """Distance of neighboring voxels in the world in mm, (k, j, i)."""
    return tuple(np.linalg.norm(ijkToWorld(volumeNode)[:3, 2::-1], axis=0).tolist())


def voxelsAndSpacing(
    image: slicer.vtkOrientedImageData,
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The voxels (k, j, i) of an image as Segment Editor hands it out, and their size in mm."""
    if image is None or image.IsEmpty():
        raise InputError("No source volume is selected; choose one above the segments.")
    i, j, k = image.GetSpacing()
    return voxelsOfImage(image), (k, j, i)


def indexIn(image: slicer.vtkOrientedImageData, ijk: Sequence[int]) -> tuple[int, int, int]:
    """Where a voxel (i, j, k) of an image lies in its array, (k, j, i)."""
    k, j, i = (n - first for n, first in zip(ijk[::-1], image.GetExtent()[4::-2], strict=True))
    return k, j, i


def modifierOf(
    regions: Regions, level: int, image: slicer.vtkOrientedImageData
) -> slicer.vtkOrientedImageData:
    """A region as a label map for Segment Editor: 1 in it, 0 in the rest of its box.

    Parameters
    ----------
    regions : Regions
    level : int
    image : vtkOrientedImageData
        That was clicked.
    """
    made = slicer.vtkOrientedImageData()
    extent = [
        bound + first
        for ends, first in zip(regions.box[::-1], image.GetExtent()[::2], strict=True)
        for bound in (ends.start, ends.stop - 1)
    ]
    made.SetExtent(*extent)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    made.SetImageToWorldMatrix(matrix)
    mask = np.ascontiguousarray(regions.mask(level), np.uint8)
    made.GetPointData().SetScalars(numpy_support.numpy_to_vtk(mask.ravel(), deep=True))
    return made


class Preview:
    """The outline of a region in the views, by a node of its own that is never saved."""

    def __init__(self) -> None:
        self._node: slicer.vtkMRMLSegmentationNode | None = None

    def show(
        self,
        modifier: slicer.vtkOrientedImageData,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
    ) -> None:
        """Show a region that would change a segmentation."""
        node = self._ensureNode()
        node.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())
        representation = slicer.vtkSegmentationConverter
        kind = representation.GetSegmentationBinaryLabelmapRepresentationName()
        segment = node.GetSegmentation().GetSegment(PREVIEW)
        segment.RemoveAllRepresentations()
        segment.AddRepresentation(kind, modifier)
        node.GetSegmentation().Modified()

    def hide(self) -> None:
        """Take the outline away."""
        node, self._node = self._node, None
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            display = node.GetDisplayNode()
            slicer.mrmlScene.RemoveNode(node)
            if display is not None and slicer.mrmlScene.IsNodePresent(display):
                slicer.mrmlScene.RemoveNode(display)

    def _ensureNode(self) -> slicer.vtkMRMLSegmentationNode:
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            return self._node
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(PREVIEW)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetUndoEnabled(False)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetUndoEnabled(False)
        display.SetVisibility2DFill(False)
        display.SetVisibility3D(False)
        node.GetSegmentation().AddEmptySegment(PREVIEW, PREVIEW, PREVIEW_COLOR)
        self._node = node
        return node

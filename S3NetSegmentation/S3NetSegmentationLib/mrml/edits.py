"""What was painted and erased by hand: noticed, copied, and kept when clusters are chosen."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from ..io.segments import LUNG_SEGMENTS
from .nodes import EDITS, WRITTEN, newNode, placeBeside, volumeOf
from .segmentation import labelsOf, readLungs, voxelsOfImage
from .volume import Frame

SAME = 0.01
"""Millimeters by which a shape may differ from itself after it was saved and loaded."""

Shapes = dict[str, list[float]]
"""For each segment the number of its voxels, their center (RAS, mm) and how far they spread."""


def shapesOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Shapes:
    """The shapes of the lungs as they are now."""
    segmentation = segmentationNode.GetSegmentation()
    return {
        lung.segment_id: _shapeOfSegment(segmentation, lung.segment_id) for lung in LUNG_SEGMENTS
    }


def _shapeOfSegment(segmentation: slicer.vtkSegmentation, segmentId: str) -> list[float]:
    labels = labelsOf(segmentation, segmentId)
    if labels is None:
        return [0.0]
    image, label = labels
    state = _stateOf(image, label)
    if state not in _KNOWN:
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        toRas = slicer.util.arrayFromVTKMatrix(matrix)
        first = np.eye(4)
        first[:3, 3] = image.GetExtent()[::2]
        _know(state, _shape(voxelsOfImage(image) == label, toRas @ first))
    return _KNOWN[state]


def knowShapes(segmentationNode: slicer.vtkMRMLSegmentationNode, shapes: Shapes) -> None:
    """Remember the shapes of lungs that have just been written, so none is to be found again."""
    for segmentId, shape in shapes.items():
        labels = labelsOf(segmentationNode.GetSegmentation(), segmentId)
        if labels is not None:
            _know(_stateOf(*labels), shape)


def stateOfLungs(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple:
    """Changes whenever the voxels of the lungs may have."""
    segmentation = segmentationNode.GetSegmentation()
    every = (labelsOf(segmentation, lung.segment_id) for lung in LUNG_SEGMENTS)
    return tuple(labels and _stateOf(*labels) for labels in every)


def _stateOf(image: slicer.vtkOrientedImageData, label: int) -> tuple[int, int]:
    # VTK counts changes through all objects, so a time stamps one state of one image.
    return image.GetMTime(), label


def _know(state: tuple[int, int], shape: list[float]) -> None:
    while len(_KNOWN) >= MAX_KNOWN:
        del _KNOWN[next(iter(_KNOWN))]
    _KNOWN[state] = shape


MAX_KNOWN = 16

_KNOWN: dict[tuple[int, int], list[float]] = {}
"""Shapes of the latest states of segments, as to find one takes a twentieth of a second."""


def shapesIn(lungs: np.ndarray, frame: Frame) -> Shapes:
    """The shapes of lungs on the voxels of a volume, (k, j, i): 1 right lung, 2 left lung."""
    return {lung.segment_id: _shape(lungs == lung.label, frame.toRas) for lung in LUNG_SEGMENTS}


def editedLungs(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> tuple[str, ...]:
    """Ids of the lungs that are not as the engine has decided them."""
    if not segmentationNode:
        return ()
    return differing(shapesOf(segmentationNode), writtenShapes(segmentationNode))


def writtenShapes(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Shapes:
    """The shapes of the lungs as the engine has decided them; empty before any run."""
    return json.loads(segmentationNode.GetAttribute(WRITTEN) or "{}")


def differing(shapes: Shapes, others: Shapes) -> tuple[str, ...]:
    """Ids of the segments that have not the same voxels in both, as good as certainly."""
    return tuple(name for name in shapes if not _areSame(shapes[name], others.get(name, [0.0])))


def _areSame(shape: list[float], other: list[float]) -> bool:
    return shape[0] == other[0] and bool(np.allclose(shape, other, rtol=0, atol=SAME))


def _shape(mask: np.ndarray, toRas: np.ndarray) -> list[float]:
    """Of voxels (k, j, i); it does not depend on the order in which they are stored."""
    alongK = np.array([np.count_nonzero(plane) for plane in mask])
    flat = np.zeros(mask.shape[1:], np.uint32)
    for plane in mask:  # a fraction of the time of numpy's own sum along the axis
        flat += plane
    profiles = (flat.sum(0), flat.sum(1), alongK)
    count = int(alongK.sum())
    if not count:
        return [0.0]
    indices = [np.arange(len(profile)) for profile in profiles]
    means = [np.average(index, weights=n) for index, n in zip(indices, profiles, strict=True)]
    variances = [
        np.average((index - mean) ** 2, weights=n)
        for index, mean, n in zip(indices, means, profiles, strict=True)
    ]
    center = (toRas @ [*means, 1])[:3]
    spread = np.sqrt((toRas[:3, :3] ** 2).sum(0) @ variances)
    return [float(count), *center.tolist(), float(spread)]


def keepCopy(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Copy a segmentation before it is overwritten; the copy is hidden, and no run touches it."""
    copy = newNode("vtkMRMLSegmentationNode", f"{segmentationNode.GetName()} edited")
    copy.GetSegmentation().DeepCopy(segmentationNode.GetSegmentation())
    volumeNode = volumeOf(segmentationNode)
    if volumeNode:
        copy.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        placeBeside(copy, volumeNode)
    copy.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())
    copy.CreateDefaultDisplayNodes()
    copy.GetDisplayNode().SetVisibility(False)


def editsSince(written: np.ndarray, lungs: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """What was changed by hand.

    Parameters
    ----------
    written, lungs : ndarray of uint8, (k, j, i)
        The lungs as they were written and as they are: 1 right, 2 left.
    before : ndarray of uint8, optional
        What had been changed before that.

    Returns
    -------
    ndarray of uint8, (k, j, i)
        0 unchanged, 1 erased, 2 painted as right lung, 3 painted as left lung.
    """
    return np.where(lungs != written, lungs + 1, 0 if before is None else before).astype(np.uint8)


@dataclass(frozen=True, eq=False)  # arrays can neither be compared nor hashed as a whole
class Edited:
    """Lungs that were edited by hand.

    Attributes
    ----------
    lungs : ndarray of uint8, (k, j, i)
        As they are now.
    before : ndarray of uint8, (k, j, i), or None
        What was changed before the lungs were last written.
    """

    lungs: np.ndarray
    before: np.ndarray | None

    def since(self, decided: np.ndarray) -> np.ndarray:
        """What was changed in all, as of `editsSince`, in lungs that were so decided."""
        return editsSince(withEdits(decided, self.before), self.lungs, self.before)


def readEdited(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Edited | None:
    """The lungs of a segmentation if they were ever edited by hand; else None."""
    editsNode, volumeNode = segmentationNode.GetNodeReference(EDITS), volumeOf(segmentationNode)
    if not volumeNode or not (editsNode or editedLungs(segmentationNode)):
        return None
    before = slicer.util.arrayFromVolume(editsNode) if editsNode else None
    return Edited(readLungs(segmentationNode, volumeNode), before)


def withEdits(lungs: np.ndarray, edits: np.ndarray | None) -> np.ndarray:
    """Lungs with what was changed by hand, from `editsSince`."""
    return lungs if edits is None else np.where(edits > 0, edits - 1, lungs).astype(np.uint8)

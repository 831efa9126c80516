"""Nodes that show a result: the lungs as segments, the tissues as a colored label map."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from ..errors import InputError, S3NetError
from ..io.segments import LUNG_SEGMENTS, LungSegment
from ..lung.block_grid import Box, by_axis, extent


def checkSegmentation(
    segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Refuse a segmentation whose other segments would suffer from lungs on this volume.

    Raises
    ------
    InputError
    """
    if not segmentationNode.IsA("vtkMRMLSegmentationNode"):
        raise InputError("The output is not a segmentation; select another.")
    segmentation = segmentationNode.GetSegmentation()
    others = set(segmentation.GetSegmentIDs()) - {lung.segment_id for lung in LUNG_SEGMENTS}
    if not others:
        return
    if segmentation.GetSourceRepresentationName() != _binaryLabelmap():
        raise InputError(
            "The segmentation holds segments made of surfaces; choose another one, or make binary "
            "labelmap its source in the Segmentations module."
        )
    if segmentationNode.GetParentTransformNode() != volumeNode.GetParentTransformNode():
        raise InputError(
            "The segmentation holds other segments and is under another transform than the volume; "
            "put both under the same, or choose another segmentation."
        )


def writeLungs(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    lungs: np.ndarray,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    """Put the lungs into a segmentation node; its other segments stay.

    Parameters
    ----------
    segmentationNode : vtkMRMLSegmentationNode
    lungs : ndarray of uint8, (k, j, i)
        On the voxels of the volume: 1 right lung, 2 left lung.
    volumeNode : vtkMRMLScalarVolumeNode
        Gives the geometry, and the transform that both are under.
    """
    segmentation = segmentationNode.GetSegmentation()
    isSurfaceShown = segmentation.ContainsRepresentation(_closedSurface())
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    segmentationNode.CreateDefaultDisplayNodes()
    segmentation.SetSourceRepresentationName(_binaryLabelmap())
    segmentIds = vtk.vtkStringArray()
    for lung in LUNG_SEGMENTS:
        _ensureSegment(segmentation, lung)
        segmentIds.InsertNextValue(lung.segment_id)
    # Labels 1, 2 become these segments. Slicer's function for one segment's array takes a copy
    # of the scan for each, and leaves a display node behind in the scene.
    labelmap = _orientedImage(lungs, volumeNode, _boxOf(lungs))
    if not slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(
        labelmap, segmentationNode, segmentIds
    ):
        raise S3NetError("The lungs can't be put into this segmentation; choose another one.")
    if isSurfaceShown:
        segmentationNode.CreateClosedSurfaceRepresentation()


def readLungs(
    segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> np.ndarray:
    """The lungs of a segmentation node as they are now; the inverse of `writeLungs`."""
    lungs = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint8)
    for lung in LUNG_SEGMENTS:
        labels = labelsOf(segmentationNode.GetSegmentation(), lung.segment_id)
        if labels is not None:
            image, label = labels
            lungs[_onVoxelsOf(volumeNode, image) == label] = lung.label
    return lungs


def voxelsOfSegment(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    segmentId: str,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
) -> np.ndarray | None:
    """Which voxels of a volume lie in a segment, (k, j, i); None where it is empty.

    The two may lie on other voxels and under other transforms.
    """
    labels = labelsOf(segmentationNode.GetSegmentation(), segmentId)
    if labels is None:
        return None
    image, label = labels
    transform = None
    if segmentationNode.GetParentTransformNode() is not volumeNode.GetParentTransformNode():
        transform = vtk.vtkGeneralTransform()
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
            segmentationNode.GetParentTransformNode(),
            volumeNode.GetParentTransformNode(),
            transform,
        )
    return _onVoxelsOf(volumeNode, image, transform) == label


def _onVoxelsOf(
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    image: slicer.vtkOrientedImageData,
    transform: vtk.vtkAbstractTransform | None = None,
) -> np.ndarray:
    """The labels of an image, sampled at the voxels of a volume, (k, j, i).

    A transform, if there is any, leads from the image's world to that of the volume.
    """
    reference = _orientedImage(slicer.util.arrayFromVolume(volumeNode), volumeNode)
    resample = slicer.vtkOrientedImageDataResample
    bounds = np.reshape(image.GetExtent(), (3, 2))[::-1] + (0, 1)
    shape = reference.GetDimensions()[::-1]
    isInside = (bounds[:, 0] >= 0).all() and (bounds[:, 1] <= shape).all()
    if not transform and isInside and resample.DoGeometriesMatch(image, reference):
        found = np.zeros(shape, voxelsOfImage(image).dtype)
        found[tuple(slice(*ends) for ends in bounds)] = voxelsOfImage(image)
        return found
    resampled = slicer.vtkOrientedImageData()
    resample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, resampled, False, False, transform
    )
    return voxelsOfImage(resampled)


def labelsOf(
    segmentation: slicer.vtkSegmentation, segmentId: str
) -> tuple[slicer.vtkOrientedImageData, int] | None:
    """The image that holds a segment, and its label there; None where there is nothing."""
    segment = segmentation.GetSegment(segmentId)
    image = segment.GetRepresentation(_binaryLabelmap()) if segment else None
    return None if not image or image.IsEmpty() else (image, segment.GetLabelValue())


def voxelsOfImage(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """The voxels of an image, (k, j, i); no copy."""
    shape = image.GetDimensions()[::-1]
    return numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)


def _boxOf(lungs: np.ndarray) -> Box:
    """The smallest box that holds all lungs; of none, the first voxel."""
    return extent(lungs) if lungs.any() else (slice(0, 1), slice(0, 1), slice(0, 1))


def _orientedImage(
    voxels: np.ndarray, volumeNode: slicer.vtkMRMLScalarVolumeNode, box: Box | None = None
) -> slicer.vtkOrientedImageData:
    """An image of voxels (k, j, i) of a volume; of a part of them, if a box is given."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image = slicer.vtkOrientedImageData()
    box = box or by_axis(slice(0, size) for size in voxels.shape)
    image.SetExtent([bound for ends in box[::-1] for bound in (ends.start, ends.stop - 1)])
    image.SetGeometryFromImageToWorldMatrix(matrix)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(voxels[box].ravel()))
    return image


def _ensureSegment(segmentation: slicer.vtkSegmentation, lung: LungSegment) -> None:
    if segmentation.GetSegment(lung.segment_id):
        return
    segmentation.AddEmptySegment(lung.segment_id, lung.name, lung.color)
    segment = segmentation.GetSegment(lung.segment_id)
    segment.SetTag(segment.GetTerminologyEntryTagName(), lung.terminology)
    segment.SetColor(*lung.color)
    segment.SetNameAutoGenerated(False)
    segment.SetColorAutoGenerated(False)


def _binaryLabelmap() -> str:
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def _closedSurface() -> str:
    return slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()


def writeLabels(
    labelMapNode: slicer.vtkMRMLLabelMapVolumeNode,
    labels: np.ndarray,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    """Put labels into a label map node with the geometry of the volume.

    Parameters
    ----------
    labelMapNode : vtkMRMLLabelMapVolumeNode
    labels : ndarray of uint8, (k, j, i)
        One for each voxel of the volume.
    volumeNode : vtkMRMLScalarVolumeNode
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    labelMapNode.SetIJKToRASMatrix(matrix)
    labelMapNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    slicer.util.updateVolumeFromArray(labelMapNode, labels)
    labelMapNode.CreateDefaultDisplayNodes()


def fillColors(
    colorNode: slicer.vtkMRMLColorTableNode, colors: Mapping[str, tuple[float, float, float]]
) -> None:
    """Let a color node name and color the labels from 1 on; each is red, green, blue, 0 to 1."""
    colorNode.SetTypeToUser()
    colorNode.SetNumberOfColors(len(colors) + 1)
    colorNode.SetColor(0, "background", 0, 0, 0, 0)
    for label, (name, color) in enumerate(colors.items(), 1):
        colorNode.SetColor(label, name, *color, 1)

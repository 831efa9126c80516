"""From a volume node to the image that the engine takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from ..errors import InputError
from ..geometry import Geometry
from ..lung.block_grid import Box, by_axis

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])

AIR, TISSUE = -500, 100
"""Hounsfield units: a CT of the chest holds something darker and something brighter."""


@dataclass(frozen=True)
class VoxelBox:
    """A box of voxels of a volume.

    Attributes
    ----------
    start, stop : tuple of int
        First voxel and the one behind the last, (k, j, i).
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def slices(self) -> Box:
        """To index an array of the volume with."""
        return by_axis(slice(*ends) for ends in zip(self.start, self.stop, strict=True))

    def paste(self, part: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """An array of the volume's shape that holds `part` in the box and zeros elsewhere."""
        if part.shape == tuple(shape):
            return part
        whole = np.zeros(shape, part.dtype)
        whole[self.slices] = part
        return whole


@dataclass(frozen=True)
class Frame:
    """The voxels of a volume and where they lie, for work that may touch no node.

    Attributes
    ----------
    hounsfield : ndarray, (k, j, i)
        The node's own voxels.
    geometry : Geometry
        Their place in the world, transforms included.
    toRas : ndarray, (4, 4)
        From indices (i, j, k) to the volume's own coordinates.
    """

    hounsfield: np.ndarray
    geometry: Geometry
    toRas: np.ndarray


def frameOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Frame:
    """The frame of a volume node."""
    box = voxelBox(volumeNode)
    return Frame(
        voxelsOf(volumeNode, box), geometryOf(volumeNode, box), ijkToRas(volumeNode).copy()
    )


def ijkToWorld(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """The matrix from voxel indices (i, j, k) to world coordinates (RAS), transforms included.

    Raises
    ------
    InputError
        If the volume is under a non-linear transform.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    transform = volumeNode.GetParentTransformNode()
    if transform:
        if not transform.IsTransformToWorldLinear():
            raise InputError(
                "The volume is under a non-linear transform; harden the transform first "
                "(Data module, right-click on the volume's transform)."
            )
        toWorld = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def checkVolume(volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> None:
    """Refuse what is no scalar volume with voxels, or cannot be placed in the world.

    Raises
    ------
    InputError
    """
    if volumeNode is None:
        raise InputError("No volume is selected; choose a chest CT.")
    # Vector, tensor and label map volumes are kinds of scalar volumes to Slicer.
    if volumeNode.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise InputError("The input is not a scalar volume; select a chest CT.")
    if not volumeNode.GetImageData() or not volumeNode.GetImageData().GetNumberOfPoints():
        raise InputError("The volume holds no voxels; load the scan again.")
    ijkToWorld(volumeNode)


def voxelsOf(volumeNode: slicer.vtkMRMLScalarVolumeNode, box: VoxelBox) -> np.ndarray:
    """The node's own voxels in a box, (k, j, i)."""
    return slicer.util.arrayFromVolume(volumeNode)[box.slices]


def geometryOf(volumeNode: slicer.vtkMRMLScalarVolumeNode, box: VoxelBox) -> Geometry:
    """The place in the world of the voxels in a box, transforms included."""
    matrix = ijkToWorld(volumeNode)
    axes = RAS_TO_LPS @ matrix[:3, :3]
    # Without the rounding errors of the matrices: for the engine, equal distances are equal.
    spacing = np.linalg.norm(axes, axis=0).round(9)
    first = RAS_TO_LPS @ (matrix @ [*box.start[::-1], 1])[:3]
    return Geometry(spacing.tolist(), first.tolist(), (axes / spacing).ravel().tolist())


def imageFromVolume(volumeNode: slicer.vtkMRMLScalarVolumeNode, box: VoxelBox) -> sitk.Image:
    """A copy of the voxels in a box with their place in the world."""
    return geometryOf(volumeNode, box).image(voxelsOf(volumeNode, box))


def voxelBox(
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
    sliceRange: tuple[float, float] | None = None,
) -> VoxelBox:
    """The smallest box of voxels that holds a region of interest and a slab.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode
    roiNode : vtkMRMLMarkupsROINode, optional
        Box in the world, also a rotated one; the voxels' box encloses it.
    sliceRange : (float, float), optional
        Lowest and highest position in mm, inferior to superior, as the axial slice view shows it.

    Raises
    ------
    InputError
        If no voxel of the volume is inside.
    """
    shape = slicer.util.arrayFromVolume(volumeNode).shape
    start, stop = np.zeros(3, int), np.array(shape[::-1])
    if roiNode:
        low, high = _roiExtent(volumeNode, roiNode)
        start, stop = np.maximum(start, low), np.minimum(stop, high)
    if sliceRange:
        axis, first, last = _slabExtent(volumeNode, sliceRange, shape[::-1])
        start[axis], stop[axis] = max(start[axis], first), min(stop[axis], last)
    if (start >= stop).any():
        raise InputError("The ROI or slab does not overlap the volume.")
    return VoxelBox(tuple(start[::-1].tolist()), tuple(stop[::-1].tolist()))


def encloseVolume(
    roiNode: slicer.vtkMRMLMarkupsROINode, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Let a new region of interest begin around a whole volume, with handles to make it smaller."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    low, high = np.reshape(bounds, (3, 2)).T
    roiNode.SetCenter(*(low + high) / 2)
    roiNode.SetSize(*high - low)
    roiNode.CreateDefaultDisplayNodes()
    roiNode.GetDisplayNode().SetHandlesInteractive(True)
    roiNode.GetDisplayNode().SetFillVisibility(False)  # a fill would tint the scan


def cornersOfBox(volumeNode: slicer.vtkMRMLScalarVolumeNode, box: VoxelBox) -> list[list[float]]:
    """Centers of the first and of the last voxel of a box in the volume's own RAS, in mm.

    A volume that is saved and loaded may come back with an axis flipped; this stays.
    """
    ends = np.array([box.start[::-1], np.array(box.stop[::-1]) - 1])
    return (np.column_stack([ends, [1, 1]]) @ ijkToRas(volumeNode).T)[:, :3].tolist()


def boxFromCorners(
    volumeNode: slicer.vtkMRMLScalarVolumeNode, corners: list[list[float]]
) -> VoxelBox:
    """The inverse of `cornersOfBox`."""
    inverse = np.linalg.inv(ijkToRas(volumeNode))
    ends = np.rint((np.column_stack([corners, [1, 1]]) @ inverse.T)[:, 2::-1]).astype(int)
    return VoxelBox(tuple(ends.min(0).tolist()), tuple((ends.max(0) + 1).tolist()))


def sameAxes(
    volumeNode: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLScalarVolumeNode
) -> bool:
    """Whether the voxels of two volumes lie along the same axes, equally far apart."""
    mine, others = (ijkToRas(node)[:3, :3] for node in (volumeNode, other))
    return bool(np.allclose(mine, others, atol=1e-3))


def ijkToRas(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """The matrix from voxel indices (i, j, k) to the volume's own coordinates."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _roiExtent(
    volumeNode: slicer.vtkMRMLScalarVolumeNode, roiNode: slicer.vtkMRMLMarkupsROINode
) -> tuple[np.ndarray, np.ndarray]:
    """First voxel and the one behind the last along i, j, k."""
    half = np.array(roiNode.GetSize()) / 2
    if not half.all():
        raise InputError("The box that limits the work is empty; draw it first.")
    toWorld = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToWorldMatrix())
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1)
    corners = np.vstack([signs * half[:, None], np.ones(8)])
    voxels = (np.linalg.inv(ijkToWorld(volumeNode)) @ toWorld @ corners)[:3]
    # A voxel belongs to the box if its center does.
    return (
        np.ceil(voxels.min(1) - 1e-6).astype(int),
        np.floor(voxels.max(1) + 1e-6).astype(int) + 1,
    )


def _slabExtent(
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    sliceRange: tuple[float, float],
    size: tuple[int, int, int],
) -> tuple[int, int, int]:
    """Axis of the slices, the first one in the slab and the one behind the last."""
    matrix = ijkToWorld(volumeNode)
    axis = axialAxis(matrix)
    center = np.append((np.array(size) - 1) / 2, 1)
    center[axis] = 0
    heights = (matrix @ center)[2] + matrix[2, axis] * np.arange(size[axis])
    inside = np.flatnonzero((heights >= min(sliceRange)) & (heights <= max(sliceRange)))
    return (axis, int(inside[0]), int(inside[-1]) + 1) if inside.size else (axis, 0, 0)


def axialAxis(toWorld: np.ndarray) -> int:
    """Which of i, j, k runs along the patient, by the matrix from them to the world."""
    return int(np.argmax(np.abs(toWorld[2, :3]) / np.linalg.norm(toWorld[:3, :3], axis=0)))


def firstCt() -> slicer.vtkMRMLScalarVolumeNode | None:
    """The first volume that is a CT, or None."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((volumeNode for volumeNode in volumes if isCt(volumeNode)), None)


def isCt(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume is a CT, by its DICOM modality or else its values."""
    # Other modules hide volumes of their own, which the panel can't show either.
    if volumeNode.GetHideFromEditors() or not volumeNode.GetImageData():
        return False
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return False
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    modality = hierarchy.GetItemAttribute(hierarchy.GetItemByDataNode(volumeNode), "DICOM.Modality")
    if modality:
        return modality == "CT"
    low, high = volumeNode.GetImageData().GetScalarRange()
    return low <= AIR and high >= TISSUE

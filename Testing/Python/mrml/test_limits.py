"""A region of interest or a slab limits the work to the voxels in it."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.mrml.nodes import tissueMapOf
from S3NetSegmentationLib.mrml.volume import voxelBox
from slicer_scene import (
    add_transform,
    add_volume,
    ijk_to_ras,
    lungs_array,
    rigid,
    state,
    vtk_matrix,
)


def roi(center, size, axes=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.eye(3) if axes is None else axes, center
    node.SetSize(*size)
    node.SetAndObserveObjectToNodeMatrix(vtk_matrix(matrix))
    return node


def inside(volume_to_world, shape, center, size, axes) -> np.ndarray:
    """Which voxels' centers lie in a box in the world, (k, j, i)."""
    index = np.indices(shape)[::-1].reshape(3, -1)
    world = (volume_to_world @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    along = axes.T @ (world - np.reshape(center, (3, 1)))
    return (np.abs(along) <= np.reshape(size, (3, 1)) / 2 + 1e-6).all(0).reshape(shape)


def check_against_the_crop(segmentation, volume, image, slices):
    k, j, i = slices
    crop = image[i, j, k]
    expected = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    for found, result in (
        (lungs_array(segmentation, volume), segmented(crop).lungs),
        (slicer.util.arrayFromVolume(tissueMapOf(segmentation)), segmented(crop).tissues),
    ):
        expected[:] = 0
        expected[slices] = sitk.GetArrayFromImage(result)
        assert expected.any()
        assert (found == expected).all()


@pytest.mark.parametrize("geometry", ["axial", "left-handed", "sagittal storage", "anisotropic"])
def test_a_box_along_the_axes(logic, geometry):
    image = small_chest(geometry).image
    volume, shape = add_volume(image), image.GetSize()[::-1]
    center, size = np.array([8.0, -3.0, 20.0]), np.array([340.0, 225.0, 180.0])
    box = inside(ijk_to_ras(image), shape, center, size, np.eye(3))
    slices = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(box))
    assert box[slices].all()
    assert not box.all()
    segmentation = logic.segment(volume, QUICK, roiNode=roi(center, size))
    check_against_the_crop(segmentation, volume, image, slices)


@pytest.mark.parametrize("geometry", ["axial", "oblique"])
@pytest.mark.parametrize("under", ["nothing", "its own transform", "the same transform"])
def test_a_turned_box_is_enclosed(scene, geometry, under):
    image = small_chest(geometry).image
    volume, matrix = add_volume(image), ijk_to_ras(image)
    center, size = np.array([5.0, 10.0, -7.0]), np.array([150.0, 90.0, 110.0])
    axes = rigid(25, 40, (0, 0, 0))[:3, :3]
    node = roi(center, size, axes)
    turn = rigid(-30, 15, (12, 20, -9))
    if under != "nothing":
        node.SetAndObserveTransformNodeID(add_transform(turn).GetID())
        center, axes = (turn @ [*center, 1])[:3], turn[:3, :3] @ axes
    if under == "the same transform":
        volume.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        matrix = turn @ matrix
    box = inside(matrix, image.GetSize()[::-1], center, size, axes)
    found = voxelBox(volume, node)
    whole = np.zeros_like(box)
    whole[found.slices] = True
    assert whole[box].all()
    # It is the corners' box: no more than a voxel larger than the one of the centers inside,
    # but for the corners, which hold few of them.
    corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1) * size[:, None] / 2
    world = np.vstack([axes @ corners + center[:, None], np.ones(8)])
    index = (np.linalg.inv(matrix) @ world)[2::-1]
    for axis, count in enumerate(box.shape):
        assert found.start[axis] == max(0, np.ceil(index[axis].min()))
        assert found.stop[axis] == min(count, np.floor(index[axis].max()) + 1)


def test_a_scaled_box(scene):
    image = small_chest().image
    volume = add_volume(image)
    node = roi([0, 0, 0], [50, 50, 50])
    plain = voxelBox(volume, node)
    node.SetAndObserveTransformNodeID(add_transform(np.diag([2.0, 2, 2, 1])).GetID())
    assert voxelBox(volume, node) == voxelBox(volume, roi([0, 0, 0], [100, 100, 100]))
    assert voxelBox(volume, node) != plain


@pytest.mark.parametrize("geometry", ["axial", "upside down", "sagittal storage", "left-handed"])
def test_a_slab(logic, geometry):
    image = small_chest(geometry).image
    volume, shape = add_volume(image), image.GetSize()[::-1]
    box = inside(
        ijk_to_ras(image), shape, np.array([0, 0, -10.0]), np.array([9e3, 9e3, 140.0]), np.eye(3)
    )
    slices = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(box))
    segmentation = logic.segment(volume, QUICK, sliceRange=(60, -80))
    check_against_the_crop(segmentation, volume, image, slices)


def test_a_box_and_a_slab_together(scene):
    volume = add_volume(small_chest().image)
    node = roi([0, 0, 0], [200, 150, 200])
    both = voxelBox(volume, node, (-20, 500))
    assert both.start[0] == voxelBox(volume, None, (-20, 500)).start[0]
    assert both.stop == voxelBox(volume, node).stop


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (lambda: {"roiNode": roi([5e3, 0, 0], [10, 10, 10])}, "does not overlap the volume"),
        (lambda: {"roiNode": roi([0.1, 0.1, 0.1], [0.5, 0.5, 0.5])}, "does not overlap|too small"),
        (
            lambda: {"roiNode": slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")},
            "empty; draw it",
        ),
        (lambda: {"sliceRange": (800, 900)}, "does not overlap the volume"),
        (lambda: {"roiNode": roi([0, 0, 0], [40, 40, 40])}, "too small"),
    ],
)
def test_limits_that_leave_nothing_are_refused(logic, limits, message):
    volume = add_volume(small_chest().image)
    made = limits()
    before = state()
    with pytest.raises(InputError, match=message):
        logic.segment(volume, QUICK, **made)
    assert state() == before


def test_a_box_that_holds_the_whole_volume_changes_nothing(scene):
    volume = add_volume(small_chest("oblique").image)
    assert voxelBox(volume, roi([0, 0, 0], [5e3, 5e3, 5e3])) == voxelBox(volume)

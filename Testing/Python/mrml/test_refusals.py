"""What can't be segmented, and what happens to the scene meanwhile: one sentence, no change."""

from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import slicer
import vtk
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError, S3NetError
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from slicer_scene import add_transform, add_volume, lungs_array, nodes, rigid, state


def node_of(kind, array=None):
    node = slicer.mrmlScene.AddNewNodeByClass(kind, "chosen")
    if array is not None:
        slicer.util.updateVolumeFromArray(node, array)
    return node


def voxels(change=lambda values: values):
    return change(sitk.GetArrayFromImage(small_chest().image))


def vector_volume():
    node = node_of("vtkMRMLVectorVolumeNode")
    image = vtk.vtkImageData()
    image.SetDimensions(40, 40, 30)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    image.GetPointData().GetScalars().Fill(7)
    node.SetAndObserveImageData(image)
    return node


def no_voxels():
    node = node_of("vtkMRMLScalarVolumeNode")
    node.SetAndObserveImageData(vtk.vtkImageData())
    return node


SCALAR = "vtkMRMLScalarVolumeNode"

REFUSED = {
    "nothing": (lambda: None, "No volume is selected"),
    "a label map": (
        lambda: node_of("vtkMRMLLabelMapVolumeNode", voxels(lambda v: (v < -500).astype(np.uint8))),
        "The input is not a scalar volume",
    ),
    "a color image": (vector_volume, "The input is not a scalar volume"),
    "a model": (lambda: node_of("vtkMRMLModelNode"), "The input is not a scalar volume"),
    "no image": (lambda: node_of(SCALAR), "holds no voxels"),
    "an empty image": (no_voxels, "holds no voxels"),
    "one value": (lambda: node_of(SCALAR, voxels(np.zeros_like)), "nothing to see"),
    "MR": (
        lambda: node_of(SCALAR, voxels(lambda v: np.clip(v + 1000, 0, 1400).astype(np.int16) * 3)),
        "not CT in Hounsfield units",
    ),
    "not numbers": (
        lambda: node_of(SCALAR, voxels(lambda v: np.where(v > 300, np.nan, v))),
        "not numbers",
    ),
    "a slice": (lambda: node_of(SCALAR, voxels(lambda v: v[:1, :10])), "too small"),
    "segmentation in a shape": (
        lambda: node_of(SCALAR, voxels(lambda v: (v < -500).astype(np.int16))),
        "label map",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_volume_that_is_no_ct(logic, what):
    make, message = REFUSED[what]
    volume = make()
    before = state()
    with pytest.raises(InputError, match=message) as refused:
        logic.segment(volume, QUICK)
    assert state() == before
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [sitk.sitkInt32, sitk.sitkFloat64])
def test_every_type_of_voxels_is_taken(logic, kind):
    image = small_chest().image
    volume = add_volume(sitk.Cast(image, kind))
    assert slicer.util.arrayFromVolume(volume).dtype.itemsize in (4, 8)
    found = lungs_array(logic.segment(volume, QUICK), volume)
    assert (found == sitk.GetArrayFromImage(segmented(image).lungs)).all()


def test_voxels_of_eight_bits_are_no_ct(logic):
    volume = add_volume(sitk.Cast(small_chest().image / 8, sitk.sitkInt8))
    with pytest.raises(InputError, match="not CT in Hounsfield units"):
        logic.segment(volume, QUICK)


def removed(scene, volume):
    scene.RemoveNode(volume)


def closed(scene, volume):
    scene.Clear(False)


def changed(scene, volume):
    array = slicer.util.arrayFromVolume(volume)
    array[5, 5, 5] += 1
    slicer.util.arrayFromVolumeModified(volume)


def shrunk(scene, volume):
    slicer.util.updateVolumeFromArray(volume, slicer.util.arrayFromVolume(volume)[:20].copy())


def emptied(scene, volume):
    volume.SetAndObserveImageData(None)


def bent(scene, volume):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    volume.SetAndObserveTransformNodeID(transform.GetID())


@pytest.mark.parametrize(
    ("happens", "message"),
    [
        (removed, "volume was removed during the run"),
        (closed, "volume was removed during the run"),
        (changed, "volume was edited during the run"),
        (shrunk, "volume was edited during the run"),
        (emptied, "holds no voxels"),
        (bent, "non-linear"),
    ],
)
def test_what_happens_to_the_volume_meanwhile(logic, scene, happens, message):
    volume = add_volume(small_chest().image)
    run = logic.start(volume, QUICK)
    happens(scene, volume)
    before = state()
    with pytest.raises(InputError, match=message):
        logic.finish(run)
    assert state() == before


def test_a_segmentation_that_is_removed_meanwhile(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    run = logic.start(volume, QUICK, segmentation)
    scene.RemoveNode(segmentation)
    before = state()
    with pytest.raises(InputError, match="segmentation was removed during the run"):
        logic.finish(run)
    assert state() == before


def test_a_volume_that_is_moved_meanwhile_takes_its_lungs_along(logic):
    volume = add_volume(small_chest().image)
    run = logic.start(volume, QUICK)
    transform = add_transform(rigid(0, 10, (50, 0, 0)))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert logic.finish(run).GetParentTransformNode() is transform


def test_segments_made_of_surfaces_stay(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    segmentation.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "ball", (1, 0, 0))
    before = state()
    with pytest.raises(InputError, match="The segmentation holds segments made of surfaces"):
        logic.segment(volume, QUICK, segmentation)
    with pytest.raises(InputError, match="The output is not a segmentation"):
        logic.segment(volume, QUICK, volume)
    assert state() == before


def test_a_run_that_fails_leaves_the_result_of_the_last_one(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    before = set(nodes())
    slicer.util.updateVolumeFromArray(volume, np.where(voxels() < 0, -1000, 30).astype(np.int16))
    middle = state()
    with pytest.raises(S3NetError):
        logic.segment(volume, replace(QUICK, device="cuda:77"), segmentation)
    assert state() == middle
    assert set(nodes()) == before


def test_what_the_user_should_know_is_kept_with_the_segmentation(scene):
    class Doubtful(JobHere):
        def result(self):
            return replace(super().result(), warnings=("Look twice.", "A third time, too."))

    volume = add_volume(small_chest().image)
    segmentation = SegmentationLogic(Doubtful).segment(volume, QUICK)
    logic = SegmentationLogic(JobHere)
    assert logic.warnings(segmentation) == ("Look twice.", "A third time, too.")
    logic.segment(volume, QUICK, segmentation)
    assert logic.warnings(segmentation) == ()


@pytest.mark.parametrize("make", [phantom.head, phantom.abdomen])
def test_a_ct_that_is_not_of_the_chest_gives_a_sentence_or_empty_lungs_with_a_sentence(logic, make):
    volume = add_volume(make())
    before = state()
    try:
        segmentation = logic.segment(volume, QUICK)
    except S3NetError as refused:
        assert str(refused).endswith(".")
        assert "\n" not in str(refused)
        assert state() == before
    else:
        assert not lungs_array(segmentation, volume).any()
        assert any("No lungs were found" in each for each in logic.warnings(segmentation))


def test_a_heart_ct_that_shows_a_part_of_the_lungs_gives_that_part(logic):
    image = phantom.thorax().image[16:88, 6:72, 22:54]
    volume = add_volume(image)
    lungs = lungs_array(logic.segment(volume, QUICK), volume)
    assert (lungs == 1).any()
    assert (lungs == 2).any()

"""What the slice views show: the scan, at its lungs, unless the user has arranged them."""

import numpy as np
import pytest
import slicer
from engine_here import small_chest
from quick import QUICK
from S3NetSegmentationLib.mrml.display import centerOnLungs, jumpTo, positionOfSlice, showScan
from S3NetSegmentationLib.mrml.nodes import volumeOf
from slicer_scene import add_transform, add_volume, ijk_to_ras, rigid, save_and_load

AXES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


@pytest.fixture
def views(scene):
    """Layers of the three slice views of Slicer's usual layout."""
    layers = {}
    for name, orientation in AXES.items():
        view = scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        view.SetLayoutName(name)
        view.SetOrientation(orientation)
        layers[name] = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        layers[name].SetLayoutName(name)
    return layers


def shown(views):
    found = [layers.GetBackgroundVolumeID() for layers in views.values()]
    return [slicer.mrmlScene.GetNodeByID(name) if name else None for name in found]


@pytest.fixture
def scans(views):
    image = small_chest().image
    return [add_volume(image, name) for name in ("Scan A", "Scan B")]


def test_empty_views_show_the_scan_and_follow_to_the_next(views, scans):
    first, second = scans
    showScan(first)
    assert shown(views) == [first] * 3
    showScan(second)
    assert shown(views) == [second] * 3


def test_views_that_the_user_has_arranged_stay(views, scans):
    first, second = scans
    views["Red"].SetBackgroundVolumeID(first.GetID())
    views["Green"].SetBackgroundVolumeID(second.GetID())
    showScan(first)
    assert shown(views) == [first, second, first]


def test_the_lungs_of_another_scan_are_not_left_over_this_one(logic, views, scans):
    first, second = scans
    showScan(first)
    segmentation = logic.segment(first, QUICK)
    showScan(second)
    assert not segmentation.GetDisplayNode().GetVisibility()
    showScan(first)
    assert segmentation.GetDisplayNode().GetVisibility()


def test_the_window_is_that_of_a_chest_unless_the_user_has_set_one(views, scans):
    first, second = scans
    second.GetDisplayNode().SetAutoWindowLevel(False)
    second.GetDisplayNode().SetWindowLevel(350, 40)
    showScan(first)
    showScan(second)
    assert first.GetDisplayNode().GetWindow() == 1400
    assert first.GetDisplayNode().GetLevel() == -500
    assert second.GetDisplayNode().GetWindow() == 350


def offsets():
    return {
        node.GetName(): node.GetSliceOffset()
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")
    }


def test_views_that_miss_the_lungs_go_to_them(logic, views, scans):
    volume = scans[0]
    volume.SetAndObserveTransformNodeID(add_transform(rigid(0, 0, (0, 0, 900))).GetID())
    segmentation = logic.segment(volume, QUICK)
    centerOnLungs(segmentation)
    after = offsets()
    assert after["Red"] == pytest.approx(900, abs=60)
    assert (after["Green"], after["Yellow"]) == (0, 0), "these showed the lungs before"
    logic.chooseTissues(segmentation, [])
    centerOnLungs(segmentation)
    assert offsets() == after


@pytest.mark.parametrize("geometry", ["axial", "upside down", "sagittal storage", "oblique"])
def test_the_position_of_a_slice(logic, geometry):
    image = small_chest(geometry).image
    segmentation = logic.segment(add_volume(image), QUICK)
    direction = np.reshape(image.GetDirection(), (3, 3))
    axis = int(np.abs(direction[2]).argmax())
    index = (np.array(image.GetSize()) - 1) / 2
    index[axis] = 11
    expected = ijk_to_ras(image) @ [*index, 1]
    assert positionOfSlice(segmentation, 12) == pytest.approx(expected[:3], abs=1e-3)


def test_slices_of_a_slab_are_counted_within_it(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK, sliceRange=(-40, 80))
    assert -40 <= positionOfSlice(segmentation, 1)[2] < -34


def test_the_position_of_a_slice_stays_in_a_loaded_scene(logic, scene, application, tmp_path):
    segmentation = logic.segment(add_volume(small_chest("left-handed").image), QUICK)
    expected = positionOfSlice(segmentation, 12)
    _, segmentation = save_and_load(application, tmp_path)
    assert volumeOf(segmentation) is not None
    assert positionOfSlice(segmentation, 12) == pytest.approx(expected, abs=1e-3)


def test_a_jump_moves_the_axial_view_alone(views):
    jumpTo((10, 20, -30))
    assert offsets() == {"Red": pytest.approx(-30), "Green": 0, "Yellow": 0}

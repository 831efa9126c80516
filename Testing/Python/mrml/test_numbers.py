"""Numbers, histogram and map of aeration: right, in step with the lungs, and gone with them."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.mrml.measuring import updateFigures
from S3NetSegmentationLib.mrml.nodes import HIDDEN, MAP, PLOT, nodesOf, removeNodesOf
from slicer_scene import add_transform, add_volume, lungs_array, nodes, rigid, segment_array


def erase_left(segmentation, volume):
    array = segment_array(segmentation, "left_lung", volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.zeros_like(array), segmentation, "left_lung", volume
    )


def columns(table):
    """The columns of a table node as arrays, by their names."""
    found = (table.GetTable().GetColumn(n) for n in range(table.GetNumberOfColumns()))
    return {
        each.GetName(): [each.GetVariantValue(row) for row in range(each.GetNumberOfTuples())]
        for each in found
    }


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed", "sagittal storage"])
def test_numbers_are_those_of_the_voxels(logic, geometry):
    image = small_chest(geometry).image
    volume = add_volume(image)
    transform = add_transform(rigid(0, 30, (5, 6, 7)))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    segmentation = logic.segment(volume, QUICK)
    erase_left(segmentation, volume)
    right = lungs_array(segmentation, volume) == 1
    values = sitk.GetArrayViewFromImage(image)[right].astype(float)
    numbers = logic.numbers(segmentation)
    voxel_ml = np.prod(image.GetSpacing()) / 1000
    assert numbers["right"]["volume_ml"] == pytest.approx(values.size * voxel_ml)
    assert numbers["right"]["mass_g"] == pytest.approx((1 + values / 1000).sum() * voxel_ml)
    assert numbers["right"]["mean_hu"] == pytest.approx(values.mean())
    assert numbers["left"]["volume_ml"] == 0
    assert numbers["both"] == numbers["right"]


def test_texts_say_which_lung_was_edited(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    assert "edited" not in logic.reportText(segmentation)
    erase_left(segmentation, volume)
    assert logic.reportText(segmentation).endswith("edited by hand: left lung.")
    assert f"seed {QUICK.seed}) and corrected by hand (left lung)" in logic.methodsText(
        segmentation
    )


def test_without_its_scan_nothing_can_be_measured(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    scene.RemoveNode(volume)
    for measure in (logic.numbers, logic.reportText, logic.histogram, logic.aerationMap):
        with pytest.raises(InputError, match="volume of this segmentation is gone"):
            measure(segmentation)


def test_the_histogram_is_that_of_the_lungs_and_follows_them(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    chart = logic.histogram(segmentation)
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(3)]
    assert names == ["right lung", "left lung", "thresholds"]
    found = columns(chart.GetNthPlotSeriesNode(0).GetTableNode())
    numbers = logic.numbers(segmentation)
    for side in ("right", "left"):
        inside = sum(value.ToDouble() for value in found[f"{side} lung"])
        assert inside == pytest.approx(numbers[side]["volume_ml"], rel=0.01)
    marks = columns(chart.GetNthPlotSeriesNode(2).GetTableNode())
    assert {value.ToDouble() for value in marks["HU"]} == {
        *(-1000, -950, -910, -900, -856, -600, -500, -250, -100, 100),
    }
    assert "LAA-950: -950 HU" in [value.ToString() for value in marks["Threshold"]]
    erase_left(segmentation, volume)
    updateFigures(segmentation)
    assert logic.histogram(segmentation) is chart
    left = columns(chart.GetNthPlotSeriesNode(1).GetTableNode())["left lung"]
    assert not any(value.ToDouble() for value in left)
    assert chart.GetNumberOfPlotSeriesNodes() == 3


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed"])
def test_the_map_colors_the_compartments_and_follows_the_lungs(logic, geometry):
    image = small_chest(geometry).image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    node = logic.aerationMap(segmentation)
    colors = node.GetDisplayNode().GetColorNode()
    assert [colors.GetColorName(label) for label in range(5)] == [
        *("background", "hyperinflated", "normally aerated", "poorly aerated", "nonaerated"),
    ]
    hounsfield = sitk.GetArrayViewFromImage(image)
    for _ in range(2):
        lungs = lungs_array(segmentation, volume) > 0
        normal = lungs & (hounsfield >= -900) & (hounsfield < -500)
        assert ((slicer.util.arrayFromVolume(node) == 2) == normal).all()
        assert not slicer.util.arrayFromVolume(node)[~lungs].any()
        erase_left(segmentation, volume)
        updateFigures(segmentation)
    logic.chooseTissues(segmentation, segmented(image).chosen_tissues[:1])
    updateFigures(segmentation)
    lungs = lungs_array(segmentation, volume) > 0
    assert not slicer.util.arrayFromVolume(node)[~lungs].any()


def test_both_lie_hidden_under_the_segmentation_and_go_with_it(logic, scene):
    volume = add_volume(small_chest().image)
    before = set(nodes())
    segmentation = logic.segment(volume, QUICK)
    chart, overlay = logic.histogram(segmentation), logic.aerationMap(segmentation)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = hierarchy.GetItemByDataNode(segmentation)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(overlay)) == parent
    assert overlay.GetAttribute(HIDDEN)
    assert not chart.GetAttribute(HIDDEN)
    removeNodesOf(segmentation)
    scene.RemoveNode(segmentation.GetDisplayNode())
    scene.RemoveNode(segmentation)
    assert set(nodes()) == before


def test_undo_takes_them_along(logic, scene):
    scene.SetUndoOff()
    volume = add_volume(small_chest().image)
    before = set(nodes())
    segmentation = logic.segment(volume, QUICK)
    logic.histogram(segmentation)
    logic.aerationMap(segmentation)
    logic.undo()
    assert set(nodes()) == before


def test_another_scan_does_not_inherit_them(logic):
    first = add_volume(small_chest().image, "Scan A")
    second = add_volume(small_chest(lungs="right").image, "Scan B")
    segmentation = logic.segment(first, QUICK)
    logic.histogram(segmentation)
    logic.segment(second, QUICK, segmentation, overwrite=True)
    assert nodesOf(segmentation, (*PLOT, *MAP)) == [segmentation]
    assert "Scan B" in logic.histogram(segmentation).GetTitle()

"""A result belongs to its scan."""

import pytest
from engine_here import small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.mrml.nodes import nodesOf, segmentationOf, volumeOf
from slicer_scene import add_volume, lungs_array, state


@pytest.fixture
def two_scans(scene):
    return (
        add_volume(small_chest().image, "Scan A"),
        add_volume(small_chest(lungs="right").image, "Scan B"),
    )


def test_a_segmentation_of_another_scan_is_not_written_into(logic, two_scans):
    first, second = two_scans
    segmentation = logic.segment(first, QUICK)
    before = state()
    with pytest.raises(InputError, match="made from another scan"):
        logic.segment(second, QUICK, segmentation)
    assert state() == before
    assert segmentationOf(first) is segmentation
    assert segmentationOf(second) is None


def test_a_segmentation_whose_scan_was_deleted_is_not_written_into(logic, scene, two_scans):
    first, second = two_scans
    segmentation = logic.segment(first, QUICK)
    scene.RemoveNode(first)
    before = state()
    with pytest.raises(InputError, match="made from another scan"):
        logic.segment(second, QUICK, segmentation)
    assert state() == before


def test_one_that_is_overwritten_on_purpose_bears_the_name_of_its_scan_in_its_nodes(
    logic, two_scans
):
    first, second = two_scans
    segmentation = logic.segment(first, QUICK)
    logic.segment(second, QUICK, segmentation, overwrite=True)
    assert volumeOf(segmentation) is second
    assert segmentationOf(first) is None
    lungs = lungs_array(segmentation, second)
    assert (lungs == 1).any()
    assert not (lungs == 2).any()
    names = [node.GetName() for node in nodesOf(segmentation)[1:]]
    assert len(names) == 4
    assert all("Scan B" in name for name in names)


def test_an_empty_segmentation_is_anybodys(logic, scene, two_scans):
    first, second = two_scans
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    empty.SetReferenceImageGeometryParameterFromVolumeNode(first)
    assert logic.segment(second, QUICK, empty) is empty

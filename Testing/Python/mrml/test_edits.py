"""What a radiologist has painted or erased by hand is never lost."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.manual_choice import choose_tissues
from S3NetSegmentationLib.mrml.edits import editedLungs
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from S3NetSegmentationLib.mrml.measuring import updateFigures
from S3NetSegmentationLib.mrml.nodes import segmentationOf, volumeOf
from slicer_scene import add_volume, lungs_array, save_and_load, segment_array, table_rows


def edit(segmentation, volume, segment_id, change):
    """Let `change` paint and erase in a segment's voxels (k, j, i), as Segment Editor does."""
    array = segment_array(segmentation, segment_id, volume)
    change(array)
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, segment_id, volume)


def paint_and_erase(segmentation, volume):
    """Paint a block in front of the spine as right lung, erase another one; their voxels."""
    lungs = lungs_array(segmentation, volume)
    painted, erased = np.zeros(lungs.shape, bool), np.zeros(lungs.shape, bool)
    k, j, i = (int(values.mean()) for values in np.nonzero(lungs == 1))
    painted[k - 2 : k + 2, :4, :4] = True
    erased[k - 3 : k + 3, j - 3 : j + 3, i - 3 : i + 3] = lungs[
        k - 3 : k + 3, j - 3 : j + 3, i - 3 : i + 3
    ]

    def change(array):
        array[painted], array[erased] = 1, 0

    edit(segmentation, volume, "right_lung", change)
    return painted, erased


def engine_lungs(image, numbers):
    return choose_tissues(segmented(image), sitk.GetArrayViewFromImage(image), numbers).lung_array


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed"])
def test_a_choice_keeps_what_was_painted_and_what_was_erased(logic, geometry):
    image = small_chest(geometry).image
    volume, chosen = add_volume(image), segmented(image).chosen_tissues
    segmentation = logic.segment(volume, QUICK)
    assert editedLungs(segmentation) == ()
    painted, erased = paint_and_erase(segmentation, volume)
    assert editedLungs(segmentation) == ("right_lung",)
    # Where no tissue is chosen, nothing distinguishes what was erased from what was never lung.
    for numbers in ([], chosen[:1], chosen):
        logic.chooseTissues(segmentation, numbers)
        expected = engine_lungs(image, numbers).copy()
        expected[painted], expected[erased] = 1, 0
        assert (lungs_array(segmentation, volume) == expected).all()
    assert editedLungs(segmentation) == ("right_lung",)


@pytest.mark.parametrize("geometry", ["axial", "left-handed"])
def test_a_choice_in_a_loaded_scene_keeps_the_edits_too(
    logic, scene, application, tmp_path, geometry
):
    image = small_chest(geometry).image
    volume, chosen = add_volume(image), segmented(image).chosen_tissues
    segmentation = logic.segment(volume, QUICK)
    painted, erased = paint_and_erase(segmentation, volume)
    logic.chooseTissues(segmentation, [])
    _, segmentation = save_and_load(application, tmp_path)
    volume = volumeOf(segmentation)
    SegmentationLogic(JobHere).chooseTissues(segmentation, chosen)
    expected = engine_lungs(image, chosen).copy()
    expected[painted], expected[erased] = 1, 0
    flip = slice(None, None, -1 if geometry == "left-handed" else 1)
    assert (lungs_array(segmentation, volume)[flip] == expected).all()


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed"])
def test_a_loaded_scene_is_not_taken_for_edited(logic, scene, application, tmp_path, geometry):
    volume = add_volume(small_chest(geometry).image)
    segmentation = logic.segment(volume, QUICK)
    _, segmentation = save_and_load(application, tmp_path)
    assert editedLungs(segmentation) == ()
    edit(segmentation, volumeOf(segmentation), "left_lung", lambda array: array.__imul__(0))
    assert editedLungs(segmentation) == ("left_lung",)


def copies(scene, segmentation):
    every = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in every if node is not segmentation]


def test_a_new_run_keeps_the_edits_as_a_copy(logic, scene):
    image = small_chest().image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    paint_and_erase(segmentation, volume)
    edited = lungs_array(segmentation, volume)
    assert logic.segment(volume, QUICK) is segmentation
    assert (
        lungs_array(segmentation, volume) == engine_lungs(image, segmented(image).chosen_tissues)
    ).all()
    (copy,) = copies(scene, segmentation)
    assert (lungs_array(copy, volume) == edited).all()
    assert not copy.GetDisplayNode().GetVisibility()
    assert segmentationOf(volume) is segmentation
    logic.chooseTissues(segmentation, segmented(image).chosen_tissues)
    assert (
        lungs_array(segmentation, volume) == engine_lungs(image, segmented(image).chosen_tissues)
    ).all()
    logic.segment(volume, QUICK)
    assert copies(scene, segmentation) == [copy], "without new edits there is nothing to keep"


def test_edits_are_replaced_only_as_they_were_when_that_was_allowed(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    paint_and_erase(segmentation, volume)
    logic.segment(volume, QUICK, overwrite=True)
    assert copies(scene, segmentation) == []
    paint_and_erase(segmentation, volume)
    run = logic.start(volume, QUICK, segmentation, overwrite=True)
    edit(segmentation, volume, "left_lung", lambda array: array.__imul__(0))
    logic.finish(run)
    (copy,) = copies(scene, segmentation)
    assert not segment_array(copy, "left_lung", volume).any()


def test_lungs_that_someone_else_has_drawn_are_kept_too(logic, scene):
    volume = add_volume(small_chest().image)
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mine.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    mine.GetSegmentation().AddEmptySegment("right_lung", "right lung", (1, 0, 0))
    edit(mine, volume, "right_lung", lambda array: array.__setitem__(slice(3, 9), 1))
    logic.segment(volume, QUICK, mine)
    (copy,) = copies(scene, mine)
    assert segment_array(copy, "right_lung", volume)[3:9].all()


def figures(segmentation):
    """Rows of the right and of the left lung."""
    return table_rows(segmentation.GetNodeReference("S3Net.resultsTable"))[:2]


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed"])
def test_the_figures_follow_the_segments(logic, geometry):
    image = small_chest(geometry).image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    assert [row["Edited"] for row in figures(segmentation)] == ["", ""]
    left = figures(segmentation)[1]
    paint_and_erase(segmentation, volume)
    updateFigures(segmentation)
    right = segment_array(segmentation, "right_lung", volume) > 0
    row = figures(segmentation)[0]
    milliliters = right.sum() * np.prod(image.GetSpacing()) / 1000
    assert row["Volume (mL)"] == f"{milliliters:.0f}"
    assert row["Mean (HU)"] == f"{sitk.GetArrayViewFromImage(image)[right].mean():.0f}"
    assert row["Edited"] == "by hand"
    assert figures(segmentation)[1] == left
    edit(segmentation, volume, "left_lung", lambda array: array.__imul__(0))
    updateFigures(segmentation)
    assert figures(segmentation)[1]["Volume (mL)"] == "0"
    logic.chooseTissues(segmentation, segmented(image).chosen_tissues)
    assert [row["Edited"] for row in figures(segmentation)] == ["by hand", "by hand"]
    assert figures(segmentation)[1]["Volume (mL)"] == "0"


def test_figures_that_hold_are_not_written_again(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    table = segmentation.GetNodeReference("S3Net.resultsTable")
    before = table.GetMTime()
    updateFigures(segmentation)
    assert table.GetMTime() == before


def test_figures_without_a_volume_stay(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    before = figures(segmentation)
    scene.RemoveNode(volume)
    updateFigures(segmentation)
    assert figures(segmentation) == before


def test_quality_and_hints_are_those_of_the_tissues_that_are_chosen(logic):
    image = small_chest().image
    segmentation = logic.segment(add_volume(image), QUICK)
    assert logic.quality(segmentation) == segmented(image).figures.quality
    logic.chooseTissues(segmentation, [])
    assert logic.quality(segmentation) == 0
    assert "No lungs were found" in logic.warnings(segmentation)[0]
    logic.chooseTissues(segmentation, segmented(image).chosen_tissues)
    assert logic.quality(segmentation) == segmented(image).figures.quality
    assert logic.warnings(segmentation) == segmented(image).figures.hints


def test_undo_keeps_what_was_edited_since_as_a_copy_and_brings_older_edits_back(logic, scene):
    scene.SetUndoOff()
    image = small_chest().image
    volume, chosen = add_volume(image), segmented(image).chosen_tissues
    segmentation = logic.segment(volume, QUICK)
    paint_and_erase(segmentation, volume)
    logic.chooseTissues(segmentation, chosen[:1])
    chosen_once = lungs_array(segmentation, volume)
    logic.segment(volume, QUICK, overwrite=True)
    edit(segmentation, volume, "left_lung", lambda array: array.__imul__(0))
    logic.undo()
    assert (lungs_array(segmentation, volume) == chosen_once).all()
    (copy,) = copies(scene, segmentation)
    assert not segment_array(copy, "left_lung", volume).any()
    logic.chooseTissues(segmentation, [])
    logic.chooseTissues(segmentation, chosen[:1])
    assert (lungs_array(segmentation, volume) == chosen_once).all()

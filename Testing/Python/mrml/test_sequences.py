"""Every frame of a sequence: 4D CT, inspiration and expiration."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import Cancelled, InputError, S3NetError
from S3NetSegmentationLib.mrml.many_scans import ManyScansLogic
from S3NetSegmentationLib.mrml.sequences import BREATH, CHART, SEGMENTATION
from slicer_scene import (
    add_sequence,
    add_volume,
    lungs_array,
    segment_array,
    select_frame,
    state,
    table_rows,
)


def breathing():
    """Inspiration; expiration with trapped air in one half of denser, smaller lungs."""
    inspiration = small_chest("left-handed").image
    lungs = sitk.GetArrayFromImage(small_chest("left-handed").lungs) > 0
    values = sitk.GetArrayFromImage(inspiration)
    lower = np.arange(len(values))[:, None, None] < len(values) // 2
    values[lungs & lower] += 130
    expiration = sitk.GetImageFromArray(values)
    expiration.CopyInformation(inspiration)
    # A chest of the same voxels that is narrower by a tenth.
    width, *others = inspiration.GetSpacing()
    expiration.SetSpacing((0.9 * width, *others))
    return [inspiration, expiration]


@pytest.fixture
def images():
    return breathing()


def engine_lungs(image):
    return sitk.GetArrayFromImage(segmented(image).lungs)


def milliliters(image):
    return (engine_lungs(image) > 0).sum() * np.prod(image.GetSpacing()) / 1000


@pytest.mark.parametrize("given", ["sequence", "browser", "volume"])
def test_the_lungs_follow_the_frame_that_is_selected(logic, images, given):
    sequence, browser = add_sequence(images)
    volume = browser.GetProxyNode(sequence)
    node = {"sequence": sequence, "browser": browser, "volume": volume}[given]
    table = logic.segmentSequence(node, QUICK)
    segmentation = table.GetNodeReference(SEGMENTATION)
    for index in (1, 0):
        assert select_frame(browser, index) is volume
        expected = engine_lungs(images[index])
        assert (lungs_array(segmentation, volume) == expected).all()
    assert browser.IsSynchronizedSequenceNode(browser.GetSequenceNode(segmentation))


def test_a_row_and_a_point_of_the_curve_for_each_frame(logic, images):
    sequence, _ = add_sequence(images)
    table = logic.segmentSequence(sequence, QUICK)
    rows = table_rows(table)
    assert [row["Frame"] for row in rows] == ["1", "2"]
    assert [row["phase (%)"] for row in rows] == ["0", "10"]
    for row, image in zip(rows, images, strict=True):
        values = sitk.GetArrayFromImage(image)[engine_lungs(image) > 0]
        assert row["Mean (HU)"] == f"{values.mean():.0f}"
        assert row["< -856 HU (%)"] == f"{100 * (values < -856).mean():.1f}"
    chart = table.GetNodeReference(CHART)
    assert chart.GetNumberOfPlotSeriesNodes() == 3
    series = chart.GetNthPlotSeriesNode(0)
    assert series.GetTableNode() is table
    x, y = (
        slicer.util.arrayFromTableColumn(table, name)
        for name in (series.GetXColumnName(), series.GetYColumnName())
    )
    assert x.tolist() == [1, 2]
    assert y.tolist() == [round(milliliters(image)) for image in images]


def test_inspiration_expiration_and_air_trapping(logic, images):
    sequence, _ = add_sequence(images[::-1])
    table = logic.segmentSequence(sequence, QUICK)
    volume, mean, trapped = table_rows(table.GetNodeReference(BREATH))
    inspiration, expiration = "Inspiration (frame 2)", "Expiration (frame 1)"
    most, least = map(milliliters, images)
    assert (volume[inspiration], volume[expiration]) == (f"{most:.0f}", f"{least:.0f}")
    assert volume["Difference"] == f"{most - least:.0f}"
    means = [sitk.GetArrayFromImage(image)[engine_lungs(image) > 0].mean() for image in images]
    assert mean["Difference"] == f"{means[0] - means[1]:.0f}"
    values = sitk.GetArrayFromImage(images[1])[engine_lungs(images[1]) > 0]
    share = (values < -856).mean()
    assert 0.1 < share < 0.5, "only one half of these lungs traps air"
    assert trapped[expiration] == f"{100 * share:.1f}"


def test_a_frame_that_fails_is_a_row_and_has_no_lungs(logic, images):
    sequence, browser = add_sequence([images[0], images[0] + 3000, images[1]])
    table = logic.segmentSequence(sequence, QUICK)
    good, bad, last = table_rows(table)
    assert "Hounsfield" in bad["Note"]
    assert good["Note"] == last["Note"] == ""
    curve = slicer.util.arrayFromTableColumn(table, "Both (mL)")
    assert np.isnan(curve).tolist() == [False, True, False]
    segmentation = table.GetNodeReference(SEGMENTATION)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
    select_frame(browser, 1)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 0
    volume = select_frame(browser, 2)
    assert (lungs_array(segmentation, volume) == engine_lungs(images[1])).all()
    assert table.GetNodeReference(BREATH) is not None


def test_a_single_frame_has_no_inspiration_and_expiration(logic, images):
    sequence, _ = add_sequence(images[:1])
    assert logic.segmentSequence(sequence, QUICK).GetNodeReference(BREATH) is None


def test_corrections_by_hand_stay_in_their_frame_and_another_run_leaves_them(logic, images):
    sequence, browser = add_sequence(images)
    first = logic.segmentSequence(sequence, QUICK).GetNodeReference(SEGMENTATION)
    volume = select_frame(browser, 1)
    array = segment_array(first, "left_lung", volume)
    array[:] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, first, "left_lung", volume)
    select_frame(browser, 0)
    second = logic.segmentSequence(sequence, QUICK).GetNodeReference(SEGMENTATION)
    volume = select_frame(browser, 1)
    assert not (lungs_array(first, volume) == 2).any()
    assert (lungs_array(second, volume) == engine_lungs(images[1])).all()


def test_a_sequence_without_a_browser_gets_one(logic, scene, images):
    sequence, browser = add_sequence(images)
    scene.RemoveNode(browser)
    table = logic.segmentSequence(sequence, QUICK)
    browser = scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    volume = select_frame(browser, 1)
    segmentation = table.GetNodeReference(SEGMENTATION)
    assert (lungs_array(segmentation, volume) == engine_lungs(images[1])).all()


def test_cancel_leaves_the_scene(logic, images):
    sequence, _ = add_sequence(images)
    before, asked = state(), []
    with pytest.raises(Cancelled, match="the scene is as it was"):
        logic.segmentSequence(sequence, QUICK, isCancelled=lambda: asked.append(1) or True)
    assert asked
    assert state() == before


def test_a_sequence_removed_meanwhile_is_told_in_a_sentence(scene, images):
    sequence, _ = add_sequence(images)

    class Removes(JobHere):
        def result(self):
            if sequence.GetScene():
                scene.RemoveNode(sequence)
            return super().result()

    with pytest.raises(S3NetError, match="sequence was removed"):
        ManyScansLogic(Removes).segmentSequence(sequence, QUICK)
    assert scene.GetFirstNodeByClass("vtkMRMLTableNode") is None
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_what_is_not_a_sequence_of_volumes_is_refused(logic, scene, images):
    transforms = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    transforms.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), "0")
    empty = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    for node in (None, transforms, empty, add_volume(images[0])):
        with pytest.raises(InputError, match="not a sequence of volumes"):
            logic.segmentSequence(node, QUICK)

"""Changes by hand while the window stays alive: in order, on the scene as it is, none lost."""

import numpy as np
import pytest
import slicer
import vtk
from host.widgets import ctkMessageBox
from PySide6.QtCore import Qt
from S3NetSegmentationLib.manual_choice import choose_tissues, merge_tissues, pick
from scipy import ndimage
from slicer_scene import ijk_to_ras, lungs_array, segment_array


@pytest.fixture(autouse=True)
def without_undo(panel):
    slicer.mrmlScene.SetUndoOff()


def lungs(done):
    return lungs_array(done.segmentation, done.volume)


def number_of(done, name):
    (number,) = (row.number for row in done.result.tissue_table if row.name == name)
    return number


def voxel_in(done, name):
    distance = ndimage.distance_transform_edt(done.result.tissue_array == number_of(done, name))
    return np.unravel_index(distance.argmax(), distance.shape)


def click(done, application, name):
    """Click on a tissue in the slice view, and do not wait."""
    k, j, i = voxel_in(done, name)
    application.layoutManager().red.click((ijk_to_ras(done.chest.image) @ [i, j, k, 1])[:3])


def toggle(done, name):
    item = done.ui.tissueTable.item(number_of(done, name) - 1, 0)
    item.setCheckState(Qt.Unchecked if item.checkState() == Qt.Checked else Qt.Checked)


def checked(done):
    table = done.ui.tissueTable
    return [
        row + 1 for row in range(table.rowCount) if table.item(row, 0).checkState() == Qt.Checked
    ]


def test_clicks_in_a_row_are_all_made_each_from_what_the_last_one_left(done, application):
    expected = done.result
    done.ui.pickButton.click()
    for name in ("soft tissue", "fat", "soft tissue"):
        click(done, application, name)
        expected = pick(expected, done.chest.hounsfield, voxel_in(done, name))
    done.settle()
    assert (lungs(done) == expected.lung_array).all()


def test_check_marks_in_a_row_stay_as_they_were_set(done):
    numbers = set(done.result.chosen_tissues)
    for name in ("fat", "aerated lung", "soft tissue"):
        toggle(done, name)
        numbers ^= {number_of(done, name)}
        done.panel.tissues.show(done.segmentation)  # as whatever changes the scene has it do
        assert checked(done) == sorted(numbers)
    done.settle()
    expected = choose_tissues(done.result, done.chest.hounsfield, numbers)
    assert checked(done) == list(expected.chosen_tissues)
    assert (lungs(done) == expected.lung_array).all()


def test_of_numbers_of_tissues_that_are_passed_the_last_one_counts(done, monkeypatch):
    counts = []

    def watched(result, count):
        counts.append(count)
        return merge_tissues(result, count)

    monkeypatch.setattr("S3NetSegmentationLib.mrml.logic.merge_tissues", watched)
    for count in range(9, 17):
        done.ui.tissueSpinBox.value = count
    assert not done.ui.tissueTable.enabled, "a check mark would be one of other tissues"
    done.settle()
    assert done.ui.tissueTable.enabled
    assert counts[-1] == 16
    assert len(counts) <= 2
    expected = merge_tissues(done.result, 16)
    assert done.ui.tissueTable.rowCount == len(expected.tissue_table)


def test_undo_takes_back_what_is_not_made_yet(done):
    before = lungs(done)
    toggle(done, "fat")
    done.ui.undoButton.click()
    done.settle()
    assert (lungs(done) == before).all()
    assert checked(done) == list(done.result.chosen_tissues)
    assert done.ui.undoButton.enabled, "the run can be taken back, too"


def test_what_is_painted_meanwhile_is_not_lost(done):
    toggle(done, "fat")
    array = segment_array(done.segmentation, "right_lung", done.volume)
    array[:, :4, :4] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        array, done.segmentation, "right_lung", done.volume
    )
    done.settle()
    numbers = {*done.result.chosen_tissues, number_of(done, "fat")}
    expected = choose_tissues(done.result, done.chest.hounsfield, numbers).lung_array.copy()
    expected[:, :4, :4] = 1
    assert (lungs(done) == expected).all()


def test_the_panel_says_that_it_is_busy(done, application):
    assert application.cursors == 0
    toggle(done, "fat")
    assert done.ui.statusLabel.text == "Updating the lungs."
    assert application.cursors == 1
    done.panel.enter()  # as whatever changes the scene has the panel say what holds
    assert done.ui.statusLabel.text == "Updating the lungs."
    done.settle()
    assert done.ui.statusLabel.text == "See the notes under Output."  # of fat in the lungs
    assert application.cursors == 0


def nothing_happens(done, application, wait):
    done.settle()
    waited = []
    slicer.app.processEvents()
    wait(lambda: waited.append(1) or len(waited) > 30)
    assert application.cursors == 0
    assert ctkMessageBox.shown == []
    assert "Traceback" not in done.ui.logText.toPlainText()


def test_a_scene_that_is_closed_meanwhile_stays_closed(done, application, wait):
    toggle(done, "fat")
    toggle(done, "soft tissue")
    slicer.mrmlScene.Clear()
    assert not done.panel.changes.isBusy
    nothing_happens(done, application, wait)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_a_segmentation_that_is_deleted_meanwhile_stays_deleted(done, application, wait):
    toggle(done, "fat")
    toggle(done, "soft tissue")
    slicer.mrmlScene.RemoveNode(done.segmentation)
    assert not done.panel.changes.isBusy
    nothing_happens(done, application, wait)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_a_run_that_is_started_meanwhile_comes_after(done, wait):
    before = lungs(done)
    toggle(done, "fat")
    done.ui.applyButton.click()
    assert done.ui.applyButton.text == "Cancel"
    wait(lambda: not done.panel.run.isRunning and not done.panel.changes.isBusy)
    assert "Traceback" not in done.ui.logText.toPlainText()
    numbers = {*done.result.chosen_tissues, number_of(done, "fat")}
    chosen = choose_tissues(done.result, done.chest.hounsfield, numbers).lung_array
    now = lungs(done)
    assert (now == before).all() or (now == chosen).all()
    assert done.ui.statusLabel.text != "Updating the lungs."


def surface_of(done):
    """The volume of both lungs' surfaces in mL; 0 where there are none."""
    volume = 0
    for side in ("right", "left"):
        surface = done.segmentation.GetClosedSurfaceInternalRepresentation(f"{side}_lung")
        if surface:
            measured = vtk.vtkMassProperties()
            measured.SetInputData(surface)
            volume += measured.GetVolume() / 1000
    return volume


def test_surfaces_that_are_shown_are_made_anew_once_after_the_last_change(done):
    done.ui.show3DButton.click()
    before, made = surface_of(done), []

    def onNames(caller, event):
        surface = done.segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
        if surface != (made[-1] if made else True):
            made.append(surface)

    names = slicer.vtkSegmentation.ContainedRepresentationNamesModified
    done.segmentation.GetSegmentation().AddObserver(names, onNames)
    for name in ("soft tissue", "fat", "aerated lung"):
        toggle(done, name)
    done.settle()
    assert made == [False, True]
    assert done.ui.show3DButton.checked
    assert surface_of(done) > before
    done.ui.undoButton.click()
    done.ui.undoButton.click()
    done.ui.undoButton.click()
    done.settle()
    assert surface_of(done) == pytest.approx(before)


def test_another_segmentation_may_be_shown_meanwhile(done):
    toggle(done, "fat")
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    done.ui.outputSelector.setCurrentNode(other)
    assert done.ui.tissueTable.rowCount == 0
    done.settle()
    assert done.ui.tissueTable.rowCount == 0
    done.ui.outputSelector.setCurrentNode(done.segmentation)
    assert number_of(done, "fat") in checked(done)

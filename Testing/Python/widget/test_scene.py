"""The panel, the slice views and the nodes of the scene stay together."""

import gc
import weakref

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from PySide6 import QtGui
from PySide6.QtCore import Qt
from slicer_scene import add_volume, lungs_array, nodes


def layers(application):
    return application.layoutManager().red.mrmlSliceCompositeNode()


def test_the_scan_that_is_chosen_is_shown(panel, chest, application):
    first, second = add_volume(chest.image), add_volume(chest.image)
    panel.ui.inputSelector.setCurrentNode(first)
    assert layers(application).GetBackgroundVolumeID() == first.GetID()
    panel.ui.inputSelector.setCurrentNode(second)
    assert layers(application).GetBackgroundVolumeID() == second.GetID()


def test_a_run_that_ends_shows_its_lungs(done, application, wait):
    view = application.layoutManager().red.mrmlSliceNode()
    view.SetSliceOffset(5000)
    done.ui.applyButton.click()
    wait(lambda: not done.panel.run.isRunning)
    assert abs(view.GetSliceOffset()) < 60


def test_a_segmentation_that_is_deleted_leaves_nothing_behind(done):
    before = set(nodes())
    volume = add_volume(sitk.Image(done.chest.image), "Scan B")
    own = set(nodes())
    done.ui.inputSelector.setCurrentNode(volume)
    made = done.panel.logic.segment(volume, done.result.settings)
    slicer.mrmlScene.RemoveNode(made)
    left = {nodes()[name].GetClassName() for name in set(nodes()) - own}
    assert left <= {"vtkMRMLSegmentationDisplayNode"}
    assert before <= set(nodes()), "those of the other scan stay"


def test_a_scene_that_is_closed_leaves_no_result_in_memory(done, monkeypatch):
    from S3NetSegmentationLib.manual_choice import choose_tissues
    from S3NetSegmentationLib.mrml import logic

    kept = []

    def watched(*arguments):
        result = choose_tissues(*arguments)
        kept.append(weakref.ref(result.lung_array))
        return result

    monkeypatch.setattr(logic, "choose_tissues", watched)
    done.ui.tissueTable.item(0, 0).setCheckState(Qt.Unchecked)
    done.settle()
    (array,) = kept
    slicer.mrmlScene.Clear()
    gc.collect()
    assert array() is None


@pytest.fixture
def without_undo(panel):
    slicer.mrmlScene.SetUndoOff()


def test_the_undo_button_takes_back_a_choice_where_slicers_undo_is_off(without_undo, done):
    assert not done.ui.undoButton.isHidden()
    before = lungs_array(done.segmentation, done.volume)
    done.ui.tissueTable.item(done.result.chosen_tissues[0] - 1, 0).setCheckState(Qt.Unchecked)
    done.settle()
    assert np.any(lungs_array(done.segmentation, done.volume) != before)
    done.ui.undoButton.click()
    done.settle()
    assert (lungs_array(done.segmentation, done.volume) == before).all()
    assert done.ui.tissueTable.item(done.result.chosen_tissues[0] - 1, 0).checkState() == Qt.Checked
    assert done.ui.undoButton.enabled, "the run can be taken back, too"


def test_ctrl_z_takes_back_a_choice(without_undo, done, application):
    before = lungs_array(done.segmentation, done.volume)
    done.ui.tissueTable.item(done.result.chosen_tissues[0] - 1, 0).setCheckState(Qt.Unchecked)
    done.settle()
    every = application.window.findChildren(QtGui.QShortcut)
    (undo,) = (each for each in every if each.enabled and each.key.toString() == "Ctrl+Z")
    undo.activated.emit()
    done.settle()
    assert (lungs_array(done.segmentation, done.volume) == before).all()
    done.panel.exit()
    assert not undo.enabled, "it is for other modules again"


def test_the_undo_button_takes_back_the_run(without_undo, done):
    assert done.ui.undoButton.enabled
    done.ui.undoButton.click()
    done.settle()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert done.ui.statusLabel.text == "Not segmented yet."


def test_where_slicers_undo_is_on_there_is_no_other(done):
    assert done.ui.undoButton.isHidden()

"""Edits by hand, as a radiologist makes them between two clicks in the panel."""

import numpy as np
import pytest
import slicer
from host.widgets import QMessageBox
from PySide6.QtCore import Qt
from slicer_scene import lungs_array, segment_array


def paint(done):
    """Erase the lower half of the left lung by hand; gives the lungs as they are then."""
    array = segment_array(done.segmentation, "left_lung", done.volume)
    array[: int(np.nonzero(array)[0].mean())] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        array, done.segmentation, "left_lung", done.volume
    )
    return lungs_array(done.segmentation, done.volume)


@pytest.mark.parametrize("answer", ["Keep as a copy", "Replace", "Cancel"])
def test_apply_asks_before_edits_are_replaced(done, wait, monkeypatch, answer):
    edited = paint(done)
    monkeypatch.setattr(QMessageBox, "answer", answer)
    done.ui.applyButton.click()
    wait(lambda: not done.panel.run.isRunning)
    (question,) = QMessageBox.asked
    assert "'chest lungs'" in question
    assert "edited by hand" in question
    isThere = (lungs_array(done.segmentation, done.volume) == edited).all()
    assert isThere == (answer == "Cancel")
    every = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    kept = [node for node in every if node is not done.segmentation]
    assert len(kept) == (answer == "Keep as a copy")
    assert all((lungs_array(node, done.volume) == edited).all() for node in kept)
    assert done.ui.outputSelector.currentNode() is done.segmentation


def test_without_edits_nothing_is_asked(done, wait):
    done.ui.applyButton.click()
    wait(lambda: not done.panel.run.isRunning)
    assert QMessageBox.asked == []


def test_a_check_mark_keeps_the_edits_without_a_question(done):
    edited = paint(done)
    item = done.ui.tissueTable.item(done.result.chosen_tissues[0] - 1, 0)
    item.setCheckState(Qt.Unchecked)
    done.settle()
    item = done.ui.tissueTable.item(done.result.chosen_tissues[0] - 1, 0)
    item.setCheckState(Qt.Checked)
    done.settle()
    assert QMessageBox.asked == []
    assert (lungs_array(done.segmentation, done.volume) == edited).all()

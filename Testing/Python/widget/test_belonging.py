"""A result belongs to its scan: what is selected, and what is asked before it is overwritten."""

import pytest
import slicer
from engine_here import small_chest
from host.widgets import QMessageBox
from S3NetSegmentationLib.mrml.nodes import segmentationOf
from slicer_scene import add_volume, lungs_array


def lungs(done):
    return lungs_array(done.segmentation, done.volume).tobytes()


@pytest.fixture
def second(done):
    """Another scan, chosen after the first has been segmented."""
    volume = add_volume(small_chest(lungs="right").image, "Scan B")
    done.ui.inputSelector.setCurrentNode(volume)
    return volume


def test_another_scan_gets_a_segmentation_of_its_own(done, second, wait):
    before = lungs(done)
    assert done.ui.outputSelector.currentNode() is None
    done.ui.applyButton.click()
    wait(lambda: not done.panel.run.isRunning)
    assert QMessageBox.asked == []
    assert lungs(done) == before
    assert done.ui.outputSelector.currentNode() is segmentationOf(second)
    done.ui.inputSelector.setCurrentNode(done.volume)
    assert done.ui.outputSelector.currentNode() is done.segmentation


@pytest.mark.parametrize("answer", ["Create new", "Replace", "Cancel"])
def test_the_result_of_another_scan_is_overwritten_only_if_the_user_says_so(
    done, second, wait, monkeypatch, answer
):
    before = lungs(done)
    done.ui.outputSelector.setCurrentNode(done.segmentation)
    monkeypatch.setattr(QMessageBox, "answer", answer)
    done.ui.applyButton.click()
    wait(lambda: not done.panel.run.isRunning)
    (question,) = QMessageBox.asked
    assert "'chest lungs'" in question
    assert "'Scan B'" in question
    assert (lungs(done) == before) == (answer != "Replace")
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    assert count == (2 if answer == "Create new" else 1)


def test_a_run_that_ends_after_another_scan_was_chosen_leaves_the_choice(
    panel, chest, stepwise, wait
):
    first = add_volume(chest.image, "Scan A")
    panel.enter()
    panel.ui.applyButton.click()
    second = add_volume(chest.image, "Scan B")
    panel.ui.inputSelector.setCurrentNode(second)
    stepwise.current.running = False
    wait(lambda: not panel.run.isRunning)
    assert segmentationOf(first) is not None
    assert panel.ui.outputSelector.currentNode() is None

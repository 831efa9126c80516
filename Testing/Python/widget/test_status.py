"""What the panel says is about the segmentation that is selected, and holds now."""

import json
import re

import numpy as np
import pytest
import slicer
from host.widgets import ctkMessageBox
from PySide6.QtCore import Qt
from S3NetSegmentationLib.mrml.nodes import SETTINGS, resultsTableOf
from slicer_scene import add_volume, load_scene, save_scene, segment_array


def status(done):
    return done.ui.statusLabel.text


def test_each_scan_has_its_own_words(done):
    assert status(done).startswith("Nothing doubtful was found.")
    other = add_volume(done.chest.image, "Scan B")
    done.ui.inputSelector.setCurrentNode(other)
    assert status(done) == "Not segmented yet."
    assert done.ui.hintsLabel.isHidden()
    assert done.ui.resultsTable.isHidden()
    done.ui.inputSelector.setCurrentNode(done.volume)
    assert status(done).startswith("Nothing doubtful")
    done.ui.inputSelector.setCurrentNode(other)
    done.ui.outputSelector.setCurrentNode(done.segmentation)
    assert "another scan" in status(done)


def test_notes_are_pointed_to_and_no_percentage_is_given(done):
    done.segmentation.SetAttribute("S3Net.hints", json.dumps(["Look at slice 3 of 40: it is cut."]))
    done.ui.inputSelector.setCurrentNode(add_volume(done.chest.image, "Scan B"))
    done.ui.inputSelector.setCurrentNode(done.volume)
    assert status(done) == "See the notes under Output."
    assert "it is cut" in done.ui.hintsLabel.text


def test_a_result_of_the_console_has_them_too(done, wait):
    other = add_volume(done.chest.image, "Scan B")
    made = done.panel.logic.segment(other, done.result.settings)
    done.ui.inputSelector.setCurrentNode(other)
    assert done.ui.outputSelector.currentNode() is made
    assert status(done).startswith("Nothing doubtful")


def test_a_loaded_scene_has_them_too(done, tmp_path):
    before = status(done)
    path = save_scene(tmp_path)
    slicer.mrmlScene.Clear()
    assert status(done) == "Select a chest CT."
    assert done.ui.hintsLabel.isHidden()
    load_scene(path)
    assert status(done) == before


def test_a_refusal_leaves_no_word_of_the_last_run(done):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    done.ui.inputSelector.setCurrentNode(empty)
    done.ui.applyButton.click()
    assert "holds no voxels" in ctkMessageBox.shown[0]
    assert status(done) == "Not segmented yet."


def test_a_segmentation_that_is_removed_takes_its_words_along(done):
    slicer.mrmlScene.RemoveNode(done.segmentation)
    assert status(done) == "Not segmented yet."
    assert done.ui.hintsLabel.isHidden()


def test_without_lungs_there_is_no_quality(done):
    for number in done.result.chosen_tissues:
        done.ui.tissueTable.item(number - 1, 0).setCheckState(Qt.Unchecked)
        done.settle()
    assert status(done) == "No lungs."
    assert "No lungs were found" in done.ui.hintsLabel.text


def test_a_cancelled_run_is_said_until_another_scan_is_chosen(panel, chest, stepwise):
    add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    panel.ui.applyButton.click()
    assert "Cancelled" in panel.ui.statusLabel.text
    panel.ui.inputSelector.setCurrentNode(add_volume(chest.image))
    assert panel.ui.statusLabel.text == "Not segmented yet."


def erase_left(done):
    array = segment_array(done.segmentation, "left_lung", done.volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.zeros_like(array), done.segmentation, "left_lung", done.volume
    )


def shown_figures(done):
    table = done.ui.resultsTable
    return [
        [table.item(row, column).text() for column in range(table.columnCount)]
        for row in range(table.rowCount)
    ]


def test_the_table_follows_an_edit(done, wait):
    assert len(shown_figures(done)[0]) == 6, "nothing was edited"
    erase_left(done)
    wait(lambda: shown_figures(done)[1][1] == "0", seconds=5)
    assert shown_figures(done)[1][-1] == "by hand"
    assert shown_figures(done)[0][-1] == ""
    assert status(done).startswith("Edited by hand")


def test_what_is_edited_in_another_module_is_seen_on_the_way_back(done):
    done.panel.exit()
    done.panel.parent.leave()
    erase_left(done)
    done.panel.enter()
    assert shown_figures(done)[1][1] == "0"


def test_the_table_is_right_when_the_scene_is_saved(done):
    done.panel.exit()
    done.panel.parent.leave()
    erase_left(done)
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.StartSaveEvent)
    assert resultsTableOf(done.segmentation).GetCellText(1, 1) == "0"


@pytest.fixture
def hint(done):
    """A result with a hint at slices 11 to 13, counted from 1."""
    sentence = "Look at the lungs in slices 11 to 13 of 50: they may include soft tissue."
    done.segmentation.SetAttribute("S3Net.hints", f'["{sentence}"]')
    done.panel.enter()


def test_hints_are_links_to_a_slice_in_millimeters(done, hint, application):
    middle = (50 - 1) / 2
    first, last = (6 * (number - 1 - middle) for number in (11, 13))
    assert f">{first:.1f} to {last:.1f} mm</a>" in done.ui.hintsLabel.text
    (target,) = re.findall('href="([^"]*)"', done.ui.hintsLabel.text)
    done.ui.hintsLabel.linkActivated.emit(target)
    view = application.layoutManager().red.mrmlSliceNode()
    assert view.GetSliceOffset() == pytest.approx(6 * (12 - 1 - middle))


def test_an_empty_panel_has_no_empty_tables(panel):
    assert panel.ui.resultsTable.isHidden()
    assert panel.ui.tissueTable.isHidden()
    assert panel.ui.hintsLabel.isHidden()
    assert panel.ui.statusLabel.text == "Select a chest CT."


def test_someone_elses_segmentation_has_no_estimate(done):
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    done.ui.outputSelector.setCurrentNode(mine)
    assert mine.GetAttribute(SETTINGS) is None
    assert "nothing is known about its quality" in status(done)

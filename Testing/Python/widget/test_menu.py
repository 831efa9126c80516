"""A right click in the Data module, and the queue of scans that it begins."""

import sys

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from host.menu import qSlicerSubjectHierarchyPluginHandler
from host.widgets import QMessageBox, ctkMessageBox
from S3NetSegmentationLib.errors import S3NetError
from S3NetSegmentationLib.mrml.nodes import segmentationOf
from S3NetSegmentationLib.progress import Progress
from slicer_scene import add_sequence, add_volume, lungs_array, segment_array, table_rows

ENTRY = "Segment lungs (S3-Net)"


@pytest.fixture
def menu(panel, monkeypatch):
    """Gives the menu of a node, or of an item of the Data module."""
    monkeypatch.setattr(qSlicerSubjectHierarchyPluginHandler, "_instance", None)
    sys.modules["S3NetSegmentation"].registerMenu()

    def rightClick(clicked):
        item = clicked if isinstance(clicked, int) else hierarchy().GetItemByDataNode(clicked)
        return qSlicerSubjectHierarchyPluginHandler.instance().rightClick(item)

    return rightClick


def hierarchy():
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


@pytest.fixture
def study(panel, chest):
    """A study of two CTs and an MR."""
    made = hierarchy().CreateStudyItem(hierarchy().GetSceneItemID(), "study")
    mr = sitk.Clamp(chest.image + 1000, sitk.sitkInt16, 0, 1400)
    for name, image in (("CT 1", chest.image), ("MR", mr), ("CT 2", chest.image)):
        node = add_volume(image, name, folder=None)
        hierarchy().SetItemParent(hierarchy().GetItemByDataNode(node), made)
    return made


def table():
    return table_rows(slicer.mrmlScene.GetFirstNodeByName("S3-Net lung figures"))


def shown_table():
    node = slicer.app.applicationLogic().GetSelectionNode().GetActiveTableID()
    return slicer.mrmlScene.GetNodeByID(node)


def test_a_ct_and_what_holds_one_have_the_entry(panel, menu, study, chest):
    nodes = {name: slicer.util.getNode(name) for name in ("CT 1", "MR")}
    assert ENTRY in menu(nodes["CT 1"])
    assert ENTRY in menu(study)
    assert ENTRY not in menu(nodes["MR"])
    empty = hierarchy().CreateFolderItem(hierarchy().GetSceneItemID(), "empty")
    assert ENTRY not in menu(empty)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert ENTRY not in menu(segmentation)


def test_a_ct_is_chosen_and_segmented(panel, menu, chest, stepwise, wait, application):
    add_volume(chest.image, "other")
    volume = add_volume(chest.image)
    menu(volume)[ENTRY].trigger()
    assert application.window.openedModules[-1] == "S3NetSegmentation"
    assert panel.ui.inputSelector.currentNode() is volume
    stepwise.current.running = False
    wait(lambda: not panel.run.isRunning)
    assert panel.ui.outputSelector.currentNode() is segmentationOf(volume)
    assert ctkMessageBox.shown == [], panel.ui.logText.plainText


def test_a_ct_whose_lungs_were_edited_is_asked_about(done, menu, wait, monkeypatch):
    array = segment_array(done.segmentation, "left_lung", done.volume)
    array[:] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        array, done.segmentation, "left_lung", done.volume
    )
    monkeypatch.setattr(QMessageBox, "answer", "Cancel")
    menu(done.volume)[ENTRY].trigger()
    assert len(QMessageBox.asked) == 1
    assert not done.panel.run.isRunning


def test_a_study_is_segmented_one_scan_after_the_other(panel, menu, study, stepwise, wait):
    menu(study)[ENTRY].trigger()
    assert panel.ui.applyButton.text == "Cancel"
    wait(lambda: stepwise.current)
    first = stepwise.current
    first.reports = [Progress("Fitting", 1, 2, 0.5)]
    wait(lambda: panel.ui.progressBar.value == 17)
    assert panel.ui.progressBar.format.startswith("Scan 1/3")
    assert stepwise.current is first, "never two at once"
    end(panel, stepwise, wait)
    assert panel.ui.statusLabel.text.startswith("Segmented 2 of 3 scans in")
    assert ctkMessageBox.shown == [], "what is wrong is in the table"
    notes = {row["Scan"]: row["Note"] for row in table()}
    assert "not CT" in notes.pop("MR")
    assert notes == {"CT 1": "", "CT 2": ""}
    assert shown_table().GetName() == "S3-Net lung figures"
    for name in notes:
        volume = slicer.util.getNode(name)
        assert lungs_array(segmentationOf(volume), volume).any()
    assert panel.ui.applyButton.text == "Apply"


def test_the_scan_in_the_panel_shows_its_result_after_the_queue(panel, menu, study, stepwise, wait):
    volume = slicer.util.getNode("CT 1")
    panel.ui.inputSelector.setCurrentNode(volume)
    finish(panel, menu, study, stepwise, wait)
    assert panel.ui.outputSelector.currentNode() is segmentationOf(volume)
    assert panel.ui.resultsTable.rowCount == 3


def finish(panel, menu, item, stepwise, wait):
    menu(item)[ENTRY].trigger()
    end(panel, stepwise, wait)


def end(panel, stepwise, wait):
    """Let each scan end as it comes."""

    def isOver():
        if stepwise.current:
            stepwise.current.running = False
        return not panel.run.isRunning

    wait(isOver)


def test_a_scan_that_fails_does_not_stop_the_next(panel, menu, study, stepwise, wait, monkeypatch):
    failures = [S3NetError("The fit failed; try another seed.")]
    result = stepwise.result

    def failing(job):
        if failures:
            raise failures.pop()
        return result(job)

    monkeypatch.setattr(stepwise, "result", failing)
    finish(panel, menu, study, stepwise, wait)
    assert [row["Note"] == "" for row in table()] == [False, False, True]
    assert ctkMessageBox.shown == [], panel.ui.logText.plainText


def test_cancel_ends_the_whole_queue(panel, menu, study, stepwise, wait):
    menu(study)[ENTRY].trigger()
    wait(lambda: stepwise.current)
    first = stepwise.current
    first.running = False
    wait(lambda: stepwise.current is not first)
    second = stepwise.current
    panel.ui.applyButton.click()
    assert second.cancelled
    assert not panel.run.isRunning
    assert "finished before is kept" in panel.ui.statusLabel.text
    wait_a_little = [0]
    wait(lambda: wait_a_little.append(0) or len(wait_a_little) > 20)
    assert stepwise.current is second
    segmented = [segmentationOf(slicer.util.getNode(name)) for name in ("CT 1", "CT 2")]
    assert [each is not None for each in segmented] == [True, False]


def test_closing_the_scene_ends_the_queue(panel, menu, study, stepwise, wait):
    menu(study)[ENTRY].trigger()
    wait(lambda: stepwise.current)
    slicer.mrmlScene.Clear()
    assert stepwise.current.cancelled
    assert not panel.run.isRunning
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode") is None
    assert ctkMessageBox.shown == [], panel.ui.logText.plainText


def test_while_a_scan_is_segmented_nothing_else_is_begun(panel, menu, study, stepwise, wait):
    menu(study)[ENTRY].trigger()
    wait(lambda: stepwise.current)
    first = stepwise.current
    menu(slicer.util.getNode("CT 2"))[ENTRY].trigger()
    assert "being segmented" in ctkMessageBox.shown[0]
    assert stepwise.current is first
    assert not first.cancelled


def test_the_frame_that_is_shown_stands_for_its_sequence(panel, menu, chest, stepwise, wait):
    sequence, browser = add_sequence([chest.image, chest.image])
    volume = browser.GetProxyNode(sequence)
    finish(panel, menu, volume, stepwise, wait)
    assert panel.ui.statusLabel.text.startswith("Segmented 2 of 2 scans in")
    figures = shown_table()
    assert [row["Frame"] for row in table_rows(figures)] == ["1", "2"]
    chart = slicer.app.applicationLogic().GetSelectionNode().GetActivePlotChartID()
    assert chart == figures.GetNodeReferenceID("S3Net.chart")
    lungs = figures.GetNodeReference("S3Net.segmentation")
    assert np.any(lungs_array(lungs, volume))


def test_the_entry_works_after_a_reload(panel, menu, chest, stepwise, monkeypatch):
    volume = add_volume(chest.image)
    panel.onReload()
    again = slicer.modules.S3NetSegmentationWidget
    monkeypatch.setattr(again.logic, "startJob", stepwise)
    menu(volume)[ENTRY].trigger()
    assert again.run.isRunning

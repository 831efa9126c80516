"""Apply, progress, cancel, failure and success, as a radiologist sees them."""

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
import slicer
from engine_here import segmented
from host.widgets import ctkMessageBox
from PySide6 import QtCore, QtGui, QtWidgets
from quick import QUICK
from S3NetSegmentationLib.errors import S3NetError
from S3NetSegmentationLib.progress import Progress
from S3NetSegmentationLib.ui.apply import PROGRESS, STATUS
from slicer_scene import add_volume, lungs_array, nodes, state


def workers_in(folder):
    """The processes whose jobs lie in a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(part.startswith(str(folder)) for part in process.info["cmdline"] or ())
    ]


def test_apply_waits_for_a_volume(panel, chest):
    assert not panel.ui.applyButton.enabled
    volume = add_volume(chest.image)
    panel.ui.inputSelector.setCurrentNode(volume)
    assert panel.ui.applyButton.enabled


def test_the_first_ct_is_preselected(panel, chest):
    values = sitk.GetArrayFromImage(chest.image)
    other = sitk.GetImageFromArray(np.abs(values))
    add_volume(other, "MR")
    ct = add_volume(chest.image, "CT")
    add_volume(chest.image, "second CT")
    panel.enter()
    assert panel.ui.inputSelector.currentNode() is ct


def test_a_volume_that_another_module_hides_is_not_preselected(panel, chest):
    add_volume(chest.image).SetHideFromEditors(True)
    ct = add_volume(chest.image)
    panel.enter()
    assert panel.ui.inputSelector.currentNode() is ct


def test_a_ct_that_is_loaded_later_is_preselected_too(panel, chest, wait):
    ct = add_volume(chest.image)
    assert panel.ui.inputSelector.currentNode() is None
    wait(lambda: panel.ui.inputSelector.currentNode() is ct, seconds=5)
    second = add_volume(chest.image)
    wait(lambda: panel.ui.inputSelector.currentNode() is second, seconds=5)
    panel.ui.inputSelector.setCurrentNode(ct)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    settle(wait)
    assert panel.ui.inputSelector.currentNode() is ct, "no CT was loaded"


def settle(wait):
    """Let pending timers run."""
    later = []
    QtCore.QTimer.singleShot(50, lambda: later.append(True))
    wait(lambda: later)


def test_after_a_run_a_ct_that_is_loaded_does_not_take_the_place_of_the_scan(done, wait):
    add_volume(done.chest.image)
    settle(wait)
    assert done.ui.inputSelector.currentNode() is done.volume


def test_a_double_click_starts_a_run_and_does_not_cancel_it(panel, chest, stepwise, wait):
    QtWidgets.QApplication.setDoubleClickInterval(200)
    add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    panel.ui.applyButton.click()
    assert panel.run.isRunning
    QtCore.QThread.msleep(250)
    panel.ui.applyButton.click()
    assert not panel.run.isRunning


def test_a_run_in_a_process_of_its_own(panel, chest, wait, temporary, monkeypatch):
    monkeypatch.setattr("S3NetSegmentation.settingsOf", lambda parameters, device: QUICK)
    volume = add_volume(chest.image)
    panel.enter()
    ui = panel.ui
    tip = ui.applyButton.toolTip
    ui.applyButton.click()
    assert ui.applyButton.text == "Cancel"
    assert ui.applyButton.toolTip != tip
    assert ui.statusStack.currentIndex == PROGRESS
    assert ui.progressBar.maximum == 0, "busy until it can be told how far it is"
    wait(lambda: list(temporary.iterdir()))
    shown = set()
    wait(lambda: shown.add(ui.progressBar.format) or not panel.run.isRunning)
    assert any(text.startswith("Fitting") for text in shown)
    assert ctkMessageBox.shown == []
    segmentation = ui.outputSelector.currentNode()
    expected = sitk.GetArrayFromImage(segmented(chest.image).lungs)
    assert (lungs_array(segmentation, volume) == expected).all()
    assert ui.applyButton.text == "Apply"
    assert ui.applyButton.toolTip == tip
    assert ui.statusStack.currentIndex == STATUS
    assert ui.statusLabel.text.startswith("Nothing doubtful")
    assert "Done in" in ui.logText.plainText
    assert list(temporary.iterdir()) == []


def test_cancel_ends_the_process_at_once_and_leaves_the_scene(panel, chest, wait, temporary):
    add_volume(chest.image)
    panel.enter()
    before = state()
    panel.ui.applyButton.click()
    wait(lambda: "Starting" not in panel.ui.progressBar.format)
    (process,) = workers_in(temporary)
    panel.ui.applyButton.click()
    assert not panel.run.isRunning
    assert not process.is_running()
    assert state() == before
    assert list(temporary.iterdir()) == []
    assert panel.ui.applyButton.text == "Apply"
    assert "Cancelled" in panel.ui.statusLabel.text
    assert ctkMessageBox.shown == []


def test_a_crash_of_the_process_is_told_in_a_sentence(panel, chest, wait, temporary):
    add_volume(chest.image)
    panel.enter()
    before = nodes()
    panel.ui.applyButton.click()
    wait(lambda: workers_in(temporary))
    (process,) = workers_in(temporary)
    process.kill()
    wait(lambda: not panel.run.isRunning)
    assert len(ctkMessageBox.shown) == 1
    assert "ended unexpectedly" in ctkMessageBox.shown[0]
    assert nodes() == before
    assert list(temporary.iterdir()) == []
    assert panel.ui.applyButton.text == "Apply"


def test_progress_tells_stage_slice_and_remaining_time(panel, chest, stepwise, wait):
    add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    stepwise.current.reports = [Progress("Clustering", 40, 133, 0.75)]
    stepwise.current.lines = ["a line of the engine"]
    wait(lambda: panel.ui.progressBar.value == 75)
    assert panel.ui.progressBar.format.startswith("Clustering slices 40/133, about 0 s left")
    assert "a line of the engine" in panel.ui.logText.plainText


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (S3NetError("The fit failed; try another seed."), "The fit failed; try another seed."),
        (RuntimeError("secret"), "Something unexpected went wrong"),
    ],
)
def test_a_failure_is_one_sentence_and_changes_nothing(
    panel, chest, stepwise, wait, failure, message
):
    add_volume(chest.image)
    panel.enter()
    before = state()
    panel.ui.applyButton.click()
    stepwise.current.failure, stepwise.current.running = failure, False
    wait(lambda: not panel.run.isRunning)
    assert len(ctkMessageBox.shown) == 1
    assert ctkMessageBox.shown[0].startswith(message)
    assert "Traceback" not in ctkMessageBox.shown[0]
    assert str(failure) in panel.ui.logText.plainText
    assert state() == before
    assert panel.ui.applyButton.text == "Apply"


def test_input_that_is_not_ct_is_refused_in_a_sentence(panel, wait, temporary):
    picture = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (40, 40, 40)))
    volume = add_volume(sitk.Cast(picture, sitk.sitkInt16))
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.applyButton.click()
    wait(lambda: not panel.run.isRunning)
    (shown,) = ctkMessageBox.shown
    assert "8-bit picture" in shown
    assert "Traceback" not in shown
    assert list(temporary.iterdir()) == []


def test_closing_the_scene_ends_the_run(panel, chest, stepwise):
    add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    job = stepwise.current
    slicer.mrmlScene.Clear()
    assert job.cancelled
    assert not panel.run.isRunning
    assert ctkMessageBox.shown == []
    assert panel.ui.inputSelector.currentNode() is None
    volume = add_volume(chest.image)
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.applyButton.click()
    assert stepwise.current is not job
    assert panel.run.isRunning


def test_a_volume_removed_meanwhile_ends_the_run_at_once(panel, chest, stepwise):
    volume = add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(volume)
    assert stepwise.current.cancelled
    assert not panel.run.isRunning
    assert not panel.ui.applyButton.enabled
    assert "removed" in panel.ui.logText.plainText
    assert ctkMessageBox.shown == []


def test_running_again_updates_the_same_nodes(done, wait):
    before = nodes()
    done.ui.applyButton.click()
    wait(lambda: not done.panel.run.isRunning)
    assert nodes() == before


def test_a_scan_without_lungs_says_so(panel, wait, monkeypatch):
    from engine_here import JobHere
    from phantom import abdomen

    monkeypatch.setattr(panel.logic, "startJob", JobHere)
    monkeypatch.setattr("S3NetSegmentation.settingsOf", lambda parameters, device: QUICK)
    add_volume(abdomen())
    panel.enter()
    panel.ui.applyButton.click()
    wait(lambda: not panel.run.isRunning)
    assert panel.ui.statusLabel.text == "No lungs."
    assert "No lungs were found" in panel.ui.hintsLabel.text


def shortcuts(application):
    """Those of the main window that work now, by their keys."""
    every = application.window.findChildren(QtGui.QShortcut)
    return {each.key.toString(): each for each in every if each.enabled}


def test_ctrl_return_applies_only_while_the_module_is_open(panel, chest, stepwise, application):
    add_volume(chest.image)
    panel.enter()
    shortcuts(application)["Ctrl+Return"].activated.emit()
    assert panel.run.isRunning
    panel.exit()
    assert not shortcuts(application)
    assert panel.run.isRunning, "leaving the module does not end a run"


def test_the_log_can_be_copied_and_names_nobody(panel, chest, stepwise, application):
    add_volume(chest.image, "DOE^JANE")
    panel.enter()
    panel.ui.applyButton.click()
    panel.ui.applyButton.click()
    panel.ui.inputSelector.setCurrentNode(
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "DOE^JANE again")
    )
    panel.ui.applyButton.click()
    panel.ui.copyLogButton.click()
    assert "holds no voxels" in application.copied
    assert "JANE" not in ctkMessageBox.shown[0], "Slicer writes it to its own log"
    assert "84 x 56 x 50 voxels" in application.copied
    assert "Cancelled" in application.copied
    assert "JANE" not in application.copied


def test_reload_ends_the_run_and_gives_a_working_panel(
    panel, chest, stepwise, monkeypatch, application
):
    add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    job, library = stepwise.current, type(panel.log)
    panel.onReload()
    assert job.cancelled
    again = slicer.modules.S3NetSegmentationWidget
    assert again is not panel
    assert type(again.log) is not library, "the library was read again, too"
    monkeypatch.setattr(again.logic, "startJob", stepwise)
    assert list(shortcuts(application)) == ["Ctrl+Return"]
    again.ui.applyButton.click()
    assert stepwise.current is not job
    assert again.run.isRunning

"""Parameters in the scene, presets, devices, and getting PyTorch."""

import importlib.util
import sys
from types import ModuleType

import pytest
import qt
import slicer
from host.widgets import ctkMessageBox
from PySide6 import QtWidgets
from S3NetSegmentationLib.settings import Settings
from slicer_scene import add_scene, add_transform, add_volume, load_scene, rigid, save_scene


def test_the_panel_opens_with_the_default_settings(panel, chest, stepwise):
    add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    assert stepwise.current.settings == Settings()


def test_every_setting_of_the_panel_reaches_the_engine(panel, chest, stepwise):
    ui = panel.ui
    add_volume(chest.image)
    panel.enter()
    ui.modeComboBox.currentIndex = 1
    ui.workingSizeSpinBox.value = 96
    ui.seedSpinBox.value = 7
    ui.airwaysCheckBox.checked = False
    ui.vesselsCheckBox.checked = False
    ui.applyButton.click()
    assert stepwise.current.settings == Settings(
        mode="slice",
        working_size=96,
        seed=7,
        remove_airways=False,
        fill_vessels=False,
    )


def test_reset_to_defaults(panel, chest, stepwise):
    volume = add_volume(chest.image)
    panel.enter()
    panel.ui.modeComboBox.currentIndex = 1
    panel.ui.workingSizeSpinBox.value = 256
    panel.ui.airwaysCheckBox.checked = False
    panel.ui.seedSpinBox.value = 9
    panel.ui.slabCheckBox.checked = True
    panel.ui.resetButton.click()
    assert not panel.ui.slabCheckBox.checked
    panel.ui.applyButton.click()
    assert stepwise.current.settings == Settings()
    assert panel.ui.inputSelector.currentNode() is volume


def test_box_and_slab_limit_the_work(panel, chest, stepwise):
    add_volume(chest.image)
    panel.enter()
    panel.ui.slabCheckBox.checked = True
    panel.ui.slabBottomSpinBox.value = -31
    panel.ui.slabTopSpinBox.value = 60
    panel.ui.applyButton.click()
    assert stepwise.current.image.GetSize() == (84, 56, 15)
    panel.ui.applyButton.click()
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    box.SetCenter(0, 0, 0)
    box.SetSize(301, 241, 1000)
    panel.ui.roiSelector.setCurrentNode(box)
    panel.ui.applyButton.click()
    assert stepwise.current.image.GetSize() == (60, 48, 15)


def test_a_new_box_begins_around_the_whole_scan(panel, chest, stepwise):
    volume = add_volume(chest.image)
    volume.SetAndObserveTransformNodeID(add_transform(rigid(15, 20, (30, 0, -60))).GetID())
    panel.enter()
    box = panel.ui.roiSelector.addNode()
    assert min(box.GetSize()) > 200
    panel.ui.applyButton.click()
    assert stepwise.current.image.GetSize() == chest.image.GetSize()


def test_a_slab_begins_as_the_whole_height(panel, chest):
    add_volume(chest.image)
    panel.enter()
    assert not panel.ui.slabTopSpinBox.enabled
    panel.ui.slabCheckBox.click()
    assert panel.ui.slabTopSpinBox.enabled
    assert panel.ui.slabBottomSpinBox.value == pytest.approx(-150)
    assert panel.ui.slabTopSpinBox.value == pytest.approx(150)


def test_settings_are_kept_in_the_scene(panel, application, chest):
    add_volume(chest.image)
    panel.enter()
    panel.ui.seedSpinBox.value = 42
    panel.ui.modeComboBox.currentIndex = 1
    panel.ui.airwaysCheckBox.checked = False
    panel.onReload()
    again = slicer.modules.S3NetSegmentationWidget
    assert again.ui.seedSpinBox.value == 42
    assert again.ui.modeComboBox.currentIndex == 1
    assert not again.ui.airwaysCheckBox.checked
    assert again.ui.inputSelector.currentNode() is panel.ui.inputSelector.currentNode()


def test_a_loaded_scene_shows_what_was_set_and_found(done, tmp_path):
    done.ui.seedSpinBox.value = 42
    path = save_scene(tmp_path)
    slicer.mrmlScene.Clear()
    assert done.ui.seedSpinBox.value == 0
    load_scene(path)
    assert done.ui.seedSpinBox.value == 42
    assert done.ui.inputSelector.currentNode().GetName() == "chest"
    assert done.ui.outputSelector.currentNode().GetName() == "chest lungs"
    assert done.ui.tissueTable.rowCount == len(done.result.tissue_table)
    assert done.ui.applyButton.enabled


def test_a_scene_added_to_this_one_leaves_a_consistent_panel(done, tmp_path):
    path = save_scene(tmp_path)
    add_scene(path)
    parameters = done.panel.logic.getParameterNode()
    assert done.ui.inputSelector.currentNode() is parameters.inputVolume is not None
    assert done.ui.outputSelector.currentNode() is parameters.outputSegmentation is not None
    assert parameters.inputVolume is not done.volume, "the added scene has brought its parameters"


def test_the_devices_that_exist_are_offered_and_the_choice_is_the_machines(panel, wait):
    wait(lambda: "PyTorch" in panel.ui.setupLabel.text and "CPU" in panel.ui.setupLabel.text)
    box = panel.ui.deviceComboBox
    assert [box.itemData(index) for index in range(box.count)] == ["auto", "cpu"]
    assert panel.torch.device == "auto"
    box.setCurrentIndex(1)
    box.activated.emit(1)
    panel.onReload()
    again = slicer.modules.S3NetSegmentationWidget
    wait(lambda: again.ui.deviceComboBox.count == 2)
    assert again.torch.device == "cpu"
    assert not again.logic.getParameterNode().parameterNode.GetParameter("device")
    qt.QSettings().remove("S3NetSegmentation/Device")


@pytest.fixture
def without_torch(panel, chest, stepwise, monkeypatch):
    """A Slicer without torch, with a volume to segment; gives what a test can make appear."""
    found = {"torch": False}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found["torch"])
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    add_volume(chest.image)
    panel.enter()
    panel.torch.detect()
    return found


def pytorch_extension(monkeypatch, install):
    """The PyTorch extension, whose installation does what a test wants."""

    class PyTorchUtilsLogic:
        def installTorch(self, **requirements):
            install(requirements)

    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)


def test_missing_torch_is_shown_and_without_the_extension_it_is_said_how_to_get_it(
    panel, without_torch
):
    assert "missing" in panel.ui.setupLabel.text
    panel.ui.applyButton.click()
    assert not panel.run.isRunning
    assert "Extensions Manager" in ctkMessageBox.shown[0]


def test_torch_is_installed_when_the_user_agrees_and_the_run_goes_on(
    panel, without_torch, monkeypatch
):
    asked = []
    pytorch_extension(
        monkeypatch, lambda wanted: (asked.append(wanted), without_torch.update(torch=True))
    )
    panel.ui.applyButton.click()
    assert "GB" in ctkMessageBox.shown[0]
    assert asked == [
        {
            "askConfirmation": False,
            "torchVersionRequirement": ">=2.2",
            "torchvisionVersionRequirement": ">=0.17",
        }
    ]
    assert panel.run.isRunning


def test_torch_is_not_installed_when_the_user_does_not_agree(panel, without_torch, monkeypatch):
    asked = []
    pytorch_extension(monkeypatch, asked.append)
    monkeypatch.setattr(ctkMessageBox, "answer", QtWidgets.QMessageBox.Cancel)
    panel.ui.applyButton.click()
    assert asked == []
    assert not panel.run.isRunning


def test_an_installation_that_fails_is_told_in_a_sentence(
    panel, without_torch, monkeypatch, application
):
    def fail(wanted):
        raise RuntimeError("no network")

    pytorch_extension(monkeypatch, fail)
    panel.ui.applyButton.click()
    assert "could not be installed" in ctkMessageBox.shown[-1]
    assert "no network" in panel.ui.logText.plainText
    assert not panel.run.isRunning
    assert application.cursors == 0

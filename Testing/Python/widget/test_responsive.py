"""The window stays alive: how long its thread computes at a time, by the ticks of a timer."""

import time

import SimpleITK as sitk
import slicer
from engine_here import JobHere, segmented
from phantom import thorax
from PySide6 import QtCore
from PySide6.QtCore import Qt
from quick import QUICK
from slicer_scene import add_volume

LONGEST = 0.1
"""Seconds of computing in one go that nobody notices; not of waiting, as others use the machine."""

LONGEST_BY_HAND = 0.3
"""The same after a click: usually 0.1, with the other core busy 0.17. In the window's thread as a
whole, a choice took 2 to 3 seconds for three times as many voxels."""


class Ticks:
    """Looks at the clock of this thread as often as the window may."""

    def __init__(self):
        self._times = [time.thread_time()]
        self._timer = QtCore.QTimer()
        self._timer.timeout.connect(lambda: self._times.append(time.thread_time()))
        self._timer.start(5)

    def longest(self) -> float:
        """Seconds of computing between two ticks, at most."""
        self._timer.stop()
        self._times.append(time.thread_time())
        return max(b - a for a, b in zip(self._times, self._times[1:], strict=False))


def test_a_run_leaves_the_window_alive_from_its_start_to_its_end(
    panel, wait, temporary, monkeypatch
):
    monkeypatch.setattr("S3NetSegmentation.settingsOf", lambda parameters, device: QUICK)
    add_volume(thorax(spacing=(2, 2, 4), size=(200, 130, 76)).image)
    panel.enter()
    ticks = Ticks()
    panel.ui.applyButton.click()
    wait(lambda: not panel.run.isRunning)
    longest = ticks.longest()
    assert panel.ui.statusLabel.text.startswith("Nothing doubtful")
    assert longest < LONGEST


def test_changes_by_hand_leave_the_window_alive(panel, wait, application, monkeypatch):
    monkeypatch.setattr(panel.logic, "startJob", JobHere)
    monkeypatch.setattr("S3NetSegmentation.settingsOf", lambda parameters, device: QUICK)
    slicer.mrmlScene.SetUndoOff()
    image = enlarged(thorax(spacing=(3, 3, 3), size=(128, 88, 110)).image, 3)
    segmented(image)  # torch takes its time to load
    add_volume(image)
    panel.enter()
    panel.ui.applyButton.click()
    wait(lambda: not panel.run.isRunning)
    segmentation = panel.logic.getParameterNode().outputSegmentation
    panel.ui.pickButton.click()

    def check(change):
        before = lungs_state(segmentation)
        ticks = Ticks()
        change()
        wait(lambda: not panel.changes.isBusy)
        assert ticks.longest() < LONGEST_BY_HAND
        assert lungs_state(segmentation) != before

    item = panel.ui.tissueTable.item(panel.ui.tissueTable.rowCount - 1, 0)
    check(lambda: item.setCheckState(Qt.Checked))
    check(panel.ui.undoButton.click)
    check(lambda: application.layoutManager().red.click((0, 20, 0)))
    check(lambda: setattr(panel.ui.tissueSpinBox, "value", 16))
    check(panel.ui.undoButton.click)


def lungs_state(segmentation):
    """What is known of the lungs and their tissues."""
    names = ("S3Net.written", "S3Net.picks", "S3Net.settings")
    return [segmentation.GetAttribute(name) for name in names]


def enlarged(image, factor):
    """An image of smaller voxels, so many times as many along each row and column."""
    voxels = sitk.GetArrayFromImage(image).repeat(factor, 1).repeat(factor, 2)
    made = sitk.GetImageFromArray(voxels)
    x, y, z = image.GetSpacing()
    made.SetSpacing((x / factor, y / factor, z))
    made.SetOrigin(image.GetOrigin())
    return made

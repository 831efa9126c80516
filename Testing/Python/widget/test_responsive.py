"""The window stays alive: how long its thread computes at a time, by the ticks of a timer."""

import time

from phantom import thorax
from PySide6 import QtCore
from quick import QUICK
from slicer_scene import add_volume

LONGEST = 0.1
"""Seconds of computing in one go that nobody notices; not of waiting, as others use the machine."""


class Ticks:
    """Looks at the clock of this thread as often as the window may."""

    def __init__(self):
        self._times = [time.thread_time()]
        self._timer = QtCore.QTimer()
        self._timer.timeout.connect(lambda: self._times.append(time.thread_time()))
        self._timer.start(1)

    def longest(self) -> float:
        """Seconds of computing between two ticks, at most."""
        self._timer.stop()
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
    assert panel.ui.statusLabel.text.startswith("Estimated quality")
    assert longest < LONGEST

"""The application with the module's panel open."""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer
from engine_here import JobHere, segmented
from host import widgets
from host.application import start
from phantom import thorax
from PySide6 import QtCore, QtWidgets
from quick import QUICK
from slicer_scene import add_volume

LIBRARY = "S3NetSegmentationLib"

# Before the tests are read, which import qt.
_FOLDER = tempfile.TemporaryDirectory()
_APPLICATION = start(str(Path(_FOLDER.name) / "Slicer.ini"))


@pytest.fixture(scope="session")
def application():
    return _APPLICATION


@pytest.fixture(scope="session")
def chest():
    """A phantom whose clusters are found quickly."""
    return thorax(spacing=(5, 5, 6), size=(84, 56, 50))


@pytest.fixture
def panel(application, monkeypatch):
    """The Python object of the panel, open on a fresh scene."""
    monkeypatch.setattr(widgets.ctkMessageBox, "shown", [])
    monkeypatch.setattr(widgets.ctkMessageBox, "answer", QtWidgets.QMessageBox.Ok)
    monkeypatch.setattr(widgets.QMessageBox, "asked", [])
    QtWidgets.QApplication.setDoubleClickInterval(0)  # no test waits between two clicks
    library = {name: sys.modules[name] for name in sys.modules if name.startswith(LIBRARY)}
    representation = application.open_module()
    yield representation.self()
    # After a reload it is another one.
    representation.self().cleanup()
    representation.deleteLater()
    sys.modules.update(library)


@pytest.fixture
def temporary(application, monkeypatch, tmp_path):
    """The application's folder for temporary files, with a name that makes paths hard."""
    folder = tmp_path / "Röntgen 胸部 files"
    folder.mkdir()
    monkeypatch.setattr(application, "temporaryPath", str(folder))
    return folder


class StepwiseJob:
    """The engine's result, but only after the test has let it end.

    Attributes
    ----------
    current : StepwiseJob
        The latest that was begun.
    """

    current = None

    def __init__(self, image, settings, temporary=None):
        StepwiseJob.current = self
        self.settings = settings
        self.image = image
        self.running = True
        self.cancelled = False
        self.failure = None
        self.reports = []
        self.lines = []

    def poll(self, on_progress=None, on_log=None):
        for report in self.reports:
            on_progress(report)
        for line in self.lines:
            on_log(line)
        self.reports, self.lines = [], []
        return self.running

    def result(self):
        if self.failure:
            raise self.failure
        return segmented(self.image)

    def cancel(self):
        self.running = False
        self.cancelled = True


@pytest.fixture
def stepwise(panel, chest, monkeypatch):
    """Runs end when the test says so; gives the class, whose `current` is the latest run."""
    segmented(chest.image)  # torch looks for modules as it begins, which is replaced below
    monkeypatch.setattr(StepwiseJob, "current", None)
    monkeypatch.setattr(panel.logic, "startJob", StepwiseJob)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    return StepwiseJob


@pytest.fixture
def done(panel, chest, monkeypatch, wait):
    """A scan that has been segmented by a click on Apply."""
    monkeypatch.setattr(panel.logic, "startJob", JobHere)
    monkeypatch.setattr("S3NetSegmentation.settingsOf", lambda parameters, device: QUICK)
    volume = add_volume(chest.image)
    panel.enter()
    panel.ui.applyButton.click()
    wait(lambda: not panel.run.isRunning)
    return SimpleNamespace(
        panel=panel,
        ui=panel.ui,
        volume=volume,
        segmentation=slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode"),
        result=segmented(chest.image),
        chest=chest,
        settle=lambda: wait(lambda: not panel.changes.isBusy),
    )


@pytest.fixture
def wait(application):
    """Let the application run until something holds."""

    def until(holds, seconds=120):
        timer = QtCore.QElapsedTimer()
        timer.start()
        while not holds():
            assert timer.elapsed() < 1000 * seconds, "it took too long"
            application.processEvents()
            QtCore.QThread.msleep(10)

    return until

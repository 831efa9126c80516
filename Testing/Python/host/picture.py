"""Pictures of the panel at some widths, to look at.

    .venv/bin/python Testing/Python/host/picture.py FOLDER

draws it as it opens, and with everything unfolded and filled.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    tests = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(tests), str(tests.parents[1] / "S3NetSegmentation")]

import slicer
from phantom import thorax
from PySide6 import QtCore
from slicer_scene import add_volume

from host.application import start

WIDTHS = (400, 600)


def main(folder: Path) -> None:
    """Draw the panel into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    application = start(str(Path(tempfile.mkdtemp()) / "settings.ini"))
    panel = application.open_module()
    for width in WIDTHS:
        _draw(panel, width, folder / f"opened-{width}.png")
    add_volume(thorax().image, "Chest CT")
    widget = panel.self()
    widget.enter()
    widget.ui.applyButton.click()
    while widget.run.isRunning:
        application.processEvents()
        QtCore.QThread.msleep(20)
        if widget.ui.progressBar.value in range(30, 60):
            _draw(panel, WIDTHS[0], folder / "running-400.png")
    for section in (widget.ui.advancedButton, widget.ui.logButton):
        section.collapsed = False
    for width in WIDTHS:
        _draw(panel, width, folder / f"filled-{width}.png")
    print(widget.ui.logText.plainText)
    widget.cleanup()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def _draw(panel, width: int, path: Path) -> None:
    panel.show()  # offscreen; only then does the layout take in what has been unfolded
    for _ in range(2):  # labels that wrap know their height only at their width
        QtCore.QCoreApplication.processEvents()
        panel.resize(width, panel.minimumSizeHint.height())
    panel.grab().save(str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

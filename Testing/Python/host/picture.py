"""Pictures of the panel at some widths, to look at.

    .venv/bin/python Testing/Python/host/picture.py FOLDER

draws it empty, running, done, corrected by hand, and with everything unfolded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    tests = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(tests), str(tests.parents[1] / "S3NetSegmentation")]

import slicer
from phantom import thorax
from PySide6 import QtCore
from slicer_scene import add_volume, segment_array

from host.application import start

WIDTHS = (400, 600)


def main(folder: Path) -> None:
    """Draw the panel into a folder: empty, running, done, corrected, and unfolded."""
    folder.mkdir(parents=True, exist_ok=True)
    application = start(str(Path(tempfile.mkdtemp()) / "settings.ini"))
    panel = application.open_module()
    slicer.mrmlScene.SetUndoOff()  # as Slicer does
    _draw(panel, folder, "empty")
    volumeNode = add_volume(thorax().image, "Chest CT")
    widget = panel.self()
    widget.enter()
    widget.ui.applyButton.click()
    _draw(panel, folder, "starting")
    while widget.run.isRunning:
        application.processEvents()
        QtCore.QThread.msleep(20)
        if widget.ui.progressBar.value in range(30, 60):
            _draw(panel, folder, "running")
    _draw(panel, folder, "done")
    segmentationNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    _correct(segmentationNode, volumeNode)
    widget.enter()
    _draw(panel, folder, "corrected")
    for section in (widget.ui.advancedButton, widget.ui.regionBox):
        section.collapsed = False
    _draw(panel, folder, "unfolded")
    widget.cleanup()


def _correct(segmentationNode, volumeNode) -> None:
    """Erase a part of the left lung, and let there be a hint."""
    array = segment_array(segmentationNode, "left_lung", volumeNode)
    array[:30] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        array, segmentationNode, "left_lung", volumeNode
    )
    hint = "Look at the lungs in slices 13 to 14 of 76: they may include soft tissue or miss lung."
    segmentationNode.SetAttribute("S3Net.hints", json.dumps([hint]))


def _draw(panel, folder: Path, name: str) -> None:
    panel.show()  # offscreen; only then does the layout take in what has been unfolded
    for width in WIDTHS:
        for _ in range(2):  # labels that wrap know their height only at their width
            QtCore.QCoreApplication.processEvents()
            panel.resize(width, panel.layout().totalHeightForWidth(width))
        panel.grab().save(str(folder / f"{name}-{width}.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

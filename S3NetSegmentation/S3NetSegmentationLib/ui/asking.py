"""Questions to the user before something is overwritten."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled
from ..mrml.edits import editedLungs
from ..mrml.nodes import isFromAnotherScan, volumeOf


def ask(question: str, *answers: str) -> int:
    """Number of the answer that the user chooses, from 0; the last one also stands for Escape."""
    if slicer.app.testingEnabled():
        return len(answers) - 1
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.icon = qt.QMessageBox.Question
    box.windowTitle = _("S3-Net Lung Segmentation")
    box.text = question
    buttons = [box.addButton(answer, qt.QMessageBox.AcceptRole) for answer in answers[:-1]]
    buttons.append(box.addButton(answers[-1], qt.QMessageBox.RejectRole))
    box.setDefaultButton(buttons[0])
    box.exec_()
    clicked = box.clickedButton()
    box.deleteLater()
    return buttons.index(clicked)


def askBeforeRun(
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
    volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
) -> tuple[slicer.vtkMRMLSegmentationNode | None, bool]:
    """What a run on a volume is to write into, and whether it may overwrite what is in there.

    Raises
    ------
    Cancelled
        If the user does not want the run.
    """
    if segmentationNode and isFromAnotherScan(segmentationNode, volumeNode):
        return _askAboutAnotherScan(segmentationNode, volumeNode)
    if editedLungs(segmentationNode):
        return segmentationNode, _askAboutEdits(segmentationNode)
    return segmentationNode, False


def _askAboutAnotherScan(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
) -> tuple[slicer.vtkMRMLSegmentationNode | None, bool]:
    other = volumeOf(segmentationNode)
    question = _(
        "'{segmentation}' was made from another scan ({other}). Create a new segmentation for "
        "'{volume}', or replace the lungs in '{segmentation}'?"
    ).format(
        segmentation=segmentationNode.GetName(),
        other=other.GetName() if other else _("deleted"),
        volume=volumeNode.GetName(),
    )
    match ask(question, _("Create new"), _("Replace"), _("Cancel")):
        case 0:
            return None, False
        case 1:
            return segmentationNode, True
    raise Cancelled("Cancelled; the scene is as it was.")


def _askAboutEdits(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether what was edited by hand may be lost."""
    question = _(
        "The lungs in '{segmentation}' were edited by hand. Keep them as a copy, or replace them?"
    ).format(segmentation=segmentationNode.GetName())
    match ask(question, _("Keep as a copy"), _("Replace"), _("Cancel")):
        case 0:
            return False
        case 1:
            return True
    raise Cancelled("Cancelled; the scene is as it was.")

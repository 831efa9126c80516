"""The effect: a click shows the region that belongs together, and a second one takes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import qt
import slicer
import vtk
from S3NetSegmentationLib.errors import S3NetError
from S3NetSegmentationLib.mrml.clicking import (
    LEVELS,
    Clicks,
    Preview,
    indexIn,
    modifierOf,
    voxelsAndSpacing,
)
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

POLL_MS = 30
"""Milliseconds between two looks at the process."""

STEP = "Step"
"""The parameter in the scene: by how many levels a turn of the wheel changes the size."""

WHEEL = {
    vtk.vtkCommand.MouseWheelForwardEvent: 1,
    vtk.vtkCommand.MouseWheelBackwardEvent: -1,
}


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Mouse, keys, and widgets; what is done with them is in `S3NetSegmentationLib`."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "S3-Net"
        scriptedEffect.title = _("S3-Net")
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.clicks = Clicks()
        self._preview = Preview()
        self._image = None
        self._isRemoving = False
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

    def clone(self):
        """Another instance, for another editor."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        effect = effects.qSlicerSegmentEditorScriptedEffect(None)
        effect.setPythonSource(__file__.replace("\\", "/"))
        return effect

    def icon(self) -> qt.QIcon:
        """That of the effect's button."""
        return qt.QIcon(os.path.join(os.path.dirname(__file__), "SegmentEditorEffect.png"))

    def helpText(self) -> str:
        """What is shown above the options."""
        return _(
            "<html>Add the region that belongs together under the cursor to the selected segment, "
            "or take it away.<ul>"
            "<li><b>Click</b> in a slice view to see the outline of a region to add; "
            "<b>Ctrl+click</b> for one to take away.</li>"
            "<li><b>Mouse wheel</b> or the slider <b>Size</b>: larger or smaller.</li>"
            "<li><b>Click into the outline</b>, press <b>Enter</b>, or click <b>Take</b> to change "
            "the segment.</li>"
            "<li><b>Escape</b> or a click elsewhere: not this one.</li></ul></html>"
        )

    def setupOptionsFrame(self) -> None:
        """Make the widgets."""
        self.sizeSlider = qt.QSlider(qt.Qt.Horizontal)
        self.sizeSlider.setRange(1, LEVELS)
        self.sizeSlider.setToolTip(_("Size of the region that is outlined"))
        self.sizeSlider.connect("valueChanged(int)", self._choose)
        self.scriptedEffect.addLabeledOptionsWidget(_("Size:"), self.sizeSlider)

        self.stepBox = qt.QSpinBox()
        self.stepBox.setRange(1, 10)
        self.stepBox.setToolTip(_("By how much a turn of the mouse wheel changes the size"))
        self.stepBox.connect("valueChanged(int)", self.updateMRMLFromGUI)
        self.scriptedEffect.addLabeledOptionsWidget(_("Wheel step:"), self.stepBox)

        self.takeButton = qt.QPushButton(_("Take"))
        self.takeButton.setToolTip(_("Change the segment by the region that is outlined (Enter)"))
        self.takeButton.connect("clicked(bool)", self.take)
        self.scriptedEffect.addOptionsWidget(self.takeButton)

        self.statusLabel = qt.QLabel()
        self.statusLabel.setWordWrap(True)
        self.scriptedEffect.addOptionsWidget(self.statusLabel)
        self._say(_("Click in a slice view."))

    def createCursor(self, widget) -> qt.QCursor:
        """The cursor over the views."""
        return qt.QCursor(qt.Qt.CrossCursor)

    def setMRMLDefaults(self) -> None:
        """The parameters in the scene."""
        self.scriptedEffect.setParameterDefault(STEP, 2)

    def updateGUIFromMRML(self) -> None:
        """Show the parameters of the scene."""
        wasBlocked = self.stepBox.blockSignals(True)
        self.stepBox.value = self.scriptedEffect.integerParameter(STEP)
        self.stepBox.blockSignals(wasBlocked)

    def updateMRMLFromGUI(self, value: int | None = None) -> None:
        """Keep the parameters in the scene."""
        self.scriptedEffect.setParameter(STEP, self.stepBox.value)

    def activate(self) -> None:
        """The effect is chosen: its process begins to load."""
        with self._reporting():
            self.clicks.warmUp()

    def deactivate(self) -> None:
        """Another effect is chosen, or the editor is left: the process ends."""
        self.cancel()
        self.clicks.close()

    def sourceVolumeNodeChanged(self) -> None:
        """A region of another volume is of no use."""
        self.cancel()

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget) -> bool:
        """Whether an event of a view was the effect's."""
        if viewWidget.className() != "qMRMLSliceWidget":
            return False
        if eventId == vtk.vtkCommand.LeftButtonPressEvent:
            self._click(callerInteractor, viewWidget)
            return True
        if eventId in WHEEL and self.clicks.regions is not None:
            step = self.scriptedEffect.integerParameter(STEP)
            self._choose(self.clicks.level + step * WHEEL[eventId])
            return True
        if eventId == vtk.vtkCommand.KeyPressEvent:
            return self._press(callerInteractor.GetKeySym())
        return False

    def _press(self, key: str) -> bool:
        if key == "Escape" and (self.clicks.isWaiting or self.clicks.regions is not None):
            self.cancel()
            return True
        if key in ("Return", "KP_Enter") and self.clicks.regions is not None:
            self.take()
            return True
        return False

    def _click(self, interactor: vtk.vtkRenderWindowInteractor, viewWidget) -> None:
        """Ask for the region at the cursor, or take the one that is outlined there."""
        with self._reporting():
            image = self.scriptedEffect.sourceVolumeImageData()
            voxels, spacing = voxelsAndSpacing(image)
            segmentationNode = self.scriptedEffect.parameterSetNode().GetSegmentationNode()
            ijk = self.xyToIjk(
                interactor.GetEventPosition(),
                viewWidget,
                image,
                segmentationNode.GetParentTransformNode(),
            )
            index = indexIn(image, ijk)
            isRemoving = bool(interactor.GetControlKey())
            if self.clicks.holds(index) and isRemoving == self._isRemoving:
                self.take()
                return
            self.cancel()
            self.clicks.ask(voxels, spacing, index)
            self._image, self._isRemoving = image, isRemoving
            self._say(_("Looking for the region ..."))
            self._timer.start()

    def _poll(self) -> None:
        with self._reporting():
            if self.clicks.poll():
                self._timer.stop()
                self._choose(self.clicks.level)

    def _choose(self, level: int) -> None:
        """Outline the region of this size."""
        if self.clicks.regions is None:
            return
        self.clicks.choose(level)
        wasBlocked = self.sizeSlider.blockSignals(True)
        self.sizeSlider.value = self.clicks.level
        self.sizeSlider.blockSignals(wasBlocked)
        node = self.scriptedEffect.parameterSetNode().GetSegmentationNode()
        self._preview.show(self._modifier(), node)
        self._say(
            _("Click into the outline to take it away.")
            if self._isRemoving
            else _("Click into the outline to add it.")
        )

    def _modifier(self) -> slicer.vtkOrientedImageData:
        return modifierOf(self.clicks.regions, self.clicks.level, self._image)

    def take(self, checked: bool = False) -> None:
        """Change the selected segment by the region; masks and other settings are the editor's."""
        if self.clicks.regions is None or not self.scriptedEffect.confirmCurrentSegmentVisible():
            return
        effect = slicer.qSlicerSegmentEditorAbstractEffect
        mode = effect.ModificationModeRemove if self._isRemoving else effect.ModificationModeAdd
        modifier = self._modifier()
        self.cancel()
        self.scriptedEffect.saveStateForUndo()
        self.scriptedEffect.modifySelectedSegmentByLabelmap(modifier, mode)

    def cancel(self) -> None:
        """Forget the click; the segment stays as it is."""
        self._timer.stop()
        self.clicks.forget()
        self._preview.hide()
        self._image = None
        self._say(_("Click in a slice view."))

    def _say(self, text: str) -> None:
        self.statusLabel.text = text
        hasRegion = self.clicks.regions is not None
        self.takeButton.enabled = hasRegion
        self.sizeSlider.enabled = hasRegion

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Say what went wrong below the options, and forget the click."""
        try:
            yield
        except S3NetError as error:
            self.cancel()
            self._say(str(error))

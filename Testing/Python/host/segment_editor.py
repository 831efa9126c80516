"""Segment Editor around a scripted effect: Slicer's own logic, without its widget."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import slicer
import vtk

EFFECT = (
    Path(__file__).resolve().parents[3]
    / "SegmentEditorS3Net"
    / "SegmentEditorS3NetLib"
    / "SegmentEditorEffect.py"
)

SEGMENT = "part"


class AbstractScriptedSegmentEditorEffect:
    """Base of a scripted effect."""

    def __init__(self, scriptedEffect):
        self.scriptedEffect = scriptedEffect

    def xyToIjk(self, xy, viewWidget, image, parentTransformNode=None):
        """The voxel of an image under a pixel of a view."""
        ijk = [0, 0, 0]
        node = viewWidget.mrmlSliceNode()
        slicer.vtkSlicerSegmentEditorLogic.XyToIjk(xy, ijk, node, image, parentTransformNode)
        return ijk


class ScriptedEffect:
    """The C++ side of an effect, by the logic of the editor."""

    def __init__(self, editor: SegmentEditor):
        self._editor = editor
        self.widgets = []

    def parameterSetNode(self):
        """The parameters of the editor in the scene."""
        return self._editor.node

    def setParameterDefault(self, name, value):
        """Set what is not yet there."""
        if not self._editor.node.GetAttribute(f"{self.name}.{name}"):
            self.setParameter(name, value)

    def setParameter(self, name, value):
        """Keep a parameter in the scene."""
        self._editor.node.SetAttribute(f"{self.name}.{name}", str(value))

    def integerParameter(self, name):
        """A parameter of the scene."""
        return int(self._editor.node.GetAttribute(f"{self.name}.{name}"))

    def addOptionsWidget(self, widget):
        """Take in a widget."""
        self.widgets.append(widget)

    def addLabeledOptionsWidget(self, label, widget):
        """Take in a widget with a label."""
        self.widgets.append(widget)

    def sourceVolumeImageData(self):
        """The source volume on the grid of the segmentation."""
        if not self._editor.logic.GetSourceVolumeNode():
            return None
        self._editor.logic.UpdateAlignedSourceVolume()
        return self._editor.logic.GetAlignedSourceVolume()

    def confirmCurrentSegmentVisible(self):
        """The segment is visible."""
        return True

    def saveStateForUndo(self):
        """Let the next change be undone."""
        self._editor.logic.SaveStateForUndo()

    def modifySelectedSegmentByLabelmap(self, modifier, mode):
        """Change the segment, with the masks of the editor."""
        logic = self._editor.logic
        logic.UpdateMaskLabelmap()
        logic.ModifySegmentByLabelmap(
            self._editor.segmentation, SEGMENT, modifier, mode, True, False
        )


class SegmentEditor:
    """The editor with the effect chosen, on a volume and a segment.

    Parameters
    ----------
    volume : vtkMRMLScalarVolumeNode
    view : SliceView
    """

    def __init__(self, volume, view):
        self.volume, self.view = volume, view
        scene = slicer.mrmlScene
        self.segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        self.segmentation.GetSegmentation().AddEmptySegment(SEGMENT, SEGMENT)
        self.node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(self.segmentation)
        self.logic.SetSourceVolumeNode(volume)
        self.logic.SetCurrentSegmentID(SEGMENT)
        self.effect = load_effect().SegmentEditorEffect(ScriptedEffect(self))
        self.effect.setupOptionsFrame()
        self.effect.setMRMLDefaults()
        self.effect.updateGUIFromMRML()

    def click(self, ras, control: bool = False) -> bool:
        """Press the left button at a position in the world."""
        node = self.view.mrmlSliceNode()
        node.SetSliceOffset(ras[2])
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
        x, y = (round(value) for value in inverse.MultiplyPoint((*ras, 1))[:2])
        return self._send(vtk.vtkCommand.LeftButtonPressEvent, x, y, control)

    def turn_wheel(self, steps: int) -> bool:
        """Turn the mouse wheel over the view."""
        event = "MouseWheelForwardEvent" if steps > 0 else "MouseWheelBackwardEvent"
        return [self._send(getattr(vtk.vtkCommand, event)) for _ in range(abs(steps))][-1]

    def press(self, key: str) -> bool:
        """Press a key over the view."""
        return self._send(vtk.vtkCommand.KeyPressEvent, key=key)

    def _send(self, event, x=0, y=0, control=False, key=None) -> bool:
        interactor = self.view.interactor()
        interactor.SetEventInformation(x, y, int(control), 0, "\0", 0, key)
        return self.effect.processInteractionEvents(interactor, event, self.view)


def load_effect() -> ModuleType:
    """The effect's file, as Slicer loads it."""
    specification = importlib.util.spec_from_file_location("SegmentEditorEffect", EFFECT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def install() -> None:
    """Make what effects import and name."""
    effects = ModuleType("SegmentEditorEffects")
    effects.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect
    sys.modules["SegmentEditorEffects"] = effects
    logic = slicer.vtkSlicerSegmentEditorLogic
    slicer.qSlicerSegmentEditorAbstractEffect = SimpleNamespace(
        ModificationModeAdd=logic.ModificationModeAdd,
        ModificationModeRemove=logic.ModificationModeRemove,
    )

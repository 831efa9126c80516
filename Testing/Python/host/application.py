"""The application around the panel: window, module selector, slice views, settings."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import slicer
import slicer_scene
import vtk
from PySide6 import QtCore, QtWidgets
from vtk.util import numpy_support

from . import menu, pythonqt, scripted, segment_editor, widgets

MODULE = Path(__file__).resolve().parents[3] / "S3NetSegmentation" / "S3NetSegmentation.py"


class Signals:
    """An object of the application that can be connected to by a signal's signature."""

    def __init__(self):
        self._callbacks: dict[str, list] = {}

    def connect(self, signature, callback):
        """Remember a function."""
        self._callbacks.setdefault(signature, []).append(callback)

    def disconnect(self, signature, callback):
        """Forget a function once, if it is there."""
        if callback in self._callbacks.get(signature, ()):
            self._callbacks[signature].remove(callback)

    def emit(self, signature, *arguments):
        """Call all functions of a signal."""
        for callback in list(self._callbacks.get(signature, ())):
            callback(*arguments)


class ModuleManager(Signals):
    """Tells of modules that are about to be unloaded, and finds those that are loaded."""

    def module(self, name):
        """A module by its name."""
        return getattr(slicer.modules, name.lower(), None)


class SliceView:
    """An axial slice view of 200 x 200 pixels, 2 mm each, with its own interactor."""

    def __init__(self, scene):
        self._node = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
        self._node.SetLayoutName("Red")
        self._node.SetOrientationToAxial()
        self._node.SetDimensions(200, 200, 1)
        self._node.SetFieldOfView(400, 400, 1)
        self._composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        self._composite.SetLayoutName("Red")
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._renderer = vtk.vtkRenderer()

    def className(self):
        """That of Slicer's widget."""
        return "qMRMLSliceWidget"

    def mrmlSliceNode(self):
        """The real node of the view."""
        return self._node

    def mrmlSliceCompositeNode(self):
        """The real node of its layers."""
        return self._composite

    def sliceView(self):
        """The view itself."""
        return self

    def interactor(self):
        """A real interactor, to which the tests send events."""
        return self._interactor

    def renderWindow(self):
        """The window on the screen, of which the renderers are used."""
        renderers = vtk.vtkRendererCollection()
        renderers.AddItem(self._renderer)
        return SimpleNamespace(GetRenderers=lambda: renderers)

    def scheduleRender(self):
        """Nobody looks."""

    @property
    def lines(self):
        """What is drawn over the view: the points of the lines in pixels, (n, 2)."""
        actors = self._renderer.GetViewProps()
        drawn = [actors.GetItemAsObject(index) for index in range(actors.GetNumberOfItems())]
        points = [
            numpy_support.vtk_to_numpy(each.GetMapper().GetInput().GetPoints().GetData())
            for each in drawn
        ]
        return np.concatenate(points)[:, :2] if points else np.empty((0, 2))

    def click(self, ras, dragged: int = 0, ctrl: bool = False) -> None:
        """Press the left button at a position in the world and release it, maybe elsewhere."""
        x, y = self.pixel(ras)
        self._interactor.SetEventInformation(x, y, ctrl, 0, "\0", 0, None)
        self._interactor.InvokeEvent("LeftButtonPressEvent")
        self._interactor.SetEventInformation(x + dragged, y, ctrl, 0, "\0", 0, None)
        self._interactor.InvokeEvent("LeftButtonReleaseEvent")

    def hover(self, ras, ctrl: bool = False) -> None:
        """Move the cursor to a position in the world."""
        x, y = self.pixel(ras)
        self._interactor.SetEventInformation(x, y, ctrl, 0, "\0", 0, None)
        self._interactor.InvokeEvent("MouseMoveEvent")

    def leave(self) -> None:
        """Move the cursor out of the view."""
        self._interactor.InvokeEvent("LeaveEvent")

    def pixel(self, ras) -> tuple[int, int]:
        """Show the slice of a position in the world; where it is in the view."""
        self._node.SetSliceOffset(ras[2])
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._node.GetXYToRAS(), inverse)
        x, y = (round(value) for value in inverse.MultiplyPoint((*ras, 1))[:2])
        return x, y


class ThreeDView:
    """A 3D view that keeps what it was framed to, of what Slicer would show in it.

    Attributes
    ----------
    framed : list of ndarray, (6,)
        Bounds of all that was visible, in RAS, each time that the camera was reset.
    """

    def __init__(self, scene):
        self.framed = []
        self._node = scene.AddNewNodeByClass("vtkMRMLViewNode")

    def threeDView(self):
        """The view itself."""
        return self

    def mrmlViewNode(self):
        """The real node of the view."""
        return self._node

    def resetFocalPoint(self):
        """Look at the middle of what there is."""

    def resetCamera(self, resetRotation=True, resetTranslation=True, resetDistance=True):
        """Step back until all of it is seen, and the box around all nodes, where that is shown."""
        every = [
            node.GetClosedSurfaceInternalRepresentation(segment).GetBounds()
            for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
            for segment in node.GetSegmentation().GetSegmentIDs()
        ]
        if self._node.GetBoxVisible() or self._node.GetAxisLabelsVisible():
            for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode"):
                bounds = [0.0] * 6
                node.GetRASBounds(bounds)
                every.append(bounds)
        box = vtk.vtkBoundingBox()
        for bounds in every:
            box.AddBounds(bounds)
        found = [0.0] * 6
        box.GetBounds(found)
        self.framed.append(np.array(found))


class LayoutManager(Signals):
    """Knows the slice views, and a 3D view."""

    threeDViewCount = 1

    def __init__(self, scene):
        super().__init__()
        self.red = SliceView(scene)
        self._node = scene.AddNewNodeByClass("vtkMRMLLayoutNode")
        self.setLayout(self._node.SlicerLayoutFourUpView)
        self.view3D = ThreeDView(scene)

    def threeDWidget(self, index):
        """The widget of the 3D view."""
        return self.view3D

    @property
    def layout(self):
        """The number of the arrangement of the views."""
        return self._node.GetViewArrangement()

    def setLayout(self, layout):
        """Arrange the views in another way."""
        self._node.SetViewArrangement(layout)

    def sliceViewNames(self):
        """One view is enough."""
        return ("Red",)

    def sliceWidget(self, name):
        """The widget of a view."""
        return self.red


class MainWindow(pythonqt.PythonQtWays, QtWidgets.QMainWindow):
    """The window, of which the module selector is used."""

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._opened = []

    @property
    def openedModules(self):
        """Names of the modules that were switched to."""
        return self._opened

    def moduleSelector(self):
        """Switches modules."""
        return SimpleNamespace(selectModule=self._opened.append)


class ModulePanel(widgets.qMRMLWidget):
    """The place of a scripted module's panel."""

    def __init__(self):
        super().__init__()
        self.setLayout(QtWidgets.QVBoxLayout())
        self._python = None
        self._entered = False

    @property
    def isEntered(self):
        """Whether the module is the open one."""
        return self._entered

    def enter(self):
        """The user opens the module."""
        self._entered = True
        self._python.enter()

    def leave(self):
        """The user opens another module."""
        self._entered = False

    def reload(self):
        """Make the panel anew from the module that was read again."""
        self._python = sys.modules["S3NetSegmentation"].S3NetSegmentationWidget(self)
        slicer.modules.S3NetSegmentationWidget = self._python
        self._python.setup()

    def self(self):
        """The Python object behind the panel."""
        return self._python


class Application(slicer_scene.Application, Signals):
    """`slicer.app` with what the panel asks of it."""

    applicationName = "Slicer"

    def __init__(self):
        slicer_scene.Application.__init__(self)
        Signals.__init__(self)
        self.window = MainWindow()
        self.cursors = 0
        self.copied = ""
        self._moduleManager = ModuleManager()
        self._layoutManager = None

    def open_module(self) -> ModulePanel:
        """Load the module and open its panel on a fresh scene, as Slicer does."""
        self.install()
        self._layoutManager = LayoutManager(self.fresh_scene())
        panel = ModulePanel()
        edited = SimpleNamespace(segmentationNode=None, sourceVolumeNode=None, effect=None)
        editor = SimpleNamespace(
            setSegmentationNode=lambda node: setattr(edited, "segmentationNode", node),
            setSourceVolumeNode=lambda node: setattr(edited, "sourceVolumeNode", node),
            setActiveEffectByName=lambda name: setattr(edited, "effect", name),
        )
        slicer.modules.SegmentEditorWidget = SimpleNamespace(editor=editor, edited=edited)
        slicer.modules.s3netsegmentation = SimpleNamespace(
            path=str(MODULE), widgetRepresentation=lambda: panel
        )
        specification = importlib.util.spec_from_file_location("S3NetSegmentation", MODULE)
        module = importlib.util.module_from_spec(specification)
        sys.modules["S3NetSegmentation"] = module
        specification.loader.exec_module(module)
        panel.reload()
        panel.enter()
        return panel

    def moduleManager(self):
        """Knows the modules."""
        return self._moduleManager

    def layoutManager(self):
        """The slice views."""
        return self._layoutManager

    def clipboard(self):
        """Takes text."""
        return SimpleNamespace(setText=lambda text: setattr(self, "copied", text))

    def testingEnabled(self):
        """Dialogs are shown (to `ctkMessageBox`), not skipped."""
        return False

    def topLevelWidgets(self):
        """The main window alone."""
        return [self.window]

    def setOverrideCursor(self, cursor):
        """Count the cursors on the stack."""
        self.cursors += 1

    def restoreOverrideCursor(self):
        """Take one from the stack."""
        self.cursors -= 1

    def translate(self, context, text):
        """No translation."""
        return text

    def processEvents(self):
        """Let timers and signals run."""
        QtCore.QCoreApplication.processEvents()


def start(settings_file: str) -> Application:
    """Qt without a screen, the stand-ins in place, and an application."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    pythonqt.install(settings_file)
    for name in [
        "qMRMLSliderWidget",
        "qMRMLSpinBox",
        "qMRMLRangeWidget",
        "qMRMLCheckableNodeComboBox",
    ]:
        # Only named by Slicer's parameterNodeWrapper.
        setattr(slicer, name, type(name, (pythonqt.PythonQtWays, QtWidgets.QWidget), {}))
    slicer.qMRMLNodeComboBox = widgets.qMRMLNodeComboBox
    slicer.qMRMLWidget = widgets.qMRMLWidget
    slicer.qSlicerScriptedLoadableModuleWidget = ModulePanel
    for kind in (
        menu.qSlicerSubjectHierarchyScriptedPlugin,
        menu.qSlicerSubjectHierarchyPluginHandler,
    ):
        setattr(slicer, kind.__name__, kind)
    scripted.install()
    segment_editor.install()
    return Application()

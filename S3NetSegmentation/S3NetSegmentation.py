"""The module that 3D Slicer loads: its description, its panel and its logic."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import qt
import slicer
import vtk
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.jobs.idle import end_idle
from S3NetSegmentationLib.mrml.display import centerOnLungs, showScan, showTable
from S3NetSegmentationLib.mrml.many_scans import ManyScansLogic, volumesUnder
from S3NetSegmentationLib.mrml.measuring import updateFigures
from S3NetSegmentationLib.mrml.nodes import (
    isFromAnotherScan,
    removeNodesOf,
    resultsTableOf,
    segmentationOf,
)
from S3NetSegmentationLib.mrml.queue import Queue
from S3NetSegmentationLib.mrml.sequences import CHART, sequenceOf
from S3NetSegmentationLib.mrml.volume import encloseVolume, firstCt, isCt
from S3NetSegmentationLib.ui.apply import ApplyPanel
from S3NetSegmentationLib.ui.asking import askBeforeRun
from S3NetSegmentationLib.ui.changes import Changes
from S3NetSegmentationLib.ui.clusters import TissuePanel
from S3NetSegmentationLib.ui.log import Log
from S3NetSegmentationLib.ui.parameters import (
    S3NetSegmentationParameterNode,
    resetParameters,
    settingsOf,
    slabOf,
    suggestSlab,
)
from S3NetSegmentationLib.ui.results import ResultsPanel
from S3NetSegmentationLib.ui.torch_setup import TorchSetup
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

LIBRARY = "S3NetSegmentationLib"
SAMPLE_CATEGORY = "S3-Net"
REFRESH_MS = 300
"""How long the lungs must have stayed as they are before they are measured anew."""


class S3NetSegmentation(ScriptedLoadableModule):
    """Description of the module."""

    def __init__(self, parent: qt.QObject):
        super().__init__(parent)
        parent.title = _("S3-Net Lung Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["S3NetExtension contributors"]
        parent.helpText = _(
            "Finds the right and the left lung in a chest CT, without training data or downloaded "
            "weights: a small network fits itself to the scan. Select a CT, click Apply, look, and "
            "pick what is missing or should not be included. "
            "See the <a href='https://github.com/S3NetExtension/SlicerS3NetExtension/blob/main/"
            "docs/slicer.md'>documentation</a>."
        )
        parent.acknowledgementText = _(
            "The method is S3-Net: S. Karimijafarbigloo et al., Self-supervised Semantic "
            "Segmentation: Consistency over Transformation, ICCV Workshops 2023. "
            "Not for diagnostic use. Check every result."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", registerStatistics)
        slicer.app.connect("startupCompleted()", registerMenu)


def registerSampleData() -> None:
    """Offer two chest CTs in the module Sample Data: Slicer's own, and a coarse one with COPD."""
    import SampleData

    icons = os.path.join("Resources", "Icons")
    slicer_icons, own_icons = (
        os.path.join(os.path.dirname(path), icons) for path in (SampleData.__file__, __file__)
    )
    slicer_data = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
    chest = "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e"
    lung_data = "https://github.com/acil-bwh/ChestImagingPlatform/raw/"
    samples = [
        ("CTChest", slicer_icons, "CT-chest.nrrd", slicer_data + chest, chest),
        (
            "CTChestCOPD",
            own_icons,
            "CT-chest-COPD.nrrd",
            lung_data + "c73ca30a5f6d4e22ee2b812c7d38622190b03a0a/Testing/Data/Input/ct-64.nrrd",
            "d264f0133c25c81a2d18383bb93be55eddda26278fc06d000f717d0dda8ece03",
        ),
    ]
    for name, folder, fileName, url, checksum in samples:
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=SAMPLE_CATEGORY,
            sampleName=name,
            thumbnailFileName=os.path.join(folder, f"{name}.png"),
            uris=url,
            fileNames=fileName,
            nodeNames=name,
            checksums=f"SHA256:{checksum}",
        )


def registerStatistics() -> None:
    """Let Slicer's Segment Statistics measure lungs in any segmentation of a CT."""
    try:
        from SegmentStatistics import SegmentStatisticsLogic
    except ImportError:  # the module is switched off
        return
    from S3NetSegmentationLib.mrml.statistics_plugin import LungDensitometrySegmentStatisticsPlugin

    SegmentStatisticsLogic.registerPlugin(LungDensitometrySegmentStatisticsPlugin())


def registerMenu() -> None:
    """Add an entry to the menus of the Data module."""
    plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    plugin.setPythonSource(__file__)
    slicer.qSlicerSubjectHierarchyPluginHandler.instance().registerPlugin(plugin)


class S3NetSegmentationSubjectHierarchyPlugin:
    """The entry in the Data module's menu of a CT, or of a study or folder that holds one.

    Slicer finds the class and its methods by their names.
    """

    def __init__(self, scriptedPlugin: slicer.qSlicerSubjectHierarchyScriptedPlugin):
        scriptedPlugin.name = "S3NetSegmentation"
        self._plugin = scriptedPlugin  # which would be deleted with its last reference in Python
        self._action = qt.QAction(_("Segment lungs (S3-Net)"), scriptedPlugin)
        self._action.connect("triggered()", self._onTriggered)

    def itemContextMenuActions(self) -> list[qt.QAction]:
        """What may be in the menu."""
        return [self._action]

    def showContextMenuActionsForItem(self, item: int) -> None:
        """Show what can be done with the item that was clicked; Slicer has hidden everything."""
        self._action.visible = any(map(isCt, volumesUnder(item)))

    def _onTriggered(self) -> None:
        item = slicer.qSlicerSubjectHierarchyPluginHandler.instance().currentItem()
        slicer.util.getModuleWidget("S3NetSegmentation").segmentItem(item)


class S3NetSegmentationLogic(ScriptedLoadableModuleLogic, ManyScansLogic):
    """What the module can do, for scripts, too; see `SegmentationLogic` and `ManyScansLogic`."""

    def getParameterNode(self) -> S3NetSegmentationParameterNode:
        """The panel's parameters in this scene."""
        return S3NetSegmentationParameterNode(super().getParameterNode())


class S3NetSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: puts its parts together and keeps them in step with the scene."""

    def __init__(self, parent: qt.QWidget | None = None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._connected: tuple[S3NetSegmentationParameterNode, int] | None = None
        self._scan: slicer.vtkMRMLScalarVolumeNode | None = None
        self._shown: slicer.vtkMRMLSegmentationNode | None = None
        self._loaded: slicer.vtkMRMLScalarVolumeNode | None = None
        # One for all: Slicer's own QTimer.singleShot keeps a timer for each call until it ends.
        self._preselectTimer = _timer(0, self._preselect)
        self._refreshTimer = _timer(REFRESH_MS, self._refresh)

    @property
    def _parameters(self) -> S3NetSegmentationParameterNode:
        """Those of this scene; there are none while it is closed or loaded."""
        assert self._connected is not None
        return self._connected[0]

    def setup(self) -> None:
        """Build the panel; called when the module is first opened, and by a reload."""
        super().setup()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/S3NetSegmentation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = S3NetSegmentationLogic()
        self.log = Log(self.ui)
        self.torch = TorchSetup(self.ui, self.log)
        self.run = ApplyPanel(self.ui, self.logic, self.log, self._onFinished)
        self.changes = Changes(self.log, self._onChanging)
        self.tissues = TissuePanel(self.ui, self.logic, self.changes)
        self.results = ResultsPanel(self.ui, self.logic, self.log)

        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.undoButton.connect("clicked(bool)", self.onUndo)
        self.ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onNewRoi)
        self.ui.slabCheckBox.connect("clicked(bool)", self.onSlab)
        self.ui.resetButton.connect("clicked(bool)", self.onReset)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneChanged)
        self.addObserver(scene, scene.StartImportEvent, self._onSceneStartImport)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneChanged)
        self.addObserver(scene, scene.StartSaveEvent, self._onSceneStartSave)
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.addObserver(scene, scene.EndUndoEvent, self._onSceneChanged)
        self.addObserver(scene, scene.EndRedoEvent, self._onSceneChanged)
        self._addShortcut()
        self._useParameters()
        self.torch.detect()

    def cleanup(self) -> None:
        """Let go of everything; called before a reload and at the end of the application."""
        self.run.cancel()
        self.changes.cancel()
        self.torch.stop()
        end_idle()
        self._preselectTimer.stop()
        self._refreshTimer.stop()
        self.logic.forget()
        self.tissues.release()
        self.results.release()
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._releaseParameters()
        self.removeObservers()

    def enter(self) -> None:
        """The user opens the module."""
        self._enableShortcuts(True)
        self._useParameters()
        self._refresh()  # the lungs may have been edited elsewhere

    def exit(self) -> None:
        """The user goes to another module; a run goes on, clicks in the views are left alone."""
        self._enableShortcuts(False)
        self.ui.pickButton.checked = False

    def onReload(self) -> None:
        """Reload the library, too, not only this file."""
        for name in [name for name in sys.modules if name.split(".")[0] == LIBRARY]:
            del sys.modules[name]
        super().onReload()

    def onApply(self, checked: bool = False) -> None:
        """Start a run, or cancel the one under way."""
        if self.run.hasJustBegun:
            return
        if self.run.isRunning:
            self.run.cancel()
            return
        with self.log.reporting():
            self._apply(self._parameters.roi, slabOf(self._parameters))

    def segmentItem(self, item: int) -> None:
        """Segment the volume that an item of the Data module is, or all that it holds."""
        slicer.util.selectModule("S3NetSegmentation")
        with self.log.reporting():
            if self.run.isRunning:
                raise InputError("A scan is being segmented; wait for its end, or cancel it.")
            volumes = volumesUnder(item)
            if len(volumes) == 1 and not sequenceOf(volumes[0]):
                self._parameters.inputVolume = volumes[0]
                self._apply()
            elif self.torch.ensure():
                queue = self.logic.queue(volumes, settingsOf(self._parameters, self.torch.device))
                self.run.startQueue(queue, lambda: self._onQueueFinished(queue))

    def _apply(
        self,
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        sliceRange: tuple[float, float] | None = None,
    ) -> None:
        parameters = self._parameters
        if self.torch.ensure():
            segmentationNode, overwrite = askBeforeRun(
                parameters.outputSegmentation, parameters.inputVolume
            )
            self.run.start(
                parameters.inputVolume,
                settingsOf(parameters, self.torch.device),
                segmentationNode,
                roiNode,
                sliceRange,
                overwrite,
            )

    def onUndo(self, checked: bool = False) -> None:
        """Take back the last run or choice."""
        node = self._shown
        self.changes.ask(node, lambda: self.logic.undoing(node))

    def onNewRoi(self, roiNode: slicer.vtkMRMLMarkupsROINode) -> None:
        """The user has asked for a box; Slicer makes an empty one, which no view shows."""
        if self._parameters.inputVolume:
            encloseVolume(roiNode, self._parameters.inputVolume)

    def onSlab(self, isOn: bool) -> None:
        """The user has switched the slab on or off."""
        if isOn:
            suggestSlab(self._parameters)

    def onReset(self, checked: bool = False) -> None:
        """Back to the defaults."""
        resetParameters(self._parameters)

    def _addShortcut(self) -> None:
        # On the main window, so that they work wherever the focus is while this module is open.
        self._shortcuts = []
        for keys, button in (("Ctrl+Return", self.ui.applyButton), ("Ctrl+Z", self.ui.undoButton)):
            shortcut = qt.QShortcut(slicer.util.mainWindow() or self.parent)
            shortcut.setKey(qt.QKeySequence(keys))
            shortcut.connect("activated()", button.click)
            self._shortcuts.append(shortcut)
        self._enableShortcuts(self.parent.isEntered)  # after a reload it is

    def _enableShortcuts(self, areOn: bool) -> None:
        apply, undo = self._shortcuts
        apply.enabled = areOn
        undo.enabled = areOn and self.logic.canUndo(self._shown)  # or else Slicer's own undo is

    def _useParameters(self) -> None:
        """Connect the panel to the parameters of this scene, and preselect the first CT."""
        if self._connected is None:
            parameters = self.logic.getParameterNode()
            self._connected = parameters, parameters.connectGui(self.ui)
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._preselect()
        self._onParametersModified()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller: vtk.vtkObject, event: str, node: slicer.vtkMRMLNode) -> None:
        # A volume gets its voxels after it was added; the end of an import has its own event.
        if node.IsA("vtkMRMLScalarVolumeNode") and not slicer.mrmlScene.IsBatchProcessing():
            self._loaded = node
            self._preselectTimer.start()

    def _preselect(self) -> None:
        """Choose the CT that was just loaded, as long as nothing was done with another one."""
        loaded, self._loaded = self._loaded, None
        if self._connected is None:
            return
        chosen = self._parameters.inputVolume
        if chosen is None:
            self._parameters.inputVolume = firstCt()
        elif (
            slicer.mrmlScene.IsNodePresent(loaded)
            and isCt(loaded)
            and not self.run.isRunning
            and not segmentationOf(chosen)
        ):
            self._parameters.inputVolume = loaded

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAboutToBeRemoved(
        self, caller: vtk.vtkObject, event: str, node: slicer.vtkMRMLNode
    ) -> None:
        isClosing = slicer.mrmlScene.IsBatchProcessing()
        if node.IsA("vtkMRMLSegmentationNode") and not isClosing:
            removeNodesOf(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller: vtk.vtkObject, event: str, node: slicer.vtkMRMLNode) -> None:
        self.run.stopWithout(node)
        self.changes.stopWithout(node)
        if self._connected is not None and not slicer.mrmlScene.IsBatchProcessing():
            self._refreshTimer.start()

    def _releaseParameters(self) -> None:
        if self._connected is not None:
            parameters, guiTag = self._connected
            parameters.disconnectGui(guiTag)
            self.removeObserver(
                parameters, vtk.vtkCommand.ModifiedEvent, self._onParametersModified
            )
            self._connected = None

    def _onParametersModified(
        self, caller: vtk.vtkObject | None = None, event: str | None = None
    ) -> None:
        volumeNode = self._parameters.inputVolume
        if volumeNode is not self._scan:
            self._scan = volumeNode
            self._selectResultOf(volumeNode)
        self._show(self._parameters.outputSegmentation)

    def _selectResultOf(self, volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Choose the segmentation of the scan that has just been chosen, and show both."""
        if not volumeNode:
            return
        chosen = self._parameters.outputSegmentation
        if chosen is None or isFromAnotherScan(chosen, volumeNode):
            self._parameters.outputSegmentation = segmentationOf(volumeNode)
        if volumeNode.GetImageData():
            showScan(volumeNode)

    def _onFinished(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
    ) -> None:
        if self._parameters.inputVolume is volumeNode:  # and no other was chosen meanwhile
            self._parameters.outputSegmentation = segmentationNode
            showScan(volumeNode)
            centerOnLungs(segmentationNode)
            self._show(segmentationNode)

    def _onQueueFinished(self, queue: Queue) -> None:
        for tableNode in reversed(queue.result()):  # the first one stays in view
            showTable(tableNode, tableNode.GetNodeReference(CHART))
        self._selectResultOf(self._parameters.inputVolume)
        self._show(self._parameters.outputSegmentation)

    def _show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show a segmentation, and follow whatever changes it: a run, a choice, an edit."""
        if segmentationNode is not self._shown:
            self._observe(self._shown, self.removeObserver)
            self._observe(segmentationNode, self.addObserver)
            self._shown = segmentationNode
        self._refresh()

    def _observe(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None,
        change: Callable[[vtk.vtkObject, int, Callable], None],
    ) -> None:
        if segmentationNode is not None:
            changed = slicer.vtkSegmentation.SourceRepresentationModified
            change(segmentationNode, vtk.vtkCommand.ModifiedEvent, self._onSegmentationModified)
            change(segmentationNode, changed, self._onSegmentationModified)

    def _onSegmentationModified(
        self, caller: vtk.vtkObject | None = None, event: str | None = None
    ) -> None:
        # Many strokes of a brush are one change; elsewhere nobody looks at the panel.
        if self.parent.isEntered:
            self._refreshTimer.start()

    def _onChanging(self, isBusy: bool) -> None:
        self.run.showChanging(isBusy)
        if not isBusy and self._connected is not None:
            self._show(self._parameters.outputSegmentation)

    def _refresh(self) -> None:
        """Say what holds now of the scan and the segmentation that are selected."""
        if self._shown:
            updateFigures(self._shown)
        self.tissues.show(self._shown)
        self.results.show(self._shown)
        self.run.show(self._scan, self._shown)
        self.ui.undoButton.visible = not slicer.mrmlScene.GetUndoFlag()
        self.ui.undoButton.enabled = self.logic.canUndo(self._shown)
        self._enableShortcuts(self.parent.isEntered)

    def _onSceneStartSave(
        self, caller: vtk.vtkObject | None = None, event: str | None = None
    ) -> None:
        """Let the tables that are saved be those of the lungs that are saved."""
        for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            updateFigures(segmentationNode)

    def _onSceneStartClose(
        self, caller: vtk.vtkObject | None = None, event: str | None = None
    ) -> None:
        self.run.cancel()
        self.changes.cancel()
        self._releaseParameters()
        self.logic.forget()
        self._scan = None
        self._show(None)

    def _onSceneStartImport(
        self, caller: vtk.vtkObject | None = None, event: str | None = None
    ) -> None:
        """Parameters come before the nodes that they name, and selectors lose their choice."""
        self._releaseParameters()

    def _onSceneChanged(
        self, caller: vtk.vtkObject | None = None, event: str | None = None
    ) -> None:
        """Another scene, or the one before an undo."""
        self._useParameters()
        self._show(self._parameters.outputSegmentation)


def _timer(milliseconds: int, callback: Callable[[], None]) -> qt.QTimer:
    """A timer that calls once, so long after its last start."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", callback)
    return timer


class S3NetSegmentationTest(ScriptedLoadableModuleTest):
    """Runs the whole path on sample data, inside Slicer."""

    def setUp(self) -> None:
        """Give every test a scene of its own."""
        slicer.mrmlScene.Clear()

    def test_wholePath(self) -> None:
        """From the sample CT to both lungs, other tissues, and the surfaces."""
        import SampleData

        panel = slicer.util.getModuleWidget("S3NetSegmentation")
        self.assertTrue(panel.torch.ensure(), "PyTorch is needed")
        registerSampleData()
        volumeNode = SampleData.downloadSample("CTChestCOPD")
        logic = S3NetSegmentationLogic()
        self.assertEqual(firstCt(), volumeNode)
        segmentationNode = logic.segment(volumeNode)
        right, left = self._volumes(segmentationNode)
        self.assertTrue(1500 < left < right < 6000, (right, left))
        logic.chooseTissues(segmentationNode, [])
        self.assertLess(sum(self._volumes(segmentationNode)), right + left)
        segmentationNode.CreateClosedSurfaceRepresentation()
        self.delayDisplay("Both lungs were found")

    def test_refusal(self) -> None:
        """What is no CT is refused with a sentence, and the scene stays as it was."""
        from S3NetSegmentationLib.errors import S3NetError

        volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(S3NetError):
            S3NetSegmentationLogic().segment(volumeNode)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    def _volumes(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> list[float]:
        """Milliliters of the right and the left lung."""
        tableNode = resultsTableOf(segmentationNode)
        assert tableNode is not None
        return [float(tableNode.GetCellText(row, 1)) for row in range(2)]

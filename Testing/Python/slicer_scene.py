"""Slicer without its window: the real scene and module logics, stand-ins for the application.

Use it through a fixture that makes and installs an `Application` once, and calls `fresh_scene`
before and `close_scene` after each test. What the application itself would do with a scene
(subject hierarchy items come and go with their nodes) is done here in its place.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Application:
    """What `slicer.app` and `slicer.modules` are to the code under test.

    Attributes
    ----------
    temporaryPath : str
    """

    def __init__(self):
        self.temporaryPath = tempfile.gettempdir()
        self.events = 0
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._colors = slicer.vtkMRMLColorLogic()
        self._modules = {
            "SubjectHierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic(),
            "Terminologies": slicer.vtkSlicerTerminologiesModuleLogic(),
            "Segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
            "Volumes": slicer.vtkSlicerVolumesLogic(),
            "Tables": slicer.vtkSlicerTablesLogic(),
            "Plots": slicer.vtkSlicerPlotsLogic(),
            "Markups": slicer.vtkSlicerMarkupsLogic(),
            "Transforms": slicer.vtkSlicerTransformLogic(),
            "Sequences": slicer.vtkSlicerSequencesLogic(),
        }

    def install(self) -> None:
        """Become `slicer.app` and `slicer.modules`."""
        slicer.app = self
        slicer.modules = SimpleNamespace(
            **{
                name.lower(): SimpleNamespace(logic=lambda logic=logic: logic)
                for name, logic in self._modules.items()
            }
        )

    def fresh_scene(self):
        """A scene as Slicer starts with, with undo switched on, as `slicer.mrmlScene`."""
        # Terminologies are files of the application, and markups are registered once for all;
        # the logics would complain of both.
        vtk.vtkObject.GlobalWarningDisplayOff()
        scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = scene
        self._logic.SetMRMLScene(scene)
        self._colors.SetMRMLScene(scene)
        self._colors.AddDefaultColorNodes()
        self._logic.SetModuleLogic("Colors", self._colors)
        for name, logic in self._modules.items():
            logic.SetMRMLScene(scene)
            logic.SetMRMLApplicationLogic(self._logic)
            self._logic.SetModuleLogic(name, logic)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self._observations = _keep_hierarchy(scene, hierarchy)
        scene.SetUndoOn()
        vtk.vtkObject.GlobalWarningDisplayOn()
        return scene

    def close_scene(self) -> None:
        """Let go of the scene of the last test."""
        for observation in self._observations:
            slicer.mrmlScene.RemoveObserver(observation)
        slicer.mrmlScene.Clear(True)

    def applicationLogic(self):
        """The real one."""
        return self._logic

    def mrmlScene(self):
        """The scene of the test."""
        return slicer.mrmlScene

    def processEvents(self) -> None:
        """Nothing waits here; counted, so that a test sees that the window would stay alive."""
        self.events += 1


def _keep_hierarchy(scene, hierarchy) -> list[int]:
    """Make and remove the items of data nodes, as the application's plugins do."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(caller, event, node):
        kinds = (
            "Volume",
            "Segmentation",
            "Table",
            "PlotChart",
            "PlotSeries",
            "Transform",
            "Markups",
        )
        if any(node.IsA(f"vtkMRML{kind}Node") for kind in kinds) and not node.GetHideFromEditors():
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removed(caller, event, node):
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)

    return [
        scene.AddObserver(scene.NodeAddedEvent, added),
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed),
    ]


def add_volume(image: sitk.Image, name: str = "chest", folder: str | None = "study"):
    """A volume node with the voxels and the place of an image, in a folder of the hierarchy."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, sitk.GetArrayFromImage(image))
    node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras(image)))
    node.CreateDefaultDisplayNodes()
    if folder:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), folder)
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), item)
    return node


def add_sequence(images, name: str = "4D CT"):
    """A sequence of volumes and its browser, which shows the first one."""
    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName("phase")
    sequence.SetIndexUnit("%")
    for index, image in enumerate(images):
        frame = add_volume(image, name, folder=None)
        sequence.SetDataNodeAtValue(frame, str(10 * index))
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", name)
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    select_frame(browser, 0)
    return sequence, browser


def select_frame(browser, index: int):
    """Let a browser show a frame of its sequence, as the application does; its volume node."""
    browser.SetSelectedItemNumber(index)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def ijk_to_ras(image: sitk.Image) -> np.ndarray:
    """The 4x4 matrix from voxel indices to RAS."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return RAS_TO_LPS @ matrix


def vtk_matrix(matrix: np.ndarray):
    """A vtkMatrix4x4."""
    made = vtk.vtkMatrix4x4()
    made.DeepCopy(np.asarray(matrix, float).ravel())
    return made


def add_transform(matrix: np.ndarray, parent=None):
    """A linear transform node, perhaps under another."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(vtk_matrix(matrix))
    if parent:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def rigid(degrees_x: float, degrees_z: float, shift) -> np.ndarray:
    """A 4x4 matrix that turns around x, then around z, then shifts."""
    a, b = np.deg2rad([degrees_x, degrees_z])
    around_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    around_z = [[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(around_z) @ np.array(around_x)
    matrix[:3, 3] = shift
    return matrix


def moved(image: sitk.Image, matrix: np.ndarray) -> sitk.Image:
    """The same voxels at the place that a 4x4 matrix in RAS moves them to, without rounding."""
    turn = RAS_TO_LPS @ matrix @ RAS_TO_LPS
    made = sitk.Image(image)
    direction = turn[:3, :3] @ np.reshape(image.GetDirection(), (3, 3))
    made.SetDirection(direction.ravel().tolist())
    made.SetOrigin((turn @ [*image.GetOrigin(), 1])[:3].tolist())
    return made


def table_rows(table) -> list[dict[str, str]]:
    """The texts of a table node by the titles of their columns."""
    titles = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    return [
        {title: table.GetCellText(row, column) for column, title in enumerate(titles)}
        for row in range(table.GetNumberOfRows())
    ]


def segment_array(segmentation, segment_id: str, volume) -> np.ndarray:
    """A segment's voxels on the grid of a volume, as Slicer's users read them."""
    before = set(nodes().values())
    array = np.array(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume))
    # Slicer's function leaves a display node behind, which is not ours to count.
    for node in set(nodes().values()) - before:
        slicer.mrmlScene.RemoveNode(node)
    return array


def lungs_array(segmentation, volume) -> np.ndarray:
    """1 right lung, 2 left lung on the grid of a volume."""
    right, left = (
        segment_array(segmentation, f"{side}_lung", volume) for side in ("right", "left")
    )
    assert not (right & left).any()
    return right + 2 * left


STORAGE = {
    "vtkMRMLScalarVolumeNode": ("vtkMRMLVolumeArchetypeStorageNode", ".nrrd"),
    "vtkMRMLLabelMapVolumeNode": ("vtkMRMLVolumeArchetypeStorageNode", ".nrrd"),
    "vtkMRMLSegmentationNode": ("vtkMRMLSegmentationStorageNode", ".seg.nrrd"),
    "vtkMRMLTableNode": ("vtkMRMLTableStorageNode", ".tsv"),
    "vtkMRMLColorTableNode": ("vtkMRMLColorTableStorageNode", ".ctbl"),
}


def save_scene(folder: Path) -> Path:
    """Save the scene with the volume "chest" and its data, as the application does."""
    scene = slicer.mrmlScene
    for kind, (storage, ending) in STORAGE.items():
        for node in slicer.util.getNodesByClass(kind):
            if kind == "vtkMRMLColorTableNode" and not node.GetName().startswith("chest"):
                continue
            writer = scene.AddNewNodeByClass(storage)
            writer.SetFileName(str(folder / f"{node.GetID()}{ending}"))
            assert writer.WriteData(node)
            node.SetAndObserveStorageNodeID(writer.GetID())
    path = folder / "scene.mrml"
    _go_to(path)
    assert scene.Commit()
    return path


def load_scene(path: Path) -> None:
    """Close the scene and open a saved one in its place."""
    _go_to(path)
    assert slicer.mrmlScene.Connect()


def save_and_load(application, folder: Path):
    """Save the scene with its data, and load it into a fresh one; that, and its segmentation."""
    path = save_scene(folder)
    application.close_scene()
    again = application.fresh_scene()
    load_scene(path)
    segmentation = again.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    return again, segmentation


def add_scene(path: Path) -> None:
    """Add a saved scene to what is there."""
    _go_to(path)
    assert slicer.mrmlScene.Import()


def _go_to(path: Path) -> None:
    """Let the scene read and write there."""
    slicer.mrmlScene.SetURL(str(path))
    slicer.mrmlScene.SetRootDirectory(str(path.parent))


def nodes() -> dict:
    """The nodes of the scene by their IDs."""
    scene = slicer.mrmlScene
    every = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {node.GetID(): node for node in every}


def state() -> dict:
    """What the scene holds, and when each part of it last changed."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    found = {}
    for name, node in nodes().items():
        times = [node.GetMTime()] if node is not hierarchy else []
        for part in ("GetImageData", "GetSegmentation", "GetTable"):
            content = getattr(node, part, lambda: None)()
            times += [content.GetMTime()] if content else []
        item = hierarchy.GetItemByDataNode(node)
        found[name] = (times, hierarchy.GetItemParent(item) if item else None)
    return found

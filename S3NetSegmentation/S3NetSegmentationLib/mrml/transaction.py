"""A change of the scene that happens as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import slicer
import vtk


@contextmanager
def oneStep(*nodes: slicer.vtkMRMLNode, last: slicer.vtkMRMLNode | None = None) -> Iterator[None]:
    """Change nodes of the scene and add others, as one step of the scene's undo.

    After an error the nodes are as they were, and what was added is gone.

    Parameters
    ----------
    *nodes : vtkMRMLNode
        Those that will change.
    last : vtkMRMLNode, optional
        One that will change at the very end, as a whole or not at all. It needs no copy, and to
        copy a segmentation and let go of the copy takes a tenth of a second.
    """
    scene = slicer.mrmlScene
    before = _nodesOf(scene)
    _saveForUndo(scene, [*nodes, *filter(None, [last])])
    copies = [(node, _copy(node)) for node in nodes]
    try:
        yield
    except BaseException:
        for node in _nodesOf(scene) - before:
            if scene.IsNodePresent(node):
                scene.RemoveNode(node)
        for node, copy in copies:
            node.CopyWithScene(copy)
        raise
    for node in _nodesOf(scene) - before:
        node.SetUndoEnabled(True)


def _saveForUndo(scene: slicer.vtkMRMLScene, nodes: Iterable[slicer.vtkMRMLNode]) -> None:
    changing = vtk.vtkCollection()
    for node in nodes:
        node.SetUndoEnabled(True)
        changing.AddItem(node)
    scene.SaveStateForUndo(changing)


def _nodesOf(scene: slicer.vtkMRMLScene) -> set[slicer.vtkMRMLNode]:
    return {scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())}


def _copy(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode:
    copy = node.CreateNodeInstance()
    copy.UnRegister(None)  # VTK's Python counts one reference too many, which would never end
    copy.CopyWithScene(node)
    return copy

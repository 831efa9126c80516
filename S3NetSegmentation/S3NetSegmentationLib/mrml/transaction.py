"""A change of the scene that happens as a whole or not at all, and that can be taken back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import slicer
import vtk


class Step:
    """A change of the scene, while it happens and afterwards.

    Attributes
    ----------
    copies : list of (vtkMRMLNode, vtkMRMLNode)
        Each node that changed, and a copy of it as it was.
    added : list of vtkMRMLNode
        Those that are new.
    """

    def __init__(self, nodes: Iterable[slicer.vtkMRMLNode]):
        self.copies = [(node, _copy(node)) for node in nodes]
        self.added: list[slicer.vtkMRMLNode] = []

    def takeBack(self) -> None:
        """Make everything as it was before."""
        scene = slicer.mrmlScene
        for node in self.added:
            if scene.IsNodePresent(node):
                scene.RemoveNode(node)
        for node, copy in self.copies:
            if not scene.IsNodePresent(node):
                scene.AddNode(node)
            node.CopyWithScene(copy)


@contextmanager
def oneStep(*nodes: slicer.vtkMRMLNode, last: slicer.vtkMRMLNode | None = None) -> Iterator[Step]:
    """Change nodes of the scene and add others, as one step of the scene's undo.

    After an error the nodes are as they were, and what was added is gone.

    Parameters
    ----------
    *nodes : vtkMRMLNode
        Those that will change.
    last : vtkMRMLNode, optional
        One that will change at the very end, as a whole or not at all. It is copied only where
        the scene's undo is off, as to copy a segmentation takes a tenth of a second.
    """
    scene = slicer.mrmlScene
    before = _nodesOf(scene)
    every = [*nodes, *filter(None, [last])]
    _saveForUndo(scene, every)
    step = Step(nodes if scene.GetUndoFlag() else every)
    try:
        yield step
    except BaseException:
        step.added = list(_nodesOf(scene) - before)
        step.takeBack()
        raise
    step.added = list(_nodesOf(scene) - before)
    for node in step.added:
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

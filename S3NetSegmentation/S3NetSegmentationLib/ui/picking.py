"""The cursor and its clicks in the slice views, as positions in the world."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import slicer
import vtk

STILL = 3
"""Pixels that the mouse may move between press and release of a click; more is a drag."""

BEFORE_OTHERS = 10.0
"""Priority of the observers: what the views do with a press must not hide it."""


class SliceViewPicker:
    """Calls a function for each click with the left button in any slice view, and before it.

    Parameters
    ----------
    picked : callable
        Receives the position in the world, (x, y, z) in RAS millimeters, and whether the Ctrl key
        was pressed.
    hovered : callable
        Called while the cursor is over a view; receives the view, its node, and both of these.
    left : callable
        Called when the cursor leaves a view.
    """

    def __init__(
        self,
        picked: Callable[[tuple[float, float, float], bool], None],
        hovered: Callable[
            [
                slicer.qMRMLSliceView,
                slicer.vtkMRMLSliceNode,
                tuple[float, float, float],
                bool,
            ],
            None,
        ],
        left: Callable[[], None],
    ):
        self._picked, self._hovered, self._left = picked, hovered, left
        self._observed: list[tuple[vtk.vtkObject, int]] = []
        self._pressed: tuple[int, int] | None = None

    def start(self) -> None:
        """Watch the slice views that there are, now and after a change of the layout."""
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        layoutManager.connect("layoutChanged(int)", self._watch)
        self._watch()

    def stop(self) -> None:
        """Watch no longer; the inverse of `start`."""
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            layoutManager.disconnect("layoutChanged(int)", self._watch)
        self._forget()

    def _watch(self, layout: int | None = None) -> None:
        self._forget()
        layoutManager = slicer.app.layoutManager()
        for name in layoutManager.sliceViewNames():
            sliceNode = layoutManager.sliceWidget(name).mrmlSliceNode()
            sliceView = layoutManager.sliceWidget(name).sliceView()
            onMove = partial(self._onMove, sliceView=sliceView, sliceNode=sliceNode)
            onRelease = partial(self._onRelease, sliceNode=sliceNode)
            interactor = sliceView.interactor()
            self._observe(interactor, "LeftButtonPressEvent", self._onPress)
            self._observe(interactor, "LeftButtonReleaseEvent", onRelease)
            self._observe(interactor, "MouseMoveEvent", onMove)
            self._observe(interactor, "LeaveEvent", self._onLeave)
            self._observe(sliceNode, "ModifiedEvent", self._onLeave)  # until the cursor moves

    def _forget(self) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []

    def _observe(
        self, observed: vtk.vtkObject, event: str, callback: Callable[[vtk.vtkObject, str], None]
    ) -> None:
        self._observed.append((observed, observed.AddObserver(event, callback, BEFORE_OTHERS)))

    def _onMove(
        self,
        interactor: vtk.vtkRenderWindowInteractor,
        event: str,
        sliceView: slicer.qMRMLSliceView,
        sliceNode: slicer.vtkMRMLSliceNode,
    ) -> None:
        ras = xyToRas(sliceNode, *interactor.GetEventPosition())
        self._hovered(sliceView, sliceNode, ras, bool(interactor.GetControlKey()))

    def _onLeave(self, caller: vtk.vtkObject, event: str) -> None:
        self._left()

    def _onPress(self, interactor: vtk.vtkRenderWindowInteractor, event: str) -> None:
        self._pressed = interactor.GetEventPosition()

    def _onRelease(
        self,
        interactor: vtk.vtkRenderWindowInteractor,
        event: str,
        sliceNode: slicer.vtkMRMLSliceNode,
    ) -> None:
        pressed, self._pressed = self._pressed, None
        x, y = interactor.GetEventPosition()
        if pressed and max(abs(x - pressed[0]), abs(y - pressed[1])) <= STILL:
            self._picked(xyToRas(sliceNode, x, y), bool(interactor.GetControlKey()))


def xyToRas(sliceNode: slicer.vtkMRMLSliceNode, x: float, y: float) -> tuple[float, float, float]:
    """Position in the world of a pixel of a slice view."""
    matrix: vtk.vtkMatrix4x4 = sliceNode.GetXYToRAS()
    return tuple(matrix.MultiplyPoint((x, y, 0, 1))[:3])

"""Changes by hand, one after the other, while the window stays alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import qt
import slicer

from ..mrml.change import Change, ChangeJob
from .log import Log, waiting

POLL_MS = 20
"""Milliseconds between two looks at the thread."""


@dataclass(frozen=True)
class _Asked:
    """A change that was asked for.

    Attributes
    ----------
    segmentationNode : vtkMRMLSegmentationNode
    prepare : callable
        Gives the change, as the scene is when its turn has come.
    kind : str
        Of those of one kind that wait in a row only the last counts; empty: each does.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode
    prepare: Callable[[], Change]
    kind: str


class Changes:
    """Makes changes in the order in which they were asked for, each from what the last one left.

    Surfaces that are shown take seconds in the window's thread, so they are made once, after the
    last change, when the slice views already show the lungs.

    Parameters
    ----------
    log : Log
    onBusy : callable
        Called with whether there is anything to do, whenever that changes.
    """

    def __init__(self, log: Log, onBusy: Callable[[bool], None]):
        self._log, self._onBusy = log, onBusy
        self._waiting: deque[_Asked] = deque()
        self._current: tuple[_Asked, ChangeJob] | None = None
        self._surfaces: list[slicer.vtkMRMLSegmentationNode] = []  # that are to be made anew
        self.isBusy = False
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

    def ask(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        prepare: Callable[[], Change],
        kind: str = "",
    ) -> None:
        """Make a change when its turn has come.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode
            Without which the change is of no use.
        prepare : callable
            Gives the change, as the scene is then.
        kind : str
            If the last one that waits is of the same kind, this one takes its place.
        """
        asked = _Asked(segmentationNode, prepare, kind)
        last = self._waiting[-1] if self._waiting else None
        if kind and last and (last.segmentationNode, last.kind) == (segmentationNode, kind):
            self._waiting.pop()
        self._waiting.append(asked)
        if self._current is None:
            self._next()

    def cancel(self) -> None:
        """Forget all that was asked for and is not in the scene yet; harmless where nothing is."""
        self._waiting.clear()
        self._surfaces.clear()
        self._next()

    def stopWithout(self, node: slicer.vtkMRMLNode) -> None:
        """Forget what is of no use any more, as a node was removed."""
        self._waiting = deque(each for each in self._waiting if each.segmentationNode is not node)
        self._surfaces = [each for each in self._surfaces if each is not node]
        if self._current and self._current[0].segmentationNode is node:
            self._next()

    def _next(self) -> None:
        """Begin with what has waited longest."""
        self._current = None
        if self._waiting:
            asked = self._waiting.popleft()
            self._current = asked, ChangeJob(asked.prepare)
        self._showBusy(self._current is not None or bool(self._surfaces))

    def _poll(self) -> None:
        if self._current is None:
            self._makeSurfaces()
            self._next()
            return
        asked, job = self._current
        with self._log.reporting():
            if job.poll():
                return
            self._current = None  # a message lets the window go on, and so this timer
            self._removeSurfaces(asked.segmentationNode)
            job.result()
        if self._current is None:
            self._next()

    def _removeSurfaces(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        if segmentationNode.GetSegmentation().ContainsRepresentation(surface):
            segmentationNode.RemoveClosedSurfaceRepresentation()
            self._surfaces.append(segmentationNode)

    def _makeSurfaces(self) -> None:
        with self._log.reporting(), waiting():
            while self._surfaces:
                self._surfaces.pop().CreateClosedSurfaceRepresentation()

    def _showBusy(self, isBusy: bool) -> None:
        if isBusy == self.isBusy:
            return
        self.isBusy = isBusy
        if isBusy:
            self._timer.start()
            slicer.app.setOverrideCursor(qt.Qt.BusyCursor)
        else:
            self._timer.stop()
            slicer.app.restoreOverrideCursor()
        self._onBusy(isBusy)

"""The button that applies and cancels, and the run in the background with its progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from ..mrml.logic import Run, SegmentationLogic
from ..progress import Progress
from ..settings import Settings
from .log import Log
from .status import describe

STATUS, PROGRESS = 0, 1
"""Pages below the button, in one place."""

POLL_MS = 100
"""Milliseconds between two looks at the process."""

FORESEEABLE = 0.05
"""Share of the work from which on the remaining time can be told."""


class ApplyPanel:
    """Looks after one run at a time, from its start to its end.

    Parameters
    ----------
    ui
        The panel's widgets: `applyButton`, `statusStack`, `progressBar`, `statusLabel`.
    logic : SegmentationLogic
    log : Log
    onFinished : callable
        Called with the volume and the segmentation node after a run that succeeded.
    """

    def __init__(
        self,
        ui: SimpleNamespace,
        logic: SegmentationLogic,
        log: Log,
        onFinished: Callable[
            [slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLSegmentationNode], None
        ],
    ):
        self._ui, self._logic, self._log = ui, logic, log
        self._onFinished = onFinished
        self._run: Run | None = None
        self._started = 0.0
        self._shown: tuple[slicer.vtkMRMLNode | None, ...] = (None, None)
        self._notice = ""
        self._applyTip = ui.applyButton.toolTip
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)
        self._showIdle()

    @property
    def isRunning(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    @property
    def hasJustBegun(self) -> bool:
        """Whether another click is most likely the second one of a double click."""
        interval = qt.QApplication.doubleClickInterval() / 1000
        return self.isRunning and time.monotonic() - self._started < interval

    def show(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None,
    ) -> None:
        """Say what is known of the segmentation that is selected for a scan."""
        if self._shown != (volumeNode, segmentationNode):
            self._notice = ""  # of the last run, which was about something else
        self._shown = volumeNode, segmentationNode
        self._ui.applyButton.enabled = volumeNode is not None or self.isRunning
        self._ui.statusLabel.text = self._notice or describe(
            self._logic, volumeNode, segmentationNode
        )

    def start(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
        settings: Settings,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None,
        roiNode: slicer.vtkMRMLMarkupsROINode | None,
        sliceRange: tuple[float, float] | None,
        overwrite: bool,
    ) -> None:
        """Begin a run; parameters as of `SegmentationLogic.start`.

        Raises
        ------
        S3NetError
            If the input is refused; nothing has begun.
        """
        run = self._logic.start(
            volumeNode, settings, segmentationNode, roiNode, sliceRange, overwrite
        )
        self._run = run
        self._notice = ""
        self._started = time.monotonic()
        size = " x ".join(map(str, run.image.GetSize()))
        spacing = " x ".join(f"{value:.2f}" for value in run.image.GetSpacing())
        self._log.add(_("Started: {size} voxels, {spacing} mm").format(size=size, spacing=spacing))
        self._showRunning()
        self._timer.start()

    def cancel(self) -> None:
        """End the run now; the scene stays as it was. Harmless where nothing runs."""
        if self._run is not None:
            self._end(self._run, _("Cancelled; the scene is as it was."))

    def stopWithout(self, node: slicer.vtkMRMLNode) -> None:
        """End a run that is of no use any more, as a node was removed."""
        run = self._run
        if run is not None and node in (run.volumeNode, run.segmentationNode):
            self._end(run, _("Stopped, as its scan or segmentation was removed."))

    def _poll(self) -> None:
        run = self._run
        if run is None:
            return
        with self._log.reporting():
            try:
                running = run.job.poll(self._showProgress, self._log.add)
            except BaseException:
                self._end(run, _("Failed; the log has the details."))
                raise
            if not running:
                self._finish(run)

    def _finish(self, run: Run) -> None:
        try:
            segmentationNode = self._logic.finish(run)
        except BaseException:
            self._end(run, _("Failed; the scene is as it was."))
            raise
        seconds = time.monotonic() - self._started
        done = _("Done in {seconds:.0f} s, estimated quality {quality:.0%}.").format(
            seconds=seconds, quality=self._logic.quality(segmentationNode)
        )
        self._log.add(done)
        self._end(run, "")
        self._onFinished(run.volumeNode, segmentationNode)

    def _end(self, run: Run, notice: str) -> None:
        self._timer.stop()
        self._run = None
        run.job.cancel()
        if notice:
            self._log.add(notice)
        self._notice = notice
        self._showIdle()

    def _showRunning(self) -> None:
        self._ui.applyButton.text = _("Cancel")
        self._ui.applyButton.toolTip = _("Stop now and leave everything as it was")
        self._ui.progressBar.maximum = 0  # busy, until it can be told how far it is
        self._ui.progressBar.format = _("Starting")
        self._ui.statusStack.currentIndex = PROGRESS

    def _showIdle(self) -> None:
        self._ui.applyButton.text = _("Apply")
        self._ui.applyButton.toolTip = self._applyTip
        self._ui.statusStack.currentIndex = STATUS
        self.show(*self._shown)

    def _showProgress(self, progress: Progress) -> None:
        remaining = remainingTime(progress.fraction, time.monotonic() - self._started)
        text = f"{stageTitle(progress.stage)} {progress.done}/{progress.total}"
        self._ui.progressBar.maximum = 100
        self._ui.progressBar.value = round(100 * progress.fraction)
        self._ui.progressBar.format = f"{text}, {remaining}" if remaining else text


def stageTitle(stage: str) -> str:
    """A stage of the engine in the user's language."""
    titles = {
        "Preparing": _("Preparing"),
        "Fitting": _("Fitting"),
        "Clustering": _("Clustering slices"),
        "Deciding": _("Deciding"),
    }
    return titles.get(stage, stage)


def remainingTime(fraction: float, seconds: float) -> str:
    """About how long the rest will take, in words; empty where it is too early to tell.

    Parameters
    ----------
    fraction : float
        Share of the work that is finished, 0 to 1.
    seconds : float
        Since the start.
    """
    if fraction < FORESEEABLE:
        return ""
    rest = seconds * (1 - fraction) / fraction
    if rest < 60:
        return _("about {seconds:.0f} s left").format(seconds=rest)
    return _("about {minutes:.0f} min left").format(minutes=rest / 60)

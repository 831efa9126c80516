"""The button that applies and cancels, and the work in the background with its progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from ..jobs.job import Polled
from ..mrml.change import ChangeJob
from ..mrml.logic import SegmentationLogic
from ..mrml.queue import Queue
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


@dataclass(frozen=True)
class Work:
    """What is under way: one run, or a queue of them.

    Attributes
    ----------
    job : Polled
    finish : callable
        Puts the result into the scene; gives what the panel says of it, and what is to be called
        when the panel is ready for the next.
    nodes : tuple of vtkMRMLNode or None
        Those without which it is of no use.
    cancelled : str
        What the panel says after the user has cancelled it.
    """

    job: Polled
    finish: Callable[[], tuple[str, Callable[[], None]]]
    nodes: tuple[slicer.vtkMRMLNode | None, ...]
    cancelled: str


class ApplyPanel:
    """Looks after one run at a time, or a queue of them, from its start to its end.

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
        self._work: Work | None = None
        self._started = 0.0
        self._shown: tuple[slicer.vtkMRMLNode | None, ...] = (None, None)
        self._notice = ""
        self._isChanging = False
        self._applyTip = ui.applyButton.toolTip
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)
        self._showIdle()
        self._tell("")

    @property
    def isRunning(self) -> bool:
        """Whether a run or a queue is under way."""
        return self._work is not None

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
        if self._isChanging:
            self._ui.statusLabel.text = _("Updating the lungs.")
        else:
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
        size = " x ".join(map(str, run.image.GetSize()))
        spacing = " x ".join(f"{value:.2f}" for value in run.image.GetSpacing())
        self._log.add(_("Started: {size} voxels, {spacing} mm").format(size=size, spacing=spacing))
        job = ChangeJob(lambda: self._logic.finishing(run), after=run.job)
        self._begin(
            Work(
                job,
                lambda: self._finishRun(run.volumeNode, job),
                (run.volumeNode, run.segmentationNode),
                _("Cancelled; the scene is as it was."),
            )
        )

    def startQueue(self, queue: Queue, onFinished: Callable[[], None]) -> None:
        """Begin to segment many scans, one after the other.

        Parameters
        ----------
        queue : Queue
        onFinished : callable
            Called after the last one.
        """
        self._log.add(_("Started: {count} scans").format(count=queue.count))
        self._begin(
            Work(
                queue,
                lambda: (self._summary(queue), onFinished),
                (),
                _("Cancelled; what was finished before is kept."),
            )
        )

    def showChanging(self, isBusy: bool) -> None:
        """Say that the lungs are being changed by hand, or no longer."""
        self._isChanging = isBusy
        self.show(*self._shown)

    def cancel(self) -> None:
        """End the work now; the scene stays as it is. Harmless where nothing runs."""
        if self._work is not None:
            self._end(self._work, self._work.cancelled)

    def stopWithout(self, node: slicer.vtkMRMLNode) -> None:
        """End work that is of no use any more, as a node was removed."""
        if self._work is not None and node in self._work.nodes:
            self._end(self._work, _("Stopped, as its scan or segmentation was removed."))

    def _begin(self, work: Work) -> None:
        self._work = work
        self._notice = ""
        self._started = time.monotonic()
        self._showRunning()
        self._timer.start()

    def _poll(self) -> None:
        work = self._work
        if work is None:
            return
        with self._log.reporting():
            try:
                running = work.job.poll(self._showProgress, self._log.add)
            except BaseException:
                self._end(work, _("Failed; the log has the details."))
                raise
            if not running:
                self._finish(work)

    def _finish(self, work: Work) -> None:
        try:
            notice, then = work.finish()
        except BaseException:
            self._end(work, _("Failed; the scene is as it was."))
            raise
        self._end(work)
        then()
        self._tell(notice)

    def _finishRun(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, job: ChangeJob
    ) -> tuple[str, Callable[[], None]]:
        segmentationNode = job.result()
        seconds = time.monotonic() - self._started
        # The panel shows what is known of the segmentation.
        self._log.add(_("Done in {seconds:.0f} s.").format(seconds=seconds))
        return "", lambda: self._onFinished(volumeNode, segmentationNode)

    def _summary(self, queue: Queue) -> str:
        return _("Segmented {done} of {count} scans in {seconds:.0f} s; see the table.").format(
            done=queue.count - queue.failed,
            count=queue.count,
            seconds=time.monotonic() - self._started,
        )

    def _end(self, work: Work, notice: str = "") -> None:
        self._timer.stop()
        self._work = None
        work.job.cancel()
        self._showIdle()
        self._tell(notice)

    def _tell(self, notice: str) -> None:
        """Say something beside what is known of the scan that is selected."""
        if notice:
            self._log.add(notice)
        self._notice = notice
        self.show(*self._shown)

    def _showRunning(self) -> None:
        self._ui.applyButton.enabled = True
        self._ui.applyButton.text = _("Cancel")
        self._ui.applyButton.toolTip = _("Stop now; what was not finished is discarded")
        self._ui.progressBar.maximum = 0  # busy, until it can be told how far it is
        self._ui.progressBar.format = _("Starting")
        self._ui.statusStack.currentIndex = PROGRESS

    def _showIdle(self) -> None:
        self._ui.applyButton.text = _("Apply")
        self._ui.applyButton.toolTip = self._applyTip
        self._ui.statusStack.currentIndex = STATUS

    def _showProgress(self, progress: Progress) -> None:
        remaining = remainingTime(progress.fraction, time.monotonic() - self._started)
        text = f"{stageTitle(progress.stage)} {progress.done}/{progress.total}"
        self._ui.progressBar.maximum = 100
        self._ui.progressBar.value = round(100 * progress.fraction)
        self._ui.progressBar.format = f"{text}, {remaining}" if remaining else text


def stageTitle(stage: str) -> str:
    """A stage of the engine in the user's language."""
    titles = {
        "Scan": _("Scan"),
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

"""The task to segment a scan that is handed over as an array, and the job that does it."""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import SimpleITK as sitk

from ..errors import Cancelled, S3NetError
from ..geometry import Geometry
from ..io.files import new_temporary_folder
from ..progress import Progress
from ..result import LungResult
from ..settings import Settings
from .in_thread import ThreadJob
from .job import Job, JobDied, OnLog, OnProgress, wait_for
from .process_setup import load_torch
from .protocol import read_job, write_job

IMAGE = "image.npy"

MAX_WAIT = 3.0
"""Seconds to wait for the end of what was cancelled, more than a process takes that can't be ended
at once. A slow disk may take longer to write a file, which is removed then."""


class SegmentationJob:
    """A scan that is being segmented in a child process, used as a `Job`.

    A thread writes the scan for the process and reads the result, so the caller never waits for a
    disk. The temporary folder is gone as soon as the job is over, however it ended.

    Parameters
    ----------
    image : SimpleITK.Image
        The scan in Hounsfield units.
    settings : Settings
    temporary : str, optional
        Folder for temporary files.
    """

    def __init__(self, image: sitk.Image, settings: Settings, temporary: str | None = None):
        self._progress: SimpleQueue[Progress] = SimpleQueue()
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._is_cancelled = threading.Event()
        self._work = ThreadJob(lambda: self._segmented(image, settings, temporary))

    def poll(self, on_progress: OnProgress | None = None, on_log: OnLog | None = None) -> bool:
        """As of `Job`."""
        is_running = self._work.poll() and not self._is_cancelled.is_set()
        lines, progress = _taken_from(self._lines), _taken_from(self._progress)
        if on_log:
            for line in lines:
                on_log(line)
        if on_progress and progress:
            on_progress(progress[-1])
        return is_running

    def result(self) -> LungResult:
        """The result of a job that has ended.

        Raises
        ------
        S3NetError
            If it failed; the message is for the user.
        """
        return self._work.result()

    def cancel(self) -> None:
        """End the process now and remove its files; harmless where it has ended."""
        self._is_cancelled.set()
        self._work.join(MAX_WAIT)

    def _segmented(
        self, image: sitk.Image, settings: Settings, temporary: str | None
    ) -> LungResult:
        with ExitStack() as undo:
            try:
                folder = Path(undo.enter_context(new_temporary_folder(temporary)))
                write_scan(folder, image, settings)
                self._go_on()
                job = Job(segment, folder)
            except OSError as error:
                raise _unusable(temporary, error) from error
            try:
                wait_for(job, self._progress.put, self._lines.put, self._go_on)
                return LungResult.load(folder)
            except JobDied as died:
                raise S3NetError(
                    f"The segmentation process ended unexpectedly {died.reason}; close other "
                    "programs, or limit the work to a box."
                ) from died
            except (OSError, ValueError, MemoryError) as error:
                raise S3NetError(
                    f"The result could not be read ({type(error).__name__}); free some memory and "
                    "room for temporary files, and apply again."
                ) from error

    def _go_on(self) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled("The segmentation was cancelled.")


def _taken_from(queue: SimpleQueue) -> list:
    taken = []
    while not queue.empty():
        taken.append(queue.get())
    return taken


def write_scan(folder: Path, image: sitk.Image, settings: Settings) -> None:
    """Put what `segment` needs into the folder of its job.

    Parameters
    ----------
    folder : Path
    image : SimpleITK.Image
        The scan in Hounsfield units.
    settings : Settings
    """
    np.save(folder / IMAGE, sitk.GetArrayViewFromImage(image))
    geometry = asdict(Geometry.of(image))
    write_job(folder, {"geometry": geometry, "settings": settings.as_dict()})


def segment(folder: Path, on_progress: OnProgress) -> None:
    """The task: segment the scan in a folder, and leave a saved `LungResult` there."""
    sitk.ProcessObject.SetGlobalWarningDisplay(True)  # another task may have turned it off
    job = read_job(folder)
    image = Geometry(**job["geometry"]).image(np.load(folder / IMAGE))
    load_torch()
    from ..pipeline import segment_lungs

    settings = Settings.from_dict(job["settings"])
    segment_lungs(image, settings, on_progress=on_progress).save(folder)


def _unusable(temporary: str | None, error: OSError) -> S3NetError:
    return S3NetError(
        f"The segmentation can't start from the folder for temporary files, "
        f"'{temporary or tempfile.gettempdir()}' ({error.strerror or error}); make room there, "
        "or choose another one in the application settings."
    )

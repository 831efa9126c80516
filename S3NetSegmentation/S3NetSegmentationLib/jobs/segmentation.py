"""The task to segment a scan that is handed over as an array, and the job that does it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import S3NetError
from ..geometry import Geometry
from ..result import LungResult
from ..settings import Settings
from .job import Job, JobDied, OnLog, OnProgress
from .process_setup import load_torch
from .protocol import read_job, write_job

IMAGE = "image.npy"


class SegmentationJob:
    """A scan that is being segmented in a child process, used as a `Job`.

    Its temporary folder is gone as soon as the job is over, however it ended.

    Parameters
    ----------
    image : SimpleITK.Image
        The scan in Hounsfield units.
    settings : Settings
    temporary : str, optional
        Folder for temporary files.

    Raises
    ------
    S3NetError
        If there is no room for the temporary files, or no process can be started.
    """

    def __init__(self, image: sitk.Image, settings: Settings, temporary: str | None = None):
        self._result: LungResult | None = None
        self._failure: S3NetError | None = None
        self._is_over = False
        with ExitStack() as undo:
            try:
                self._folder = undo.enter_context(
                    tempfile.TemporaryDirectory(
                        prefix="s3net-", dir=temporary, ignore_cleanup_errors=True
                    )
                )
                write_scan(Path(self._folder), image, settings)
                self._job = Job(segment, Path(self._folder))
            except OSError as error:
                raise _unusable(temporary, error) from error
            self._remove_folder = undo.pop_all().close

    def poll(self, on_progress: OnProgress | None = None, on_log: OnLog | None = None) -> bool:
        """As of `Job`."""
        if self._is_over:
            return False
        if self._job.poll(on_progress, on_log):
            return True
        try:
            self._result = self._load()
        except S3NetError as error:
            self._failure = error
        self.cancel()
        return False

    def result(self) -> LungResult:
        """The result of a job that has ended.

        Raises
        ------
        S3NetError
            If it failed; the message is for the user.
        """
        if self._result is None:
            raise self._failure or S3NetError("The segmentation has not ended.")
        return self._result

    def cancel(self) -> None:
        """End the process now and remove its files; harmless where it has ended."""
        self._is_over = True
        self._job.cancel()
        self._remove_folder()

    def _load(self) -> LungResult:
        try:
            self._job.result()
            return LungResult.load(Path(self._folder))
        except JobDied as died:
            raise S3NetError(
                f"The segmentation process ended unexpectedly {died.reason}; close other programs, "
                "or limit the work to a box."
            ) from died
        except (OSError, ValueError, MemoryError) as error:
            raise S3NetError(
                f"The result could not be read ({type(error).__name__}); free some memory and room "
                "for temporary files, and apply again."
            ) from error


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

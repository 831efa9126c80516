"""One segmentation in the background, from its image to its result."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from ..errors import S3NetError
from ..process import WorkerProcess
from ..progress import Progress
from ..result import LungResult
from ..settings import Settings
from ..worker import write_job


class SegmentationJob:
    """A scan that is being segmented in a process of its own.

    Its temporary folder is gone as soon as the job has ended, however it ended.

    Parameters
    ----------
    image : SimpleITK.Image
        The scan in Hounsfield units.
    settings : Settings
    temporary : str
        Folder for temporary files.

    Raises
    ------
    S3NetError
        If there is no room for the temporary files, or no process can be started.
    """

    def __init__(self, image: sitk.Image, settings: Settings, temporary: str | None = None):
        self._process: WorkerProcess | None = None
        self._result: LungResult | None = None
        self._failure: S3NetError | None = None
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix="s3net-", dir=temporary, ignore_cleanup_errors=True
            )
        except OSError as error:
            raise _unusable(temporary, error) from error
        try:
            write_job(Path(self._folder.name), image, settings)
            self._process = WorkerProcess(self._folder.name)
        except OSError as error:
            self._folder.cleanup()
            raise _unusable(temporary, error) from error
        except BaseException:
            self._folder.cleanup()
            raise

    def poll(
        self,
        progress: Callable[[Progress], None] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> bool:
        """Pass on what has happened since the last call; never waits.

        Parameters
        ----------
        progress : callable, optional
            Receives the latest `Progress`, if there is one.
        log : callable, optional
            Receives each line that the process has printed.

        Returns
        -------
        bool
            Whether the job still runs.
        """
        process = self._process
        if process is None:
            return False
        running = process.running
        latest = None
        for message in process.messages():
            event = message.pop("event")
            if event == "progress":
                latest = Progress(**message)
            elif event == "log" and log:
                log(message["text"])
            elif event == "failed":
                self._failure = S3NetError(message["message"])
                if log and message["details"]:
                    log(message["details"])
            elif event == "finished":
                self._load()
        if latest and progress:
            progress(latest)
        if not running:
            self._end(process.exit_code)
        return running

    def result(self) -> LungResult:
        """The result of a job that has ended.

        Raises
        ------
        S3NetError
            If it failed; the message is for the user.
        """
        if self._failure:
            raise self._failure
        assert self._result is not None  # which it is only before the end
        return self._result

    def cancel(self) -> None:
        """End the process now and remove its files; harmless where it has ended."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            self._folder.cleanup()

    def _load(self) -> None:
        try:
            self._result = LungResult.load(Path(self._folder.name))
        except (OSError, ValueError, MemoryError) as error:
            self._failure = S3NetError(
                f"The result could not be read ({type(error).__name__}); free some memory and room "
                "for temporary files, and apply again."
            )

    def _end(self, code: int | None) -> None:
        if self._result is None and self._failure is None:
            self._failure = S3NetError(
                f"The segmentation process ended unexpectedly (code {code}), most likely for lack "
                "of memory; close other programs, or limit the work to a box."
            )
        self.cancel()


def _unusable(temporary: str | None, error: OSError) -> S3NetError:
    return S3NetError(
        f"The segmentation can't start from the folder for temporary files, "
        f"'{temporary or tempfile.gettempdir()}' ({error.strerror or error}); make room there, "
        "or choose another one in the application settings."
    )

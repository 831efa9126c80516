"""A child process for clicks: it loads torch once and then answers each click."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..errors import FitError, InputError, S3NetError
from ..io.files import new_temporary_folder
from .job import Job, JobDied, OnProgress
from .process_setup import load_torch

PAUSE = 0.01
"""Seconds between checks of the folder."""


class ClickProcess:
    """Finds the regions around clicks in a child process, which runs until it is closed.

    Boxes and regions are exchanged as files in a folder that is removed with the process.

    Parameters
    ----------
    temporary : str, optional
        Folder for temporary files.

    Raises
    ------
    S3NetError
        If the folder for temporary files can't be used, or no process can be started.
    """

    def __init__(self, temporary: str | None = None):
        self._asked = 0
        with ExitStack() as undo:
            try:
                self._folder = Path(undo.enter_context(new_temporary_folder(temporary)))
                self._job = Job(answer_clicks, self._folder)
            except OSError as error:
                raise _unusable(error) from error
            self._remove_folder = undo.pop_all().close

    def ask(
        self,
        box: np.ndarray,
        spacing: tuple[float, float, float],
        index: tuple[int, int, int],
    ) -> None:
        """Ask for the regions around a voxel; an earlier question is dropped.

        Parameters
        ----------
        box : ndarray, (z, y, x)
            The voxels around the click, any scalar values.
        spacing : tuple of float
            In mm, by axis of the array.
        index : tuple of int
            The clicked voxel of the box.
        """
        self._asked += 1
        question = {"spacing": [*map(float, spacing)], "index": [*map(int, index)]}
        try:
            _put(self._folder / f"{self._asked}.box", box, question)
        except OSError as error:
            raise _unusable(error) from error

    def poll(self) -> tuple[np.ndarray, int] | None:
        """Get the answer to the latest question, once; None until it is there.

        Returns
        -------
        tuple or None
            The level at which each voxel of the box joins, as in `Regions`, and the initial
            level.

        Raises
        ------
        S3NetError
            If there are no regions around this voxel, or the process has ended.
        """
        if not self._job.poll():
            self._raise()
        answer = self._folder / f"{self._asked}.regions"
        if not answer.exists():
            return None
        try:
            joins, said = _take(answer)
        except (OSError, ValueError) as error:
            raise _unusable(error) from error
        if "error" in said:
            raise InputError(said["error"])
        return joins, said["level"]

    def close(self) -> None:
        """End the process now and remove its files; harmless if it has ended."""
        self._job.cancel()
        self._remove_folder()

    def _raise(self) -> NoReturn:
        self.close()
        try:
            self._job.result()
        except JobDied as died:
            raise S3NetError(
                f"The process for clicks ended unexpectedly {died.reason}; click again."
            ) from died
        raise S3NetError("The process for clicks has ended; click again.")


def answer_clicks(folder: Path, on_progress: OnProgress) -> None:
    """The task: answer the latest question in a folder, again and again, until the process ends."""
    load_torch()
    from ..click.regions import regions_at, warm_up

    warm_up()
    while True:
        asked = sorted(folder.glob("*.box"), key=lambda path: int(path.stem))
        if not asked:
            time.sleep(PAUSE)
            continue
        box, question = _take(asked[-1])
        for path in asked[:-1]:
            path.unlink()
        answer = asked[-1].with_suffix(".regions")
        try:
            regions = regions_at(box, question["spacing"], question["index"])
            _put(answer, regions.joins, {"level": regions.level})
        except (InputError, FitError) as error:
            _put(answer, np.zeros(0, np.uint8), {"error": str(error)})


def _put(path: Path, array: np.ndarray, said: dict) -> None:
    """Write a file that is complete as soon as it has its name."""
    unfinished = path.with_name(f"{path.name}-unfinished")
    with unfinished.open("wb") as file:
        np.save(file, np.ascontiguousarray(array))
        file.write(json.dumps(said).encode())
    unfinished.replace(path)


def _take(path: Path) -> tuple[np.ndarray, dict]:
    """Read such a file and remove it."""
    with path.open("rb") as file:
        array, said = np.load(file), json.loads(file.read())
    path.unlink()
    return array, said


def _unusable(error: Exception) -> S3NetError:
    return S3NetError(
        f"The folder for temporary files can't be used for clicks ({error}); make room there, or "
        "choose another one in the application settings."
    )

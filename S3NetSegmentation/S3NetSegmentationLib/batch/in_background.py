"""A batch in a child process, for a program that must stay responsive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import Cancelled, S3NetError
from ..io.files import new_temporary_folder
from ..jobs.job import Job, JobDied, OnLog, OnProgress, wait_for
from ..jobs.protocol import read_job, write_job
from ..settings import Settings
from .run import run_batch
from .words import NAME_BY, SEGMENTATION


def run_batch_in_background(
    source: str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    formats: Sequence[str] = (SEGMENTATION,),
    name_by: str = NAME_BY[0],
    on_progress: OnProgress | None = None,
    on_log: OnLog | None = None,
    on_idle: Callable[[], None] = lambda: None,
    is_cancelled: Callable[[], bool] | None = None,
    temporary: str | None = None,
) -> list[dict]:
    """Run `run_batch` in another process and wait for it.

    Parameters
    ----------
    source, output, settings, formats, name_by, on_progress, is_cancelled
        As for `run_batch`.
    on_log : callable, optional
        Called with each line that the process prints.
    on_idle : callable, optional
        Called about 20 times a second, to keep the program responsive.
    temporary : str, optional
        Folder for temporary files.

    Returns
    -------
    list of dict
        As for `run_batch`.

    Raises
    ------
    Cancelled
        If `is_cancelled` returned true; finished scans are in the output folder.
    S3NetError
        If the batch can't run; failures of single scans are in their records.
    """
    job = {
        "source": str(Path(source).absolute()),
        "output": str(Path(output).absolute()),
        "settings": (settings or Settings()).as_dict(),
        "formats": list(formats),
        "name_by": name_by,
    }

    def check() -> None:
        if is_cancelled and is_cancelled():
            raise Cancelled("Stopped; finished scans are kept. Repeat the call to resume.")
        on_idle()

    with new_temporary_folder(temporary) as folder:
        write_job(Path(folder), job)
        try:
            return wait_for(Job(run_job, Path(folder)), on_progress, on_log, check)
        except JobDied as died:
            raise S3NetError(
                f"The process of the batch ended unexpectedly (code {died.exit_code}); repeat the "
                "call to resume."
            ) from died


def run_job(folder: Path, on_progress: OnProgress) -> list[dict]:
    """The task: run the batch that a job's folder describes."""
    job = read_job(folder)
    settings = Settings.from_dict(job.pop("settings"))
    return run_batch(**job, settings=settings, on_progress=on_progress)

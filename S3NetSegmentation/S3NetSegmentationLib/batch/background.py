"""A batch in a process of its own, for a program that must not stand still."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import Cancelled, S3NetError
from ..process import WorkerProcess
from ..progress import Progress
from ..settings import Settings
from ..worker import JOB
from .records import SEGMENTATION


def run_batch_in_background(
    source: str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    formats: Sequence[str] = (SEGMENTATION,),
    name_by: str = "hash",
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    log: Callable[[str], None] | None = None,
    idle: Callable[[], None] = lambda: None,
    temporary: str | None = None,
) -> list[dict]:
    """Run `run_batch` in another process and wait for it.

    Parameters
    ----------
    source, output, settings, formats, name_by, progress, cancelled
        As of `run_batch`.
    log : callable, optional
        Called with each line that the process prints.
    idle : callable, optional
        Called about 20 times a second, to keep a program alive.
    temporary : str, optional
        Folder for temporary files.

    Returns
    -------
    list of dict
        As of `run_batch`.

    Raises
    ------
    Cancelled
        If `cancelled` answered true; finished scans are in the output folder.
    S3NetError
        If the batch can't be run; failures of single scans are in their records.
    """
    job = {
        "source": str(Path(source).absolute()),
        "output": str(Path(output).absolute()),
        "settings": (settings or Settings()).as_dict(),
        "formats": list(formats),
        "name_by": name_by,
    }
    with tempfile.TemporaryDirectory(
        prefix="s3net-", dir=temporary, ignore_cleanup_errors=True
    ) as folder:
        (Path(folder) / JOB).write_text(json.dumps(job), encoding="utf-8")
        process = WorkerProcess("--batch", folder)
        try:
            while process.running:
                for message in process.messages():
                    event = message.pop("event")
                    if event == "progress" and progress:
                        progress(Progress(**message))
                    elif event == "log" and log:
                        log(message["text"])
                    elif event == "failed":
                        if log and message["details"]:
                            log(message["details"])
                        raise S3NetError(message["message"])
                    elif event == "finished":
                        return message["records"]
                if cancelled and cancelled():
                    raise Cancelled("Stopped; the finished scans are kept, the same call goes on.")
                idle()
                time.sleep(0.05)
        finally:
            process.stop()
    raise S3NetError(
        f"The process of the batch ended unexpectedly (code {process.exit_code}); call it again, "
        "it goes on where it was."
    )

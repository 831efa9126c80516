"""The child process: one piece of work in, lines of JSON out.

``python -m S3NetSegmentationLib.worker JOB_FOLDER`` reads ``job.json`` and ``image.npy`` and
leaves a saved `LungResult` in the same folder. ``--scan JOB_FOLDER`` segments a scan of a batch
from its files, ``--batch JOB_FOLDER`` runs a whole batch, and ``--devices`` tells what torch can
compute on. It ends with its parent: when its standard input closes, it removes the job's folder
and its own for temporary files, and stops.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import S3NetError, fault_of_the_machine
from .own_process import load_torch, prepare_process
from .process import TEMPORARY
from .settings import Settings

if TYPE_CHECKING:
    import SimpleITK as sitk

JOB, IMAGE = "job.json", "image.npy"

Send = Callable[..., None]


def main(argv: list[str] | None = None) -> int:
    """Do what the arguments ask for and report it on standard output.

    Each line is a JSON object with a key ``"event"``: ``progress`` (the fields of `Progress`),
    ``devices``, ``finished`` (of a batch and its scans with what came out), or ``failed`` with a
    ``message`` for the user and ``details``.

    Parameters
    ----------
    argv : list of str, optional
        The folder of the job, perhaps after ``--scan`` or ``--batch``; or ``--devices``.

    Returns
    -------
    int
        0 if all went well.
    """
    prepare_process()
    *task, last = sys.argv[1:] if argv is None else argv
    folder = None if last == "--devices" else Path(last)
    tempfile.tempdir = os.environ.get(TEMPORARY)
    passing = [Path(place) for place in (folder, tempfile.tempdir) if place]
    send = _channel()
    threading.Thread(target=_stop_with_parent, args=(_lifeline(), passing), daemon=True).start()
    try:
        if folder is None:
            send(event="devices", **devices())
        elif task == ["--scan"]:
            _scan(folder, send)
        elif task == ["--batch"]:
            _batch(folder, send)
        else:
            _segment(folder, send)
            send(event="finished")
    except S3NetError as error:
        send(event="failed", message=str(error), details="")
        return 1
    except Exception as error:  # noqa: BLE001 - the user gets a sentence, the log the rest
        send(event="failed", message=_sentence(error), details=traceback.format_exc())
        return 1
    return 0


def write_job(folder: Path, image: sitk.Image, settings: Settings) -> None:
    """Put what the child needs into a folder.

    Parameters
    ----------
    folder : Path
    image : SimpleITK.Image
        The scan in Hounsfield units.
    settings : Settings
    """
    import numpy as np
    import SimpleITK as sitk

    from .geometry import Geometry

    np.save(folder / IMAGE, sitk.GetArrayViewFromImage(image))
    job = {"geometry": asdict(Geometry.of(image)), "settings": settings.as_dict()}
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def devices() -> dict:
    """What torch is and what it can compute on.

    Returns
    -------
    dict
        ``torch``: its version; ``devices``: a list of ``name`` (as `Settings` takes it),
        ``title`` (for people) and ``memory`` in bytes or None. The first is what auto chooses.
    """
    torch = load_torch()
    found = [{"name": "cpu", "title": f"CPU, {os.cpu_count()} cores", "memory": None}]
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "title": "Apple GPU (not tested)", "memory": None})
    if torch.cuda.is_available():
        for index in reversed(range(torch.cuda.device_count())):
            card = torch.cuda.get_device_properties(index)
            found.insert(
                0, {"name": f"cuda:{index}", "title": card.name, "memory": card.total_memory}
            )
    return {"torch": torch.__version__, "devices": found}


def _segment(folder: Path, send: Send) -> None:
    import numpy as np

    from .geometry import Geometry

    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    image = Geometry(**job["geometry"]).image(np.load(folder / IMAGE))

    load_torch()
    from .pipeline import segment_lungs

    result = segment_lungs(
        image,
        Settings.from_dict(job["settings"]),
        on_progress=lambda progress: send(event="progress", **asdict(progress)),
    )
    result.save(folder)


def _scan(folder: Path, send: Send) -> None:
    from .batch.work import segment_scan

    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    outcome = segment_scan(folder, job, lambda progress: send(event="progress", **asdict(progress)))
    send(event="finished", outcome=outcome)


def _batch(folder: Path, send: Send) -> None:
    from .batch.run import run_batch

    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    job["settings"] = Settings.from_dict(job["settings"])
    records = run_batch(**job, progress=lambda progress: send(event="progress", **asdict(progress)))
    send(event="finished", records=records)


def _sentence(error: Exception) -> str:
    """What an unexpected error means to the user."""
    sentence = fault_of_the_machine(error)
    if sentence:
        return sentence
    if isinstance(error, OSError):
        return (
            f"The folder for temporary files can't be used ({error.strerror or error}); "
            "make room there, or choose another one in the application settings."
        )
    if isinstance(error, ImportError):
        return (
            f"Python can't load what the segmentation needs ({error.name or error}); install "
            "PyTorch again, and on Windows the Microsoft Visual C++ Redistributable."
        )
    return (
        f"The segmentation failed unexpectedly ({type(error).__name__}); "
        "please report it with the log."
    )


def _channel() -> Send:
    """A function that writes a line of JSON; whatever else is printed goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)

    def send(**message: object) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return send


def _lifeline() -> int:
    """The pipe from the parent, which is standard input no longer.

    On Windows, loading a library asks what standard input is, and would wait for the thread
    that reads from it.
    """
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def _stop_with_parent(pipe: int, folders: list[Path]) -> None:
    # Not through a buffered file, whose lock would be held when the interpreter ends.
    while os.read(pipe, 1):
        pass
    # The other thread may be writing there; once a folder is gone it can't. On Windows a file
    # stays until it is written.
    for _ in range(10):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if not any(folder.exists() for folder in folders):
            break
        time.sleep(0.05)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

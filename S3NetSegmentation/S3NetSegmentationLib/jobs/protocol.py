"""What a child process and its parent tell each other: by lines of JSON, and by a job's folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..progress import Progress

Task = Callable[..., object]
"""What a child process does: a function at the top of a module, which both processes import.

It takes the folder of the job, if the job has one, and ``on_progress``; what it returns goes to
the parent as JSON.
"""

JOB = "job.json"
"""The file in a job's folder that says what is to be done."""

TEMPORARY = "S3NET_TEMPORARY"
"""The environment variable that names the child's own folder for temporary files."""


@dataclass(frozen=True)
class Finished:
    """The task is done; from now on the job's folder is the parent's.

    Attributes
    ----------
    result
        What the task returned, as JSON can hold it.
    """

    result: object


@dataclass(frozen=True)
class Failed:
    """The task raised an error.

    Attributes
    ----------
    message : str
        One sentence for the user.
    details : str
        The traceback of an unexpected error.
    """

    message: str
    details: str


@dataclass(frozen=True)
class Log:
    """A line that was printed, and is no message.

    Attributes
    ----------
    text : str
    """

    text: str


Sent = Progress | Finished | Failed
Message = Sent | Log

EVENTS = {kind.__name__.lower(): kind for kind in (Progress, Finished, Failed)}
"""The messages that are sent, by their names."""


def serialize(message: Sent) -> str:
    """A message as a line of JSON, without its end."""
    return json.dumps({"event": type(message).__name__.lower(), **asdict(message)})


def parse(line: str) -> Message:
    """The message on a line; what is none goes to the log."""
    try:
        fields = json.loads(line)
        return EVENTS[fields.pop("event")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Log(line.rstrip())


def write_job(folder: Path, job: dict) -> None:
    """Put into a job's folder what is to be done, as JSON can hold it."""
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def read_job(folder: Path) -> dict:
    """What is to be done."""
    return json.loads((folder / JOB).read_text(encoding="utf-8"))

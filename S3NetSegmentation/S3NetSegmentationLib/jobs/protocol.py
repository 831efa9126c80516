"""Messages between a child process and its parent: lines of JSON, and a job's folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..progress import Progress

Task = Callable[..., object]
"""The work of a child process: a function at the top level of a module.

It takes the folder of the job, if the job has one, and ``on_progress``; its return value is sent to
the parent as JSON.
"""

JOB = "job.json"
"""The file in a job's folder that describes what to do."""

END_OF_LOG = "\x04\n"
"""What the child prints to standard error when nothing else follows about a task."""


@dataclass(frozen=True)
class Began:
    """The child has taken up a task; whatever came before belongs to an earlier one."""


@dataclass(frozen=True)
class Finished:
    """The task is done; from now on, the job's folder belongs to the parent.

    Attributes
    ----------
    result
        The return value of the task, as JSON.
    reusable : bool
        Whether the child waits for another task.
    """

    result: object
    reusable: bool = False


@dataclass(frozen=True)
class Failed:
    """The task raised an error.

    Attributes
    ----------
    message : str
        One sentence for the user.
    details : str
        The traceback of an unexpected error.
    reusable : bool
        Whether the child waits for another task.
    """

    message: str
    details: str
    reusable: bool = False


@dataclass(frozen=True)
class Log:
    """A printed line that is not a message.

    Attributes
    ----------
    text : str
    """

    text: str


Sent = Began | Progress | Finished | Failed
Message = Sent | Log

EVENTS = {kind.__name__.lower(): kind for kind in (Began, Progress, Finished, Failed)}
"""The messages that are sent, by name."""


def serialize(message: Sent) -> str:
    """A message as a line of JSON, without a line break."""
    return json.dumps({"event": type(message).__name__.lower(), **asdict(message)})


def parse(line: str) -> Message:
    """The message on a line; any other line is a `Log`."""
    try:
        fields = json.loads(line)
        return EVENTS[fields.pop("event")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Log(line.rstrip())


def arguments(task: Task, temporary: str, folder: Path | None) -> list[str]:
    """What the child is told of a task: its name, the folder for its temporary files, its job's."""
    return [f"{task.__module__}:{task.__qualname__}", temporary, *([str(folder)] if folder else [])]


def write_job(folder: Path, job: dict) -> None:
    """Write the description of a job into its folder, as JSON."""
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def read_job(folder: Path) -> dict:
    """Read the description of a job."""
    return json.loads((folder / JOB).read_text(encoding="utf-8"))

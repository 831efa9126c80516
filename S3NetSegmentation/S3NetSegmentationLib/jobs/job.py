"""A task in a child process, to be polled or waited for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..errors import S3NetError
from ..progress import Progress
from .idle import keep, process_for
from .protocol import Failed, Finished, Log, Message, Task

PAUSE = 0.05
"""Seconds between polls of a job."""

OnProgress = Callable[[Progress], None]
OnLog = Callable[[str], None]


class JobFailed(S3NetError):
    """The child process reported why it failed.

    Parameters
    ----------
    message : str
        One sentence for the user.
    details : str
        The traceback of an unexpected error; otherwise empty.
    """

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.details = details


class JobDied(JobFailed):
    """The child process ended without a message.

    Parameters
    ----------
    exit_code : int
        Negative if a signal ended it.
    """

    def __init__(self, exit_code: int | None):
        super().__init__(f"The process ended unexpectedly (code {exit_code}).")
        self.exit_code = exit_code

    @property
    def reason(self) -> str:
        """The exit code or signal in parentheses, and its most likely cause."""
        for each in signal.Signals:
            if self.exit_code == -each and each != getattr(signal, "SIGKILL", None):
                return (
                    f"(code {self.exit_code}, {each.name}), most likely because a library failed "
                    "on a damaged file"
                )
        return f"(code {self.exit_code}), most likely for lack of memory"


class Job:
    """A task in a child process, which starts at once.

    A process in which nothing went wrong is kept for the next job.

    Parameters
    ----------
    task : Task
    folder : Path, optional
        Contains the input of the task, and receives its output. The child removes it if its
        parent dies before the task is finished.
    threads : int, optional
        Number of cores it may use; default: all.

    Raises
    ------
    OSError
        If no process can be started.
    """

    def __init__(self, task: Task, folder: Path | None = None, threads: int | None = None):
        self._process = process_for(task, folder, threads)
        self._outcome: Finished | Failed | None = None
        self._is_over = False

    def poll(self, on_progress: OnProgress | None = None, on_log: OnLog | None = None) -> bool:
        """Report what has happened since the last call.

        Parameters
        ----------
        on_progress : callable, optional
            Receives the latest `Progress`, if there is a new one.
        on_log : callable, optional
            Receives each line that the process has printed, and the details of its failure.

        Returns
        -------
        bool
            Whether the task is still running.
        """
        if self._is_over:
            return False
        is_running = self._process.is_running
        self._pass_on(self._process.messages(), on_progress, on_log)
        if is_running and self._outcome is None:
            return True
        self._pass_on(self._end(), on_progress, on_log)
        return False

    def result(self) -> Any:
        """The return value of the task, once the job is over.

        Raises
        ------
        JobFailed
            If it failed; the message is for the user.
        JobDied
            If the process ended without a message.
        """
        match self._outcome:
            case Finished(result):
                return result
            case Failed(message, details):
                raise JobFailed(message, details)
        raise JobDied(self._process.exit_code)

    def cancel(self) -> None:
        """End the task now; harmless if it has ended."""
        self._end()

    def _end(self) -> list[Message]:
        """End the process, or keep it for another task; its last messages."""
        if self._is_over:
            return []
        self._is_over = True
        if self._outcome is None or not self._outcome.reusable:
            self._process.stop()
            return self._process.messages()
        self._process.release()
        last = self._process.messages()  # before another job may read them
        keep(self._process)
        return last

    def _pass_on(
        self, messages: list[Message], on_progress: OnProgress | None, on_log: OnLog | None
    ) -> None:
        latest, lines = None, []
        for message in messages:
            match message:
                case Progress():
                    latest = message
                case Log(text):
                    lines.append(text)
                case Finished():
                    self._outcome = message
                case Failed():
                    self._outcome = message
                    lines += filter(None, [message.details])
        if on_log:
            for line in lines:
                on_log(line)
        if on_progress and latest:
            on_progress(latest)


class Polled(Protocol):
    """Anything that can be polled, cancelled, and asked for its result, like a `Job`."""

    def poll(self, on_progress: OnProgress | None = None, on_log: OnLog | None = None) -> bool:
        """See `Job`."""

    def result(self) -> Any:
        """See `Job`."""

    def cancel(self) -> None:
        """See `Job`."""


def wait_for(
    job: Polled,
    on_progress: OnProgress | None = None,
    on_log: OnLog | None = None,
    on_idle: Callable[[], None] = lambda: None,
) -> Any:
    """Wait until a job is over.

    Parameters
    ----------
    job : Polled
    on_progress, on_log : callable, optional
        As for `Job.poll`.
    on_idle : callable, optional
        Called about 20 times a second; may raise, which cancels the job.

    Returns
    -------
    Any
        The job's result.

    Raises
    ------
    JobFailed, JobDied
        As for `Job.result`.
    """
    try:
        while job.poll(on_progress, on_log):
            on_idle()
            time.sleep(PAUSE)
        return job.result()
    finally:
        job.cancel()

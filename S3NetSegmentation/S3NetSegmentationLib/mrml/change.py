"""A change of the scene that is worked out in a thread, and then made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..jobs.in_thread import ThreadJob
from ..jobs.job import OnLog, OnProgress, Polled


@dataclass(frozen=True)
class Change:
    """A change of the scene, in two parts.

    Attributes
    ----------
    compute : callable
        Works it out. Touches no node, so it may run in any thread.
    apply : callable
        Takes what `compute` gives, and changes the nodes at once.
    state : callable
        What of the scene `compute` was given; once that is no longer the same, what it gives is of
        no use.
    """

    compute: Callable[[], Any]
    apply: Callable[[Any], Any]
    state: Callable[[], tuple]

    def make(self) -> Any:
        """Work it out and make it, all at once; what `apply` returns."""
        return self.apply(self.compute())


class ChangeJob:
    """A change that is worked out in a thread, used as a `Job`; its result makes it.

    Whenever the scene has become another one meanwhile, it is prepared and worked out anew.

    Parameters
    ----------
    prepare : callable
        Gives the change, as the scene is then. What it raises is raised by `result`.
    after : Polled, optional
        What is to end first.
    """

    def __init__(self, prepare: Callable[[], Change], after: Polled | None = None):
        self._prepare, self._after = prepare, after
        self._change: Change | None = None
        self._state: tuple = ()
        self._work: ThreadJob | None = None
        self._failure: Exception | None = None
        if after is None:
            self._begin()

    def _begin(self) -> None:
        try:
            self._change = self._prepare()
        except Exception as error:  # for whoever asks for the result
            self._failure = error
        else:
            self._state = self._change.state()
            self._work = ThreadJob(self._change.compute)

    def poll(self, on_progress: OnProgress | None = None, on_log: OnLog | None = None) -> bool:
        """As of `Job`."""
        if self._failure:
            return False
        if self._change is None or self._work is None:
            assert self._after is not None
            if self._after.poll(on_progress, on_log):
                return True
            self._begin()
            return not self._failure
        if self._work.poll():
            return True
        if self._change.state() == self._state:
            return False
        self._begin()
        return not self._failure

    def result(self) -> Any:
        """What the change returns, which is made now.

        Raises
        ------
        S3NetError
            If it can't be made; the scene is as it was.
        """
        if self._failure:
            raise self._failure
        assert self._change is not None and self._work is not None
        return self._change.apply(self._work.result())

    def cancel(self) -> None:
        """End what is to end first; without `result` there is no change."""
        if self._after is not None:
            self._after.cancel()

"""Something that is computed in a thread, while its caller goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..errors import S3NetError


class ThreadJob:
    """What a function gives, computed in a thread that begins at once.

    A thread can't be ended from outside. One that nobody waits for any more runs to its end, and
    what it gives is dropped.

    Parameters
    ----------
    compute : callable
        Takes nothing. What it raises is raised by `result`.
    """

    def __init__(self, compute: Callable[[], Any]):
        self._compute = compute
        self._result: Any = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def poll(self) -> bool:
        """Whether it is still being computed."""
        return self._thread.is_alive()

    def result(self) -> Any:
        """What the function has given.

        Raises
        ------
        S3NetError
            If it has not ended.
        BaseException
            What the function has raised.
        """
        if self._failure:
            raise self._failure
        if self._thread.is_alive():
            raise S3NetError("The work has not ended.")
        return self._result

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._result = self._compute()
        except BaseException as error:  # for whoever asks for the result
            self._failure = error

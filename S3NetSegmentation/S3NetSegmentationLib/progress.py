"""How long-running work reports where it is and learns that it should stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One report of a running segmentation.

    Attributes
    ----------
    stage : str
        What is being done, in words for the user, for example ``"Fitting"``.
    done, total : int
        Finished and all steps of this stage (iterations, slices).
    fraction : float
        Share of the whole work that is finished, 0 to 1, never decreasing.
    """

    stage: str
    done: int
    total: int
    fraction: float


class Reporter:
    """Turns the steps of consecutive stages into `Progress` reports and cancellation.

    Parameters
    ----------
    on_progress : callable, optional
        Receives each `Progress`.
    is_cancelled : callable, optional
        Asked at each step; where it answers true, the step raises `Cancelled`.
    shares : dict of str to float
        For each stage its share of the whole work, in the order in which they run.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None,
        is_cancelled: Callable[[], bool] | None,
        shares: dict[str, float],
    ):
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._shares = shares
        self._fraction = 0.0
        self._stage = next(iter(shares))
        self._since = time.perf_counter()
        self._seconds = dict.fromkeys(shares, 0.0)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each stage has taken until the last step, and ``"total"``."""
        stages = {stage.lower(): taken for stage, taken in self._seconds.items()}
        return {**stages, "total": sum(stages.values())}

    def step(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of `stage` are finished.

        Raises
        ------
        Cancelled
            If the caller has asked to stop.
        """
        if self._is_cancelled is not None and self._is_cancelled():
            raise Cancelled
        now = time.perf_counter()
        self._seconds[self._stage] += now - self._since
        self._stage, self._since = stage, now
        names = list(self._shares)
        before = sum(self._shares[name] for name in names[: names.index(stage)])
        fraction = (before + self._shares[stage] * done / max(total, 1)) / sum(
            self._shares.values()
        )
        # A refit starts its stage again; the bar waits rather than runs backwards.
        self._fraction = max(self._fraction, fraction)
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, total, self._fraction))

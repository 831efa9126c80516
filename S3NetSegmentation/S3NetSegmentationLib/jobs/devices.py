"""The task that tells what torch is and can compute on, without loading it into the program."""

from __future__ import annotations

import os

from .job import OnProgress
from .process_setup import load_torch


def find_devices(on_progress: OnProgress | None = None) -> dict:
    """What torch is and what it can compute on.

    Parameters
    ----------
    on_progress : callable, optional
        Never called; it takes seconds.

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

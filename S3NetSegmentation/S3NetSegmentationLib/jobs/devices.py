"""The task that finds the devices of torch without loading it into the program."""

from __future__ import annotations

import os

from .job import OnProgress
from .process_setup import load_torch


def find_devices(on_progress: OnProgress | None = None) -> dict:
    """Find the version of torch and the devices it can use.

    Parameters
    ----------
    on_progress : callable, optional
        Never called; this takes seconds.

    Returns
    -------
    dict
        ``torch``: its version; ``devices``: a list of ``name`` (as in `Settings`), ``title`` (for
        display), and ``memory`` in bytes or None. The first one is what auto chooses.
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

"""Where the network runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError

SHARE_OF_FREE = 0.8
"""Share of the free GPU memory that is used, at most; the rest goes to what can't be foreseen."""


@dataclass(frozen=True)
class Device:
    """The CPU or a GPU, with all that is asked of it as a whole.

    Parameters
    ----------
    name : str
        As torch names it, ``"cuda:0"`` say.
    memory_gb : float
        How much of a CUDA GPU's memory to use, at most, in gigabytes.
    """

    name: str
    memory_gb: float = 4.0

    @property
    def type(self) -> str:
        """``"cpu"``, ``"cuda"`` or ``"mps"``."""
        return torch.device(self.name).type

    def place(self, tensor: Tensor) -> Tensor:
        """A tensor on this device.

        A CUDA GPU fetches it by itself, from page-locked memory, while the host goes on.
        """
        if self.type != "cuda" or tensor.is_cuda:
            return tensor.to(self.name)
        with torch.cuda.device(self.name):  # else the first GPU would be set up for it, too
            return tensor.pin_memory().to(self.name, non_blocking=True)

    def usable_bytes(self) -> int:
        """How much of a CUDA GPU's memory may be used now."""
        torch.cuda.empty_cache()  # what torch holds back since an earlier scan is free, too
        free = torch.cuda.mem_get_info(self.name)[0]
        return int(min(self.memory_gb * 2**30, SHARE_OF_FREE * free))


def resolve_device(name: str, memory_gb: float = 4.0) -> Device:
    """The device of that name, checked to exist.

    Parameters
    ----------
    name : str
        ``"auto"`` (the fastest there is), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
    memory_gb : float
        As for `Device`.

    Raises
    ------
    InputError
        If there is no such kind of device, or not on this machine.
    """
    if name == "auto":
        name = fastest_device()
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise InputError(
            f"There is no device '{name}'; choose auto, cpu, cuda, cuda:N (N = 0, 1, ...) or mps."
        )
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("This machine has no Apple GPU (mps); choose the device auto or cpu.")
    return Device(name, memory_gb)


def fastest_device(lane: int = 0) -> str:
    """Name of the fastest device that every part of a fit runs on, as `Settings` takes it.

    Apple's GPUs are not among them: for them, torch lacks gradients (of `grid_sample` until 2.11
    at least, and of `embedding_bag` until 2.9).

    Parameters
    ----------
    lane : int
        Number of this process among those that work at once; they take turns at the GPUs.
    """
    if torch.cuda.is_available():
        return f"cuda:{lane % torch.cuda.device_count()}"
    return "cpu"


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise InputError(
            "PyTorch finds no CUDA GPU on this machine; choose the device auto or cpu."
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise InputError(
            f"There is no device '{device}'; this machine has {count} CUDA GPU(s), from cuda:0."
        )

"""When a GPU fails or runs out of memory, the CPU takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from ...errors import failed_on_gpu, lacks_support, out_of_memory
from ..fit import Fit, OnStep, predict
from ..network import S3Net
from ..settings import NetworkSettings
from .device import Device
from .parallel_fits import fit_each

T = TypeVar("T")

SMALLER_BATCHES = "GPU memory was low; smaller batches were used."

ON_THE_CPU = (
    "GPU memory was full, so processing continued on the CPU, which takes longer; close other "
    "programs that use the GPU."
)

NOT_ON_THIS_GPU = (
    "This version of PyTorch does not fully support this GPU, so processing continued on the CPU; "
    "choose the device cpu, or install a version of PyTorch that supports the GPU."
)

AFTER_A_FAILURE = (
    "The GPU failed or is in use by another program, so processing continued on the CPU; update "
    "its driver, or choose the device cpu."
)


class DeviceFallback:
    """Runs work on a device, and on the CPU once the device has failed.

    A prediction is first tried in smaller batches, which give the same scores. A fit is not:
    fewer slices would make another network.

    Parameters
    ----------
    device : Device

    Attributes
    ----------
    warnings : list of str
        Sentences for the user about this.
    """

    def __init__(self, device: Device):
        self._device = device
        self.warnings: list[str] = []

    def run(self, work: Callable[[Device], T]) -> T:
        """The result of the work, which is called with the device to work on."""
        result = self._if_there_is_room(work)
        if result is None:
            self._go_to_the_cpu(ON_THE_CPU)
            result = work(self._device)
        return result

    def fit_each(
        self, images: Tensor, settings: NetworkSettings, on_step: OnStep
    ) -> Iterator[Fit | None]:
        """As `parallel_fits.fit_each`; once not even one fit has room, the CPU does the rest."""
        done = 0
        try:
            for found in fit_each(images, settings, self._device, on_step):
                done += 1
                yield found
            return
        except (RuntimeError, ImportError) as error:
            reason = self._reason(error)
            if reason is None:
                raise
        self._go_to_the_cpu(reason)
        yield from fit_each(
            images[done:],
            settings,
            self._device,
            lambda fitted, left: on_step(done + fitted, len(images)),
        )

    def predict(self, network: S3Net, images: Tensor) -> Tensor:
        """Like `fit.predict`, for a network and images on any device."""

        def work(device: Device) -> Tensor:
            placed = device.place(images)
            return predict(network.to(placed.device), placed)

        scores = self._if_there_is_room(work)
        if scores is not None:
            return scores
        if len(images) > 1:
            self._warn(SMALLER_BATCHES)
            halves = images.tensor_split(2)
            return torch.cat([self.predict(network, half).cpu() for half in halves])
        self._go_to_the_cpu(ON_THE_CPU)
        return self.predict(network, images)

    def _if_there_is_room(self, work: Callable[[Device], T]) -> T | None:
        """The result of the work, or None if the GPU has too little memory."""
        try:
            return work(self._device)
        except (RuntimeError, ImportError) as error:
            reason = self._reason(error)
            if reason is None:
                raise
        # After the handler: the error holds on to what the work had allocated.
        if reason != ON_THE_CPU:
            self._go_to_the_cpu(reason)
            return work(self._device)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _reason(self, error: Exception) -> str | None:
        """Why work that raised an error may succeed on the CPU; None if it wouldn't."""
        if self._device.type == "cpu":
            return None
        if out_of_memory(error):
            return ON_THE_CPU
        # That torch lacks something for Apple's GPUs, it says in many ways.
        if self._device.type == "mps" or lacks_support(error):
            return NOT_ON_THIS_GPU
        return AFTER_A_FAILURE if failed_on_gpu(error) else None

    def _go_to_the_cpu(self, reason: str) -> None:
        self._device = Device("cpu")
        self.warnings = [reason]

    def _warn(self, warning: str) -> None:
        if not self.warnings:
            self.warnings.append(warning)

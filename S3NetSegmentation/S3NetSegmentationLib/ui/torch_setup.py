"""PyTorch: whether it is there, what it can compute on, and how to get it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from ..jobs.devices import find_devices
from ..jobs.job import Job, JobFailed
from .log import Log, waiting

if TYPE_CHECKING:
    import PyTorchUtils

DEVICE_SETTING = "S3NetSegmentation/Device"
"""Key in the application settings: the device is the machine's, not the scene's."""

PACKAGES = {"torch": ">=2.2", "torchvision": ">=0.17"}
"""What the engine needs beside what Slicer ships."""

POLL_MS = 200


class TorchSetup:
    """Says what PyTorch is there, offers its devices, and installs it when asked.

    PyTorch is never imported into Slicer itself: a process of its own tells the devices.

    Parameters
    ----------
    ui
        The panel's widgets: `setupLabel`, `deviceComboBox`.
    log : Log
    onDetected : callable
        Called once the devices are known.
    """

    def __init__(
        self, ui: SimpleNamespace, log: Log, onDetected: Callable[[], None] = lambda: None
    ):
        self._ui, self._log, self._onDetected = ui, log, onDetected
        self._job: Job | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)
        ui.deviceComboBox.connect("activated(int)", self._saveDevice)
        self._showDevices([])

    @property
    def device(self) -> str:
        """The device that the user wants, as `Settings` takes it."""
        return self._ui.deviceComboBox.currentData or "auto"

    def detect(self) -> None:
        """Find out in the background what there is."""
        self.stop()
        if not isInstalled():
            self._ui.setupLabel.text = _("PyTorch is missing; Apply offers to install it.")
            return
        self._ui.setupLabel.text = _("Looking for PyTorch's devices...")
        self._job = Job(find_devices)
        self._timer.start()

    def stop(self) -> None:
        """Give up a search that is under way."""
        self._timer.stop()
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def ensure(self) -> bool:
        """Whether PyTorch is there, perhaps because the user has just let it be installed."""
        if isInstalled():
            return True
        try:
            import PyTorchUtils
        except ModuleNotFoundError:
            slicer.util.errorDisplay(
                _(
                    "PyTorch is not installed. Install the extension 'PyTorch' in the Extensions "
                    "Manager, restart Slicer, and apply again. Without internet, get PyTorch "
                    "(torch and torchvision) into Slicer's Python by other means."
                )
            )
            return False
        if not slicer.util.confirmOkCancelDisplay(
            _(
                "PyTorch is needed once and not installed. Its download takes about 0.2 GB, or "
                "3 GB with support for NVIDIA graphics cards. Install it now and go on?"
            )
        ):
            return False
        return self._install(PyTorchUtils.PyTorchUtilsLogic())

    def _install(self, pyTorch: PyTorchUtils.PyTorchUtilsLogic) -> bool:
        self._ui.setupLabel.text = _("Installing PyTorch...")
        slicer.app.processEvents()
        try:
            with waiting():
                pyTorch.installTorch(
                    askConfirmation=False,
                    torchVersionRequirement=PACKAGES["torch"],
                    torchvisionVersionRequirement=PACKAGES["torchvision"],
                )
        except Exception as error:  # pip fails in many ways
            self._log.add(f"{type(error).__name__}: {error}")
        importlib.invalidate_caches()
        self.detect()
        if not isInstalled():
            slicer.util.errorDisplay(
                _(
                    "PyTorch could not be installed; check the network and the free disk space, "
                    "or see the Python console. Nothing else was changed."
                )
            )
            return False
        return True

    def _poll(self) -> None:
        if self._job is None or self._job.poll():
            return
        try:
            found = self._job.result()
        except JobFailed as error:
            self._ui.setupLabel.text = _("PyTorch does not work; the log has the details.")
            self._log.add(error.details or str(error))
        else:
            self._showDevices(found["devices"])
            self._ui.setupLabel.text = _("PyTorch {version}, {device}").format(
                version=found["torch"], device=found["devices"][0]["title"]
            )
        self.stop()
        self._onDetected()

    def _showDevices(self, devices: list[dict]) -> None:
        """Offer what exists, and select what the user last chose where it still does."""
        box = self._ui.deviceComboBox
        wanted = qt.QSettings().value(DEVICE_SETTING, "auto")
        box.clear()
        box.addItem(_("Automatic (the fastest)"), "auto")
        for device in devices:
            box.addItem(deviceTitle(device), device["name"])
        box.setCurrentIndex(max(0, box.findData(wanted)))

    def _saveDevice(self, index: int) -> None:
        qt.QSettings().setValue(DEVICE_SETTING, self.device)


def isInstalled() -> bool:
    """Whether torch and torchvision can be imported; does not import them."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def deviceTitle(device: dict) -> str:
    """Name and memory of a device, for people."""
    if not device["memory"]:
        return device["title"]
    return f"{device['title']}, {device['memory'] / 2**30:.0f} GB"

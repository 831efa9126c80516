"""The whole path of a scan, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch

from .errors import FitError
from .io.validate import check_ct
from .lung.clusters import assign_clusters, order_clusters, split_mixed_clusters
from .lung.matching import match_along_z
from .lung.orientation import AxialOrder
from .lung.scan import Scan, prepare
from .lung.slices import network_input, spread_slices
from .progress import Progress, Reporter
from .result import LungResult
from .s3net.device import resolve_device
from .s3net.fitting import fit, predict
from .s3net.many import fit_each
from .settings import Settings

STAGES = {
    "volume": {"Preparing": 0.1, "Fitting": 0.6, "Clustering": 0.2, "Deciding": 0.1},
    "slice": {"Preparing": 0.02, "Fitting": 0.95, "Clustering": 0.01, "Deciding": 0.02},
}
"""Share of each stage in the whole work, by mode."""

POOR_FIT = (
    "The network told the tissues of this scan poorly apart; check the lungs, "
    "and if they are wrong, try another seed."
)


def segment_lungs(
    image: sitk.Image,
    settings: Settings | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> LungResult:
    """Segment the lungs in a CT volume.

    Parameters
    ----------
    image : SimpleITK.Image
        Scalar 3D image in Hounsfield units, any storage order and orientation.
    settings : Settings, optional
        Default: the preset ``"lung-ct"``.
    progress : callable, optional
        Called with a `Progress` a few times a second.
    cancelled : callable, optional
        Asked a few times a second; where it answers true, the work stops.

    Returns
    -------
    LungResult
        Where the scan holds no lungs, one whose `lungs` are empty.

    Raises
    ------
    InputError
        If the image is no CT volume or the device does not exist.
    FitError
        If every fit collapsed.
    Cancelled
        If `cancelled` answered true.
    """
    settings = settings or Settings()
    device = resolve_device(settings.device)
    settings = replace(settings, device=str(device))
    report = Reporter(progress, cancelled, STAGES[settings.mode])
    clock = _Clock()

    report.step("Preparing", 0, 1)
    check_ct(image)
    order = AxialOrder(image)
    hounsfield = order.apply(sitk.GetArrayViewFromImage(image))
    scan = prepare(hounsfield, order.spacing, settings.working_size)
    clock.lap("preparing")

    cluster = _fit_volume if settings.mode == "volume" else _fit_slices
    labels, warnings = cluster(scan, settings, device, report)
    clock.lap("fitting")

    report.step("Deciding", 0, 1)
    if settings.use_intensity:
        labels = split_mixed_clusters(labels, scan)
    result = LungResult.decide(image, scan, order_clusters(labels, scan), settings, warnings)
    clock.lap("deciding")
    report.step("Deciding", 1, 1)
    return replace(result, timings=clock.seconds)


def _fit_volume(
    scan: Scan, settings: Settings, device: torch.device, report: Reporter
) -> tuple[np.ndarray, list[str]]:
    """One network for the scan, fitted to slices spread over it; clusters of all slices."""
    images = torch.from_numpy(network_input(scan))
    fitted = images[spread_slices(scan, settings.fitted_slices)].to(device)
    found = fit(fitted, settings, lambda *count: report.step("Fitting", *count))
    network = found.network
    # Most of the K clusters die out during a fit; their scores would only take memory.
    alive = predict(network, fitted).argmax(1).unique()
    scores = np.empty((len(images), len(alive), *images.shape[2:]), np.float16)
    for start in range(0, len(images), len(fitted)):
        report.step("Clustering", start, len(images))
        batch = slice(start, start + len(fitted))
        scores[batch] = predict(network, images[batch].to(device))[:, alive].half().cpu().numpy()
    labels = assign_clusters(scores, scan.hounsfield, scan.body, settings.use_intensity)
    return labels, [POOR_FIT] if found.is_merged else []


def _fit_slices(
    scan: Scan, settings: Settings, device: torch.device, report: Reporter
) -> tuple[np.ndarray, list[str]]:
    """A network for every slice, as in the paper; their clusters matched along z."""
    images = torch.from_numpy(network_input(scan))
    labels = np.zeros(scan.body.shape, np.int64)
    failed = []
    fits = fit_each(images, settings, device, lambda *count: report.step("Fitting", *count))
    for z, found in enumerate(fits):
        if found is None:
            failed.append(z)
            continue
        scores = predict(found.network, images[z : z + 1].to(device)).cpu().numpy()
        inside = slice(z, z + 1)
        labels[inside] = assign_clusters(
            scores, scan.hounsfield[inside], scan.body[inside], settings.use_intensity
        )
    if len(failed) == len(images):
        raise FitError("No slice of this scan could be fitted; try another seed.")
    report.step("Clustering", 0, 1)
    matched = match_along_z(labels, scan.hounsfield, scan.body, settings.clusters)
    return matched, [f"{len(failed)} slices hold too little to be fitted."] if failed else []


class _Clock:
    """Seconds between laps."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now
        self.seconds["total"] = now - self._start

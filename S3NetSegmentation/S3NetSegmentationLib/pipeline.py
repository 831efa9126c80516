"""The whole path of a scan, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch

from .errors import FitError
from .geometry import Geometry
from .io.validate import check_ct
from .lung.clusters import (
    assign_clusters,
    choose_lung_clusters,
    cluster_map,
    describe_clusters,
    order_clusters,
    split_mixed_clusters,
)
from .lung.decision import decide_lungs
from .lung.figures import measure
from .lung.matching import match_along_z
from .lung.orientation import AxialOrder
from .lung.scan import Scan, prepare
from .lung.slices import network_input, spread_slices
from .progress import Progress, Reporter
from .result import LungResult
from .s3net.fit import fit
from .s3net.hardware.arrays import to_array, to_tensor
from .s3net.hardware.device import Device, resolve_device
from .s3net.hardware.fallback import DeviceFallback
from .settings import Settings

STAGES = {
    "volume": {"Preparing": 0.1, "Fitting": 0.6, "Clustering": 0.2, "Deciding": 0.1},
    "slice": {"Preparing": 0.02, "Fitting": 0.95, "Clustering": 0.01, "Deciding": 0.02},
}
"""Share of each stage in the whole work, by mode."""

POOR_FIT = (
    "The network could not separate the tissues of this scan well; check the lungs, and if they "
    "are wrong, try another seed."
)


# A fit needs gradients, also where its caller has switched them off.
@torch.inference_mode(False)
@torch.enable_grad()
def segment_lungs(
    image: sitk.Image,
    settings: Settings | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> LungResult:
    """Segment the lungs in a CT volume.

    Parameters
    ----------
    image : SimpleITK.Image
        Scalar 3D image in Hounsfield units, any storage order and orientation.
    settings : Settings, optional
        Default: the preset ``"lung-ct"``.
    on_progress : callable, optional
        Called with a `Progress` a few times a second.
    is_cancelled : callable, optional
        Asked before each step; if it answers true, the work stops.

    Returns
    -------
    LungResult
        Where the scan holds no lungs, one whose `lungs` are empty.

    Raises
    ------
    InputError
        If the image is not a CT volume, or the device does not exist.
    FitError
        If every fit diverged or ended in one cluster.
    Cancelled
        If `is_cancelled` answered true.
    """
    settings = settings or Settings()
    device = resolve_device(settings.device, settings.gpu_memory_gb)
    settings = replace(settings, device=device.name)
    report = Reporter(on_progress, is_cancelled, STAGES[settings.mode])
    clock = _Clock()

    report.step("Preparing", 0, 1)
    check_ct(image)
    geometry = Geometry.of(image)
    order = AxialOrder(geometry)
    hounsfield = order.apply(sitk.GetArrayViewFromImage(image))
    scan = prepare(hounsfield, order.spacing, settings.working_size)
    clock.lap("preparing")

    fit_and_assign = _one_network if settings.mode == "volume" else _network_per_slice
    labels, warnings = fit_and_assign(scan, settings, device, report)
    clock.lap("fitting")

    report.step("Deciding", 0, 1)
    if settings.use_intensity:
        labels = split_mixed_clusters(labels, scan)
    labels = order_clusters(labels, scan)
    clusters = cluster_map(labels, scan)
    table = describe_clusters(labels, scan, clusters, hounsfield, geometry.voxel_ml)
    chosen = choose_lung_clusters(table)
    lungs = decide_lungs(labels, chosen, scan, hounsfield, order, settings)
    figures = measure(lungs, scan, hounsfield, order, geometry.voxel_ml)
    clock.lap("deciding")
    report.step("Deciding", 1, 1)
    return LungResult(
        lung_array=order.restore(lungs),
        cluster_array=order.restore(clusters),
        geometry=geometry,
        table=table,
        chosen=chosen,
        figures=figures,
        settings=settings,
        timings=clock.seconds,
        warnings=warnings,
        scan=scan,
        labels=labels,
    )


def _one_network(
    scan: Scan, settings: Settings, device: Device, report: Reporter
) -> tuple[np.ndarray, tuple[str, ...]]:
    """One network for the scan, fitted to slices spread over it; the clusters of all slices."""
    images = to_tensor(network_input(scan))
    fitted = images[spread_slices(scan, settings.fitted_slices).tolist()]
    fallback = DeviceFallback(device)
    on_step = partial(report.step, "Fitting")
    found = fallback.run(lambda device: fit(device.place(fitted), settings, on_step))
    # Most of the K clusters die out during a fit; their scores would only take memory.
    alive = found.scores.argmax(1).unique().cpu()
    scores = np.empty((len(images), len(alive), *images.shape[2:]), np.float16)
    for start in range(0, len(images), len(fitted)):
        report.step("Clustering", start, len(images))
        batch = slice(start, start + len(fitted))
        predicted = fallback.predict(found.network, images[batch])
        scores[batch] = to_array(predicted[:, alive].half())
    labels = assign_clusters(scores, scan.hounsfield, scan.body, settings.use_intensity)
    return labels, (*fallback.warnings, *[POOR_FIT] * found.is_merged)


def _network_per_slice(
    scan: Scan, settings: Settings, device: Device, report: Reporter
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A network for every slice, as in the paper; their clusters matched along z."""
    images = to_tensor(network_input(scan))
    fallback = DeviceFallback(device)
    labels = np.zeros(scan.body.shape, np.int64)
    failed = 0
    fits = fallback.fit_each(images, settings, partial(report.step, "Fitting"))
    for z, found in enumerate(fits):
        if found is None:
            failed += 1
            continue
        inside = slice(z, z + 1)
        labels[inside] = assign_clusters(
            to_array(found.scores),
            scan.hounsfield[inside],
            scan.body[inside],
            settings.use_intensity,
        )
    if failed == len(images):
        raise FitError("No slice of this scan could be fitted; try another seed.")
    report.step("Clustering", 0, 1)
    matched = match_along_z(labels, scan.hounsfield, scan.body, settings.clusters)
    unfitted = [f"{failed} slices hold too little to be fitted."] if failed else []
    return matched, (*fallback.warnings, *unfitted)


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now
        self.seconds["total"] = now - self._start

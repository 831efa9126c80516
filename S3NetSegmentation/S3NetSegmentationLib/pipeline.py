"""The full pipeline on one scan: prepare, fit, assign, split, order, choose, decide, measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch

from .errors import FitError
from .geometry import Geometry
from .io.slices import implausible_slices
from .io.validate import check_ct
from .lung.clusters import (
    assign_clusters,
    choose_lung_clusters,
    cluster_map,
    order_clusters,
    split_mixed_clusters,
)
from .lung.decision import decide_lungs
from .lung.figures import measure
from .lung.matching import match_along_z
from .lung.scan import Scan, prepare
from .lung.scores import SliceScores, predicted_slices
from .lung.slices import network_input, spread_slices
from .lung.tissues import describe_tissues, divide_clusters, merge_order, tissue_map
from .orientation import AxialOrientation
from .progress import Progress, Reporter
from .result import LungResult
from .s3net.fit import fit
from .s3net.hardware.arrays import to_array, to_tensor
from .s3net.hardware.device import Device, resolve_device
from .s3net.hardware.fallback import DeviceFallback
from .settings import Settings

STAGES = {
    "volume": {"Preparing": 0.1, "Fitting": 0.4, "Clustering": 0.2, "Deciding": 0.3},
    "slice": {"Preparing": 0.02, "Fitting": 0.95, "Clustering": 0.01, "Deciding": 0.02},
}
"""Each stage's share of the run time, by mode."""

POOR_FIT = (
    "The network could not separate the tissues of this scan well; check the lungs, and if they "
    "are wrong, try another seed."
)


# A fit needs gradients, even if the caller has switched them off.
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
        Called before each step; if it returns true, the work stops.

    Returns
    -------
    LungResult
        If the scan contains no lungs, `lungs` is empty.

    Raises
    ------
    InputError
        If the image is not a CT volume, or the device does not exist.
    FitError
        If every fit diverged or ended in one cluster.
    Cancelled
        If `is_cancelled` returned true.
    """
    settings = settings or Settings()
    report = Reporter(on_progress, is_cancelled, STAGES[settings.mode])
    device = resolve_device(settings.device, settings.gpu_memory_gb)
    settings = replace(settings, device=device.name)

    report.step("Preparing", 0, 1)
    check_ct(image)
    doubts = implausible_slices(image)
    geometry = Geometry.of(image)
    axial = AxialOrientation(geometry)
    hounsfield = axial.apply(sitk.GetArrayViewFromImage(image))
    scan = prepare(hounsfield, axial.spacing, settings.working_size)

    # Labels are clusters on the working grid of `scan`; from `cluster_map` on, arrays have the full
    # resolution of `hounsfield`.
    fit_and_assign = _one_network if settings.mode == "volume" else _network_per_slice
    labels, scores, warnings = fit_and_assign(scan, settings, device, report)

    report.step("Deciding", 0, 1)
    if settings.use_intensity:
        labels = split_mixed_clusters(labels, scan)
    labels = order_clusters(labels, scan)
    cells = divide_clusters(labels, scan)
    merges = merge_order(cells, scan, scores)
    del scores  # they take much memory
    chosen = choose_lung_clusters(labels, scan, hounsfield)
    lungs = decide_lungs(labels, chosen, scan, hounsfield, axial, settings)
    automatic = scan.centers(lungs) > 0
    tissues = tissue_map(cells, scan, merges, settings.tissues)
    tissue_array = axial.restore(cluster_map(tissues, scan))
    figures = measure(lungs, scan, hounsfield, axial, geometry.voxel_ml)
    report.step("Deciding", 1, 1)
    return LungResult(
        lung_array=axial.restore(lungs),
        tissue_array=tissue_array,
        tissue_table=describe_tissues(tissues, scan, automatic),
        geometry=geometry,
        chosen=chosen,
        figures=figures,
        settings=settings,
        timings=report.seconds,
        warnings=(*doubts, *warnings),
        scan=scan,
        labels=labels,
        merges=merges,
        automatic=automatic,
        picks=np.zeros_like(labels),
    )


def _one_network(
    scan: Scan, settings: Settings, device: Device, report: Reporter
) -> tuple[np.ndarray, SliceScores, tuple[str, ...]]:
    """Clusters (z, y, x) of all slices by one network, which is fitted to some; its scores."""
    images = to_tensor(network_input(scan))
    fitting_slices = images[spread_slices(scan, settings.fitted_slices).tolist()]
    fallback = DeviceFallback(device)
    on_step = partial(report.step, "Fitting")
    result = fallback.run(lambda where: fit(where.place(fitting_slices), settings, on_step))
    # Most of the K clusters die out during a fit; their scores would only take memory.
    alive = result.scores.argmax(1).unique().cpu()
    places = predicted_slices(scan)
    predicted = np.empty((len(places), len(alive), *images.shape[2:]), np.float16)
    # A prediction takes less memory than a fit, so as many slices have room again.
    for start in range(0, len(places), len(fitting_slices)):
        report.step("Clustering", start, len(places))
        batch = slice(start, start + len(fitting_slices))
        logits = fallback.predict(result.network, images[places[batch].tolist()])
        predicted[batch] = to_array(logits[:, alive].half())
    scores = SliceScores(places, predicted)
    labels = assign_clusters(scores, scan.hounsfield, scan.body, settings.use_intensity)
    warnings = [*fallback.warnings, POOR_FIT] if result.is_merged else fallback.warnings
    return labels, scores, tuple(warnings)


def _network_per_slice(
    scan: Scan, settings: Settings, device: Device, report: Reporter
) -> tuple[np.ndarray, None, tuple[str, ...]]:
    """Clusters (z, y, x) by a network for every slice, as in the paper, matched along z.

    The scores of different networks have nothing in common.
    """
    images = to_tensor(network_input(scan))
    fallback = DeviceFallback(device)
    labels = np.zeros(scan.body.shape, np.int64)
    failed = 0
    fits = fallback.fit_each(images, settings, partial(report.step, "Fitting"))
    for z, result in enumerate(fits):
        if result is None:
            failed += 1
            continue
        this_slice = slice(z, z + 1)
        labels[this_slice] = assign_clusters(
            to_array(result.scores),
            scan.hounsfield[this_slice],
            scan.body[this_slice],
            settings.use_intensity,
        )
    if failed == len(images):
        raise FitError("No slice of this scan could be fitted; try another seed.")
    report.step("Clustering", 0, 1)
    matched = match_along_z(labels, scan.hounsfield, scan.body, settings.clusters)
    warnings = list(fallback.warnings)
    if failed:
        warnings.append(f"{failed} of {len(images)} slices contain too little tissue to be fitted.")
    return matched, None, tuple(warnings)

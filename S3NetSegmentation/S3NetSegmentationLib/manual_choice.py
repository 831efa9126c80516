"""Choosing other clusters as lung, without fitting again. No torch."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .errors import InputError
from .geometry import Geometry
from .lung.clusters import ClusterStatistics, checked_numbers
from .lung.decision import decide_lungs
from .lung.figures import LungFigures, measure
from .lung.orientation import AxialOrientation
from .lung.scan import Scan
from .result import LungResult
from .settings import Settings


def choose_clusters(
    result: LungResult, hounsfield: np.ndarray, numbers: Iterable[int]
) -> LungResult:
    """Decide the lungs anew from other clusters.

    Parameters
    ----------
    result : LungResult
    hounsfield : ndarray, (k, j, i)
        The voxels that were segmented, in order of storage.
    numbers : iterable of int
        The clusters to take as lung.

    Raises
    ------
    InputError
        If a number is not a cluster of this result, or the voxels are other ones.
    """
    start = time.perf_counter()
    chosen = checked_numbers(numbers, len(result.table))
    if hounsfield.shape != result.cluster_array.shape:
        raise InputError("This is not the image that was segmented: its size differs.")
    order = AxialOrientation(result.geometry)
    axial = order.apply(hounsfield)
    lungs = decide_lungs(result.labels, chosen, result.scan, axial, order, result.settings)
    return replace(
        result,
        lung_array=order.restore(lungs),
        chosen=chosen,
        figures=measure(lungs, result.scan, axial, order, result.geometry.voxel_ml),
        timings={**result.timings, "choose": time.perf_counter() - start},
    )


def restore_result(
    hounsfield: np.ndarray,
    geometry: Geometry,
    clusters: np.ndarray,
    table: Iterable[ClusterStatistics],
    numbers: Iterable[int],
    settings: Settings,
    scan_text: str,
) -> LungResult:
    """A result from what a scene keeps of it, with any choice of clusters.

    Parameters
    ----------
    hounsfield : ndarray, (k, j, i)
        The voxels that were segmented, in order of storage.
    geometry : Geometry
    clusters : ndarray of uint8
        The `cluster_array`.
    table, settings
        As they were.
    numbers : iterable of int
        The clusters to take as lung.
    scan_text : str
        From `Scan.to_text`.

    Raises
    ------
    InputError
        If a number is not a cluster of this result.
    """
    order = AxialOrientation(geometry)
    scan = Scan.from_text(scan_text, order.apply(hounsfield))
    undecided = LungResult(
        lung_array=np.zeros(clusters.shape, np.uint8),
        cluster_array=clusters,
        geometry=geometry,
        table=tuple(table),
        chosen=(),
        figures=LungFigures(lungs=(), quality=0.0, slice_quality=np.empty(0), hints=()),
        settings=settings,
        timings={},
        warnings=(),
        scan=scan,
        labels=scan.grid.centers(order.apply(clusters))[scan.box],
    )
    return choose_clusters(undecided, hounsfield, numbers)

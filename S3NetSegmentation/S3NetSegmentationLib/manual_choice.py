"""Choosing by hand what is lung, without fitting again. No torch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from .errors import InputError
from .geometry import Geometry
from .lung.clusters import checked_numbers, cluster_map
from .lung.decision import GIVEN_BACK, TAKEN, decide_lungs
from .lung.figures import LungFigures, measure
from .lung.scan import Scan, packed, unpacked
from .lung.tissues import describe_tissues, divide_clusters, tissue_map
from .orientation import AxialOrientation
from .result import LungResult
from .settings import Settings


def choose_tissues(
    result: LungResult, hounsfield: np.ndarray, numbers: Iterable[int]
) -> LungResult:
    """Decide the lungs anew from other tissues.

    A tissue that already is lung, or is not, as it should be, stays as it is, with the parts of it
    that were picked.

    Parameters
    ----------
    result : LungResult
    hounsfield : ndarray, (k, j, i)
        The voxels that were segmented, in order of storage.
    numbers : iterable of int
        The tissues to take as lung.

    Raises
    ------
    InputError
        If a number is not a tissue of this result, or the voxels are other ones.
    """
    chosen = checked_numbers(numbers, len(result.tissue_table), "tissue")
    picks = result.picks
    for tissue in result.tissue_table:
        if tissue.is_lung != (tissue.number in chosen):
            picks = _marked(
                result, picks, result.tissue_labels == tissue.number, not tissue.is_lung
            )
    return _decided(result, hounsfield, picks)


def pick(
    result: LungResult, hounsfield: np.ndarray, index: Sequence[int], whole: bool = False
) -> LungResult:
    """Take the part of a tissue at a voxel as lung, or give it back if it mostly is.

    Parameters
    ----------
    result : LungResult
    hounsfield : ndarray, (k, j, i)
        The voxels that were segmented, in order of storage.
    index : sequence of int
        (k, j, i); where there is no tissue, nothing changes.
    whole : bool
        Whether to pick the whole tissue in the body, not only the connected part.

    Raises
    ------
    InputError
        If the voxels are other ones.
    """
    part = result.part_at(index, whole)
    if part is None:
        return result
    mask = result.part_mask(part)
    is_lung = _on_grid(result)[mask].mean() >= 0.5
    return _decided(result, hounsfield, _marked(result, result.picks, mask, not is_lung))


def merge_tissues(result: LungResult, count: int) -> LungResult:
    """Merge the clusters to another number of tissues; the lungs stay.

    Parameters
    ----------
    result : LungResult
    count : int
        As of `Settings.tissues`.

    Raises
    ------
    InputError
        If there can't be so many.
    """
    settings = replace(result.settings, tissues=count)
    cells = divide_clusters(result.labels, result.scan)
    tissues = tissue_map(cells, result.scan, result.merges, settings.tissues)
    return replace(
        result,
        settings=settings,
        tissue_array=result.order.restore(cluster_map(tissues, result.scan)),
        tissue_table=describe_tissues(tissues, result.scan, _on_grid(result)),
    )


def _on_grid(result: LungResult) -> np.ndarray:
    """Where the lungs are on the working grid, (z, y, x) of bool."""
    return result.scan.centers(result.order.apply(result.lung_array)) > 0


def _marked(result: LungResult, picks: np.ndarray, mask: np.ndarray, is_taken: bool) -> np.ndarray:
    """Picks with a part taken or given back; what then is as it was without any has no mark.

    Vessels and the rim of a lung are other tissues than it, but follow it.
    """
    is_automatic = (result.automatic[mask].mean() >= 0.5) == is_taken
    mark = 0 if is_automatic else TAKEN if is_taken else GIVEN_BACK
    marked = np.where(mask, mark, picks).astype(np.uint8)
    numbers = np.arange(1, len(result.tissue_table) + 1)
    shares = ndimage.mean(result.automatic, result.tissue_labels, numbers)
    lung = np.isin(result.tissue_labels, numbers[shares >= 0.5])
    if not lung.any():
        return marked
    nearest = tuple(
        ndimage.distance_transform_edt(
            ~lung, result.scan.spacing, return_distances=False, return_indices=True
        )
    )
    follows = mask[nearest] & (picks == picks[nearest]) | mask & (mark == 0)
    follows &= ndimage.binary_dilation(result.automatic) & ~lung
    return np.where(follows, marked[nearest], marked)


def _decided(result: LungResult, hounsfield: np.ndarray, picks: np.ndarray) -> LungResult:
    """The result with other picks."""
    start = time.perf_counter()
    if hounsfield.shape != result.tissue_array.shape:
        raise InputError("This is not the image that was segmented: its size differs.")
    scan, order = result.scan, result.order
    axial = order.apply(hounsfield)
    lungs = decide_lungs(result.labels, result.chosen, scan, axial, order, result.settings, picks)
    return replace(
        result,
        lung_array=order.restore(lungs),
        tissue_table=describe_tissues(result.tissue_labels, scan, scan.centers(lungs) > 0),
        figures=measure(lungs, scan, axial, order, result.geometry.voxel_ml),
        timings={**result.timings, "choose": time.perf_counter() - start},
        picks=picks,
    )


KEPT = ("labels", "merges", "automatic")


def as_text(result: LungResult) -> str:
    """What no choice changes, so short that a node of a scene can keep it; for `restore_result`."""
    arrays = {name: packed(getattr(result, name)) for name in KEPT}
    return json.dumps({"scan": result.scan.to_text(), "chosen": result.chosen, **arrays})


def restore_result(
    hounsfield: np.ndarray,
    geometry: Geometry,
    tissues: np.ndarray,
    settings: Settings,
    text: str,
    picks: np.ndarray,
) -> LungResult:
    """A result from what a scene keeps of it.

    Parameters
    ----------
    hounsfield : ndarray, (k, j, i)
        The voxels that were segmented, in order of storage.
    geometry : Geometry
    tissues : ndarray of uint8
        The `tissue_array`.
    settings : Settings
    text : str
        From `as_text`.
    picks : ndarray of uint8
        The `picks`.
    """
    description = json.loads(text)
    order = AxialOrientation(geometry)
    undecided = LungResult(
        lung_array=np.zeros(tissues.shape, np.uint8),
        tissue_array=tissues,
        tissue_table=(),
        geometry=geometry,
        chosen=tuple(description["chosen"]),
        figures=LungFigures(numbers={}, quality=0.0, slice_quality=np.empty(0), hints=()),
        settings=settings,
        timings={},
        warnings=(),
        scan=Scan.from_text(description["scan"], order.apply(hounsfield)),
        picks=picks,
        **{name: unpacked(*description[name]) for name in KEPT},
    )
    return _decided(undecided, hounsfield, picks)

"""The whole path of a picture, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from ..errors import InputError
from ..evaluation.overlap import dice
from ..pipeline import segment_lungs
from ..progress import Progress, Reporter
from ..s3net.arrays import to_array, to_tensor
from ..s3net.device import resolve_device
from ..s3net.processor import Processor
from ..settings import Settings
from .grayscale import slice_as_scan
from .regions import decide_regions, merged_regions, resized
from .result import PictureResult, Region, choose_region, describe_regions, mask_of
from .view import lens_view

MIN_SIZE = 32
"""Pixels along each side of a picture that can be segmented."""

CLIP = 3.0
"""Standard deviations of the colors that the network sees."""

UNSURE = 0.8
"""Agreement of the fits below which the user is to look."""

DISAGREE = (
    "Fits with different seeds do not agree on this picture; check the mask, or name a point "
    "inside of what you look for."
)


# A fit needs gradients, also where its caller has switched them off.
@torch.inference_mode(False)
@torch.enable_grad()
def segment_picture(
    picture: np.ndarray,
    settings: Settings | None = None,
    *,
    at: tuple[int, int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> PictureResult:
    """Segment a picture: a skin lesion, the lungs in a CT slice without Hounsfield units.

    Parameters
    ----------
    picture : ndarray, (y, x) or (y, x, 3)
        Gray or RGB, of any number type.
    settings : Settings, optional
        Default: the preset ``"skin"``. Where `choice` is ``"lung"`` the picture is taken for an
        axial CT slice, the patient's front up.
    at : tuple of int, optional
        Column and row of a point inside of what is looked for; overrides `choice`.
    on_progress : callable, optional
        Called with a `Progress` a few times a second.
    is_cancelled : callable, optional
        Asked before each step; if it answers true, the work stops.

    Raises
    ------
    InputError
        If this is no such picture, or the point lies outside of it.
    FitError
        If every fit diverged or ended in one cluster.
    Cancelled
        If `is_cancelled` answered true.
    """
    settings = settings or Settings.from_preset("skin")
    start = time.perf_counter()
    picture = _checked(picture)
    if at is not None:
        _check_point(at, picture.shape)
    if settings.choice == "lung":
        result = _lungs(picture, settings, on_progress, is_cancelled)
    else:
        result = _regions(picture, settings, on_progress, is_cancelled)
    if at is not None:
        result = result.choose_at(*at)
    return replace(result, timings={"total": time.perf_counter() - start})


def _checked(picture: np.ndarray) -> np.ndarray:
    """The picture as float32, (y, x, channels)."""
    picture = np.asarray(picture)
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[-1] not in (1, 3):
        raise InputError("This is not a grayscale or RGB picture.")
    if min(picture.shape[:2]) < MIN_SIZE:
        raise InputError(f"The picture is too small; it needs {MIN_SIZE} pixels on each side.")
    picture = picture.astype(np.float32)
    if not np.isfinite(picture).all():
        raise InputError("The picture holds values that are not numbers (NaN or infinite).")
    if picture.min() == picture.max():
        raise InputError("Every pixel of the picture is the same; there is nothing to see.")
    return picture


def _check_point(at: tuple[int, int], shape: tuple[int, ...]) -> None:
    if not (0 <= at[0] < shape[1] and 0 <= at[1] < shape[0]):
        raise InputError(
            f"The point {at[0]},{at[1]} lies outside the picture of {shape[1]} x {shape[0]}."
        )


def _lungs(
    picture: np.ndarray,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    is_cancelled: Callable[[], bool] | None,
) -> PictureResult:
    """The lungs in a CT slice whose Hounsfield units are estimated."""
    if np.ptp(picture, axis=-1).max() > 0:
        raise InputError("This picture has colors, a CT slice has none; try the preset skin.")
    scan = slice_as_scan(picture[..., 0])
    found = segment_lungs(scan, settings, on_progress=on_progress, is_cancelled=is_cancelled)
    clusters = found.cluster_array[0]
    return PictureResult(
        mask=found.lung_array[0] > 0,
        clusters=clusters,
        table=describe_regions(clusters, picture),
        chosen=found.chosen,
        settings=found.settings,
        timings={},
        warnings=found.warnings,
        quality=found.figures.quality,
    )


def _regions(
    picture: np.ndarray,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    is_cancelled: Callable[[], bool] | None,
) -> PictureResult:
    """The regions of a picture, and the one that is looked for."""
    device = resolve_device(settings.device)
    processor = Processor(device)
    report = Reporter(on_progress, is_cancelled, {"Fitting": 0.95, "Deciding": 0.05})
    colors = _to_bytes(picture)
    view = lens_view(colors)
    image, coarse, coarse_view = _network_input(colors, view, settings.working_size)
    maps = []
    for index in range(settings.fits):

        def step(done: int, total: int, index: int = index) -> None:
            report.step("Fitting", index * total + done, settings.fits * total)

        seeded = replace(settings, seed=settings.seed + index)
        count = settings.regions or settings.clusters
        fitted = processor.fit(to_tensor(image)[None], seeded, step)
        scores = to_array(fitted.scores[0])
        maps.append(merged_regions(scores, coarse, coarse_view, count))
    report.step("Deciding", 0, 1)
    count = min(len(soft) for soft in maps)
    soft = np.mean([each for each in maps if len(each) == count], axis=0)
    clusters = _decided(soft, colors, view, settings)
    table = describe_regions(clusters, picture)
    chosen = choose_region(table, settings.choice)
    quality = _agreement(maps, soft, coarse_view, chosen)
    report.step("Deciding", 1, 1)
    return PictureResult(
        mask=mask_of(clusters, chosen),
        clusters=clusters,
        table=table,
        chosen=chosen,
        settings=replace(settings, device=device.name),
        timings={},
        warnings=(*processor.warnings, *[DISAGREE] * (quality < UNSURE)),
        quality=quality,
    )


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    """The picture on a scale of 0 to 255, whatever its number type."""
    low, high = picture.min(), picture.max()
    if low >= 0 and 1 < high <= 255:
        return picture
    return (picture - low) * (255 / (high - low))


def _network_input(
    colors: np.ndarray, view: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network sees, (channels, y, x); colors and view on its grid.

    Outside the view the nearest colors inside go on: dark corners would be a region.
    """
    zoom = np.full(2, min(1.0, size / max(view.shape)))
    coarse = np.stack([resized(channel, zoom) for channel in np.moveaxis(colors, -1, 0)], -1)
    inside = resized(view.astype(np.float32), zoom) > 0.5
    nearest = ndimage.distance_transform_edt(~inside, return_indices=True, return_distances=False)
    values = coarse[inside]
    scaled = (coarse[tuple(nearest)] - values.mean(0)) / max(values.std(), 1e-6)
    image = np.ascontiguousarray(np.moveaxis(scaled.clip(-CLIP, CLIP), -1, 0), np.float32)
    return image, coarse, inside


def _decided(
    soft: np.ndarray, colors: np.ndarray, view: np.ndarray, settings: Settings
) -> np.ndarray:
    """The region of every pixel, from 1; 0 outside the view."""
    if settings.use_intensity:
        return decide_regions(soft, colors, view)
    zoom = np.divide(view.shape, soft.shape[1:])
    labels = np.stack([resized(part, zoom) for part in soft]).argmax(0)
    return np.where(view, 1 + labels, 0).astype(np.uint8)


def _agreement(
    maps: list[np.ndarray], soft: np.ndarray, view: np.ndarray, chosen: tuple[int, ...]
) -> float:
    """Mean Dice of each fit's chosen region and that of all fits together; 0 without one."""
    if not chosen:
        return 0.0
    index = chosen[0] - 1
    common = view & (soft.argmax(0) == index)
    return float(np.mean([dice(view & (each.argmax(0) == index), common) for each in maps]))


__all__ = ["PictureResult", "Region", "segment_picture"]

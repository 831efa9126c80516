"""The whole path of a picture: fits, regions, and the choice of a region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from ..errors import InputError
from ..evaluation.overlap import dice
from ..progress import Progress, Reporter
from ..resampling import resized
from ..s3net.fit import Fit, OnStep, fit
from ..s3net.hardware.arrays import to_array, to_tensor
from ..s3net.hardware.device import Device, resolve_device
from ..s3net.hardware.fallback import DeviceFallback
from ..settings import PictureSettings
from .regions import decide_regions, merged_regions
from .result import PictureResult, choose_region, describe_regions, mask_of
from .view import lens_view

STAGES = {"Fitting": 0.95, "Deciding": 0.05}
"""Each stage's share of the run time."""

MIN_PICTURE_PIXELS = 32
"""Minimum size along each side of a picture; the smallest that were tried have 64."""

MAX_DEVIATIONS = 3.0
"""Colors are clipped at this many standard deviations from the mean before the network sees them:
99.7% of a normal distribution."""

MIN_AGREEMENT = 0.8
"""Agreement of the fits (Dice score) below which a warning is shown. Chosen, not measured."""

DISAGREE = (
    "Fits with different seeds do not agree on this picture; check the mask, or choose a point "
    "inside the region that you are looking for."
)


# A fit needs gradients, even if the caller has switched them off.
@torch.inference_mode(False)
@torch.enable_grad()
def segment_picture(
    picture: np.ndarray,
    settings: PictureSettings | None = None,
    *,
    at: tuple[int, int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> PictureResult:
    """Segment a picture, such as a photograph of a skin lesion.

    Parameters
    ----------
    picture : ndarray, (y, x) or (y, x, 3)
        Gray or RGB, of any number type.
    settings : PictureSettings, optional
        Default: the preset ``"skin"``.
    at : tuple of int, optional
        Column and row of a point inside the wanted region; overrides `choice`.
    on_progress : callable, optional
        Called with a `Progress` a few times a second.
    is_cancelled : callable, optional
        Called before each step; if it returns true, the work stops.

    Raises
    ------
    InputError
        If this is not such a picture, or the point lies outside it.
    FitError
        If every fit diverged or ended in one cluster.
    Cancelled
        If `is_cancelled` returned true.
    """
    settings = settings or PictureSettings()
    report = Reporter(on_progress, is_cancelled, STAGES)
    picture = checked_picture(picture, at)
    device = resolve_device(settings.device)
    fallback = DeviceFallback(device)
    colors = _to_bytes(picture)
    view = lens_view(colors)
    image, coarse, coarse_view = _network_input(colors, view, settings.working_size)
    count = settings.regions or settings.clusters
    maps = [
        merged_regions(scores, coarse, coarse_view, count)
        for scores in _fits(image, settings, fallback, report)
    ]
    report.step("Deciding", 0, 1)
    count = min(len(soft) for soft in maps)
    soft = np.mean([each for each in maps if len(each) == count], axis=0)
    clusters = _decided(soft, colors, view, settings)
    table = describe_regions(clusters, picture)
    chosen = choose_region(table, settings.choice)
    quality = _agreement(maps, soft, coarse_view, chosen)
    report.step("Deciding", 1, 1)
    result = PictureResult(
        mask=mask_of(clusters, chosen),
        clusters=clusters,
        table=table,
        chosen=chosen,
        settings=replace(settings, device=device.name),
        timings=report.seconds,
        warnings=(*fallback.warnings, *[DISAGREE] * (quality < MIN_AGREEMENT)),
        quality=quality,
    )
    return result if at is None else result.choose_at(*at)


def checked_picture(picture: np.ndarray, at: tuple[int, int] | None) -> np.ndarray:
    """The picture as float32, (y, x, channels).

    Raises
    ------
    InputError
        If this is not a picture, or the point lies outside it.
    """
    picture = np.asarray(picture)
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[-1] not in (1, 3):
        raise InputError("This is not a grayscale or RGB picture.")
    height, width = picture.shape[:2]
    if min(height, width) < MIN_PICTURE_PIXELS:
        raise InputError(
            f"The picture is too small; it needs {MIN_PICTURE_PIXELS} pixels on each side."
        )
    picture = picture.astype(np.float32)
    if not np.isfinite(picture).all():
        raise InputError("The picture contains values that are not numbers (NaN or infinite).")
    if picture.min() == picture.max():
        raise InputError("Every pixel of the picture is the same; there is nothing to see.")
    if at is not None and not (0 <= at[0] < width and 0 <= at[1] < height):
        raise InputError(
            f"The point {at[0]},{at[1]} lies outside the picture of {width} x {height}."
        )
    return picture


def _fits(
    image: np.ndarray, settings: PictureSettings, fallback: DeviceFallback, report: Reporter
) -> Iterator[np.ndarray]:
    """The scores (K, y, x) of fits with consecutive seeds."""
    for index in range(settings.fits):

        def on_step(done: int, total: int, index: int = index) -> None:
            report.step("Fitting", index * total + done, settings.fits * total)

        def work(device: Device, index: int = index, on_step: OnStep = on_step) -> Fit:
            seeded = replace(settings, seed=settings.seed + index)
            return fit(device.place(to_tensor(image)[None]), seeded, on_step)

        yield to_array(fallback.run(work).scores[0])


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    """The picture on a scale of 0 to 255, whatever its number type."""
    low, high = picture.min(), picture.max()
    if low >= 0 and 1 < high <= 255:
        return picture
    return (picture - low) * (255 / (high - low))


def _network_input(
    colors: np.ndarray, view: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input of the network, (channels, y, x), with colors and view on the same grid.

    Outside the view, the nearest colors inside are repeated: dark corners would become a region.
    """
    zoom = min(1.0, size / max(view.shape))
    coarse = resized(colors, (zoom, zoom, 1))
    inside = resized(view.astype(np.float32), (zoom, zoom)) > 0.5
    nearest = ndimage.distance_transform_edt(~inside, return_indices=True, return_distances=False)
    values = coarse[inside]
    scaled = (coarse[tuple(nearest)] - values.mean(0)) / max(values.std(), 1e-6)
    image = np.ascontiguousarray(
        np.moveaxis(scaled.clip(-MAX_DEVIATIONS, MAX_DEVIATIONS), -1, 0), np.float32
    )
    return image, coarse, inside


def _decided(
    soft: np.ndarray, colors: np.ndarray, view: np.ndarray, settings: PictureSettings
) -> np.ndarray:
    """The region of every pixel, from 1; 0 outside the view."""
    if settings.use_intensity:
        return decide_regions(soft, colors, view)
    labels = resized(soft, np.divide((len(soft), *view.shape), soft.shape)).argmax(0)
    return np.where(view, 1 + labels, 0).astype(np.uint8)


def _agreement(
    maps: list[np.ndarray], soft: np.ndarray, view: np.ndarray, chosen: tuple[int, ...]
) -> float:
    """Mean Dice score of each fit's chosen region against that of all fits; 0 without one."""
    if not chosen:
        return 0.0
    index = chosen[0] - 1
    common = view & (soft.argmax(0) == index)
    return float(np.mean([dice(view & (each.argmax(0) == index), common) for each in maps]))

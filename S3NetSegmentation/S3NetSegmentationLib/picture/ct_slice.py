"""The lungs in a picture of a CT slice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..pipeline import segment_lungs
from ..progress import Progress
from ..settings import Settings
from .grayscale import slice_as_scan
from .result import PictureResult, describe_regions
from .segment import checked_picture


def segment_ct_picture(
    picture: np.ndarray,
    settings: Settings | None = None,
    *,
    at: tuple[int, int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> PictureResult:
    """Segment the lungs in a picture of a CT slice that has lost its Hounsfield units.

    Parameters
    ----------
    picture : ndarray, (y, x) or (y, x, 3)
        An axial slice with the patient's front up; three channels only if all are equal.
    settings : Settings, optional
        Default: the preset ``"lung-ct"``.
    at, on_progress, is_cancelled
        As for `segment_picture`.

    Raises
    ------
    InputError
        If this is not such a picture, or the point lies outside it.
    FitError
        If every fit diverged or ended in one cluster.
    Cancelled
        If `is_cancelled` returned true.
    """
    picture = checked_picture(picture, at)
    if np.ptp(picture, axis=-1).max() > 0:
        raise InputError("This picture has colors, but a CT slice has none; try the preset skin.")
    scan = slice_as_scan(picture[..., 0])
    found = segment_lungs(scan, settings, on_progress=on_progress, is_cancelled=is_cancelled)
    clusters = found.cluster_array[0]
    result = PictureResult(
        mask=found.lung_array[0] > 0,
        clusters=clusters,
        table=describe_regions(clusters, picture),
        chosen=found.chosen,
        settings=found.settings,
        timings=found.timings,
        warnings=found.warnings,
        quality=found.figures.quality,
    )
    return result if at is None else result.choose_at(*at)

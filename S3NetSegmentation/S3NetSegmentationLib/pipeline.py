"""The whole path of a scan, top to bottom."""

from __future__ import annotations

from collections.abc import Callable

import SimpleITK as sitk

from .progress import Progress
from .result import LungResult
from .settings import Settings


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
        Where the scan holds no lungs, one whose `lungs` are empty and `chosen` is ().

    Raises
    ------
    InputError
        If the image is no CT volume or the device does not exist.
    FitError
        If every fit collapsed.
    Cancelled
        If `cancelled` answered true.
    """
    raise NotImplementedError

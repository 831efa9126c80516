"""The real engine without a process of its own, for tests of what happens around it."""

from __future__ import annotations

import hashlib

import phantom
import SimpleITK as sitk
from quick import QUICK
from S3NetSegmentationLib.errors import S3NetError
from S3NetSegmentationLib.pipeline import segment_lungs
from S3NetSegmentationLib.settings import Settings

LONG = Settings(device="cpu", working_size=128, iterations=2000)
"""Takes minutes."""

COARSER = 1.5


def small_chest(geometry: str = "axial", **options) -> phantom.Phantom:
    """The phantom in one of its geometries, with larger voxels for the sake of speed."""
    plain = {"spacing": (4.0, 3.5, 4.0), "size": (104, 78, 76), **phantom.GEOMETRIES[geometry]}
    plain["spacing"] = tuple(COARSER * value for value in plain["spacing"])
    plain["size"] = tuple(round(value / COARSER) for value in plain["size"])
    return phantom.thorax(**plain, **options)


_KNOWN: dict[tuple, object] = {}


def segmented(image: sitk.Image, settings: Settings = QUICK):
    """What `segment_lungs` gives; the same scan with the same settings is segmented only once."""
    voxels = hashlib.sha256(sitk.GetArrayFromImage(image)).hexdigest()
    place = tuple(
        tuple(round(value, 6) for value in values)
        for values in (image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    )
    key = (voxels, place, settings)
    if key not in _KNOWN:
        _KNOWN[key] = segment_lungs(image, settings)
    return _KNOWN[key]


class JobHere:
    """A job that has ended when it begins; otherwise as `SegmentationJob`."""

    def __init__(self, image: sitk.Image, settings: Settings, temporary: str | None = None):
        try:
            self._result = segmented(image, settings)
        except S3NetError as error:
            self._result = error

    def poll(self, on_progress=None, on_log=None) -> bool:
        return False

    def result(self):
        if isinstance(self._result, S3NetError):
            raise self._result
        return self._result

    def cancel(self) -> None:
        pass

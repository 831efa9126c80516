"""Lung segmentation in CT without training data, by S3-Net.

>>> from S3NetSegmentationLib import Settings, segment_lungs  # doctest: +SKIP
>>> result = segment_lungs(image, Settings(seed=1))  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .openmp import limit_spinning
from .settings import PICTURE_PRESETS, PRESETS, PictureSettings, Settings

if TYPE_CHECKING:
    from .click.regions import regions_at
    from .manual_choice import choose_tissues, merge_tissues, pick
    from .picture.ct_slice import segment_ct_picture
    from .picture.segment import segment_picture
    from .pipeline import segment_lungs

__version__ = "0.1.0"
__all__ = [
    "PICTURE_PRESETS",
    "PRESETS",
    "PictureSettings",
    "Settings",
    "choose_tissues",
    "merge_tissues",
    "pick",
    "regions_at",
    "segment_ct_picture",
    "segment_lungs",
    "segment_picture",
]

# torch takes seconds to import, and Slicer loads this package at start-up.
_LAZY = {
    "regions_at": ".click.regions",
    "choose_tissues": ".manual_choice",
    "merge_tissues": ".manual_choice",
    "pick": ".manual_choice",
    "segment_lungs": ".pipeline",
    "segment_ct_picture": ".picture.ct_slice",
    "segment_picture": ".picture.segment",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        limit_spinning()
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Lung segmentation in CT without training data, by S3-Net.

>>> from S3NetSegmentationLib import Settings, segment_lungs  # doctest: +SKIP
>>> result = segment_lungs(image, Settings(seed=1))  # doctest: +SKIP
"""

from .settings import PRESETS, Settings

__version__ = "0.1.0"
__all__ = ["PRESETS", "Settings", "segment_lungs", "segment_picture"]


def __getattr__(name: str):
    # torch takes seconds to import, and Slicer loads this package at start-up.
    if name == "segment_lungs":
        from .pipeline import segment_lungs

        return segment_lungs
    if name == "segment_picture":
        from .picture.pipeline import segment_picture

        return segment_picture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

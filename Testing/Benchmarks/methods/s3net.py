"""S3-Net, by the functions that users call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from S3NetSegmentationLib import (
    PICTURE_PRESETS,
    PRESETS,
    segment_ct_picture,
    segment_lungs,
    segment_picture,
)

from . import Method, Prediction


def _volume(preset: str, **changes):
    def segment(image: sitk.Image, seed: int) -> Prediction:
        settings = replace(PRESETS[preset], seed=seed, device="cpu", **changes)
        result = segment_lungs(image, settings)
        return Prediction(result.lung_array > 0, result.cluster_array, result.figures.quality)

    return segment


def _picture(preset: str, **changes):
    def segment(picture: np.ndarray, seed: int) -> Prediction:
        changed = {"seed": seed, "device": "cpu", **changes}
        if preset in PRESETS:
            result = segment_ct_picture(picture, replace(PRESETS[preset], **changed))
        else:
            result = segment_picture(picture, replace(PICTURE_PRESETS[preset], **changed))
        clusters = result.clusters
        if len(result.chosen) > 1:
            # Clusters that the method itself holds for the same thing are one.
            clusters = np.where(np.isin(clusters, result.chosen), result.chosen[0], clusters)
        return Prediction(result.mask, clusters, result.quality)

    return segment


def _method(**changes) -> Method:
    return Method(
        _volume("lung-ct", **changes), _picture("lung-ct", **changes), _picture("skin", **changes)
    )


METHOD = _method()
SLICE_MODE = Method(volume=_volume("lung-ct", mode="slice"))
FARTHER_BORDER = Method(volume=_volume("lung-ct", border=0.7))
"""Where many readers draw it."""

ABLATIONS = {
    "s3net without affine": _method(weight_affine=0),
    "s3net without spatial": _method(weight_spatial=0),
    "s3net without both": _method(weight_affine=0, weight_spatial=0),
    "s3net without inception": _method(inception=False),
    "s3net without deformable": _method(deformable=False),
}

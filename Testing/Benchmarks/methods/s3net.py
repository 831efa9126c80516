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


def _picture(preset: str):
    def segment(picture: np.ndarray, seed: int) -> Prediction:
        if preset in PRESETS:
            settings = replace(PRESETS[preset], seed=seed, device="cpu")
            result = segment_ct_picture(picture, settings)
        else:
            settings = replace(PICTURE_PRESETS[preset], seed=seed, device="cpu")
            result = segment_picture(picture, settings)
        clusters = result.clusters
        if len(result.chosen) > 1:
            # Clusters that the method itself holds for the same thing are one.
            clusters = np.where(np.isin(clusters, result.chosen), result.chosen[0], clusters)
        return Prediction(result.mask, clusters, result.quality)

    return segment


METHOD = Method(_volume("lung-ct"), _picture("lung-ct"), _picture("skin"))
SLICE_MODE = Method(volume=_volume("lung-ct", mode="slice"))
AS_IN_PAPER = Method(_volume("lung-ct-paper"), _picture("lung-ct-paper"), _picture("skin-paper"))

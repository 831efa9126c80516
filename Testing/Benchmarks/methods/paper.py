"""S3-Net as published (`published`), by the library's operators, which give the same faster."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import published
import torch
from published import DeformableConvolution, PublishedNet, Variant
from S3NetSegmentationLib.s3net.fast.deformable import conv3x3, deform_conv2d
from S3NetSegmentationLib.s3net.network import AttentionBlock
from torch import Tensor
from torch.nn import functional as F

from . import Method, Prediction
from .per_image import resized_labels

fast_network = partial(
    PublishedNet, block=AttentionBlock, last=partial(DeformableConvolution, convolve=deform_conv2d)
)


def _method(variant: Variant, network: partial[PublishedNet] = fast_network) -> Method:
    def segment(picture: np.ndarray, seed: int) -> Prediction:
        torch.manual_seed(seed)
        fresh = network().to(memory_format=torch.channels_last)
        labels = published.fit(prepared(picture), variant, fresh).labels.numpy()
        return Prediction(None, resized_labels(labels, picture.shape[:2]))

    return Method(slice=segment, skin=segment)


def prepared(picture: np.ndarray) -> Tensor:
    """A picture, of 0 to 255 or as floating-point numbers of 0 to 1, as (1, 3, 256, 256)."""
    values = torch.from_numpy(np.atleast_3d(picture).astype(np.float32)).permute(2, 0, 1)
    if np.issubdtype(picture.dtype, np.integer):
        values = values / 255
    size = (published.SIZE, published.SIZE)
    resized = F.interpolate(values.expand(3, -1, -1)[None], size, mode="bicubic").clamp(0, 1)
    return resized.contiguous(memory_format=torch.channels_last)


AS_WRITTEN = _method(published.AS_WRITTEN)
AS_CODED = _method(published.AS_CODED)

_CROSS_ENTROPY, _, _SPATIAL = published.AS_WRITTEN.weights
ABLATIONS = {
    "paper without affine": _method(
        replace(published.AS_WRITTEN, weights=(_CROSS_ENTROPY, 0.0, _SPATIAL))
    ),
    "paper without inception": _method(
        published.AS_WRITTEN, partial(fast_network, block=partial(AttentionBlock, inception=False))
    ),
    "paper without deformable": _method(
        published.AS_WRITTEN,
        partial(fast_network, last=lambda channels, size: conv3x3(channels, channels, 1)),
    ),
}
"""The spatial loss has no gradient, so without it every fit is the same."""

"""The three losses of the paper (equations 4 to 7), the spatial one on the soft map."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .affine_transform import OUTSIDE

_SOBEL_X = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
_SOBEL_Y = _SOBEL_X.T
_SOBEL_XY = torch.tensor([[1.0, 0, -1], [0, 0, 0], [-1, 0, 1]])


def cross_entropy_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the scores against a cluster map (paper, equations 4 and 6).

    Parameters
    ----------
    scores : Tensor, (B, K, H, W)
        Logits.
    labels : Tensor, (B, H, W)
        For L_ce the argmax of the same scores; for L_AT the transformed cluster map, in which
        pixels from outside the image are `OUTSIDE` and do not count.

    Returns
    -------
    Tensor, (B,)
        For each image the mean over the pixels that count; 0 where there are none.
    """
    # With the clusters innermost, as channels-last scores have them, nothing is copied.
    rows = scores.permute(0, 2, 3, 1).flatten(0, 2)
    losses = F.cross_entropy(rows, labels.flatten(), ignore_index=OUTSIDE, reduction="none")
    counted = (labels != OUTSIDE).sum((1, 2)).clamp(min=1)
    return losses.view(len(scores), -1).sum(1) / counted


def spatial_loss(scores: Tensor) -> Tensor:
    """Spatial consistency of the soft map (paper, equation 5).

    With gX, gY, gXY the Sobel responses of the soft assignment in x, in y and in both:
    ``|gX - gY| + |gX - gXY| + |gY - gXY|``, summed over clusters. The paper does not say of what
    the edges are, and sums over pixels; the mean makes the loss weights independent of the image's
    size, as in equation 4.

    Parameters
    ----------
    scores : Tensor, (B, K, H, W)
        Logits.

    Returns
    -------
    Tensor, (B,)
        One loss for each image.
    """
    # With the clusters innermost, as channels-last scores have them, nothing is copied.
    soft = scores.permute(0, 2, 3, 1).softmax(3).permute(0, 3, 1, 2)
    clusters = soft.shape[1]
    x, y = (
        F.conv2d(soft, kernel.expand(clusters, 1, 3, 3), groups=clusters)
        for kernel in _sobel_differences(soft.device, soft.dtype)
    )
    sums = [torch.linalg.vector_norm(difference, 1, (1, 2, 3)) for difference in (x - y, x, y)]
    return sum(sums) / x[0, 0].numel()


@lru_cache
def _sobel_differences(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Kernels of gX - gXY and gY - gXY, sent to a GPU once.

    A difference of responses is the response to the difference.
    """
    return torch.stack([_SOBEL_X - _SOBEL_XY, _SOBEL_Y - _SOBEL_XY]).to(device, dtype)


def joint_loss(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Weighted sum of the terms (paper, equation 7)."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(0)

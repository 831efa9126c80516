"""The three losses of the paper (equations 4 to 7)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .affine import OUTSIDE


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
    Tensor
        Mean over the pixels that count; 0 where there are none.
    """
    counted = (labels != OUTSIDE).sum().clamp(min=1)
    return F.cross_entropy(scores, labels, ignore_index=OUTSIDE, reduction="sum") / counted


def spatial_loss(scores: Tensor) -> Tensor:
    """Spatial consistency of the soft map (paper, equation 5).

    With gX, gY, gXY the Sobel responses of the soft assignment in x, in y and in both:
    ``|gX - gY| + |gX - gXY| + |gY - gXY|``, summed over clusters. The paper sums over pixels;
    the mean makes the loss weights independent of the image's size, as in equation 4.

    Parameters
    ----------
    scores : Tensor, (B, K, H, W)
        Logits.
    """
    soft = scores.softmax(1)
    across_x = _smooth(_differ(soft, 3), 2)
    across_y = _smooth(_differ(soft, 2), 3)
    across_both = _differ(_differ(soft, 3), 2)
    differences = (
        (across_x - across_y).abs()
        + (across_x - across_both).abs()
        + (across_y - across_both).abs()
    )
    return differences.sum(1).mean()


def _differ(picture: Tensor, axis: int) -> Tensor:
    """Central difference [-1, 0, 1]; the ends of the axis are dropped."""
    length = picture.shape[axis]
    return picture.narrow(axis, 2, length - 2) - picture.narrow(axis, 0, length - 2)


def _smooth(picture: Tensor, axis: int) -> Tensor:
    """Binomial smoothing [1, 2, 1]; the ends of the axis are dropped."""
    length = picture.shape[axis] - 2
    before, at, after = (picture.narrow(axis, start, length) for start in range(3))
    return before + 2 * at + after


def joint_loss(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Weighted sum of the terms (paper, equation 7)."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()

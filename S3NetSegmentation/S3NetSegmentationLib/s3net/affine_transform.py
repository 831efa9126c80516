"""Random affine transforms for the surrogate task (paper, section 3.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .fast.deformable import sample

OUTSIDE = -100
"""Label of pixels that a transform brings in from outside; `cross_entropy` ignores it."""

IDENTITY = torch.eye(2, 3)


def random_affine(
    generator: torch.Generator,
    degrees: float = 30.0,
    translation: float = 0.1,
    scale: float = 0.2,
    shear: float = 10.0,
) -> Tensor:
    """Draw rotation, translation, scale and shear, each uniform about the identity.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU; the same state gives the same transform.
    degrees, shear : float
        Largest angle, in degrees.
    translation : float
        Largest shift, as a share of the image.
    scale : float
        Largest change of size, as a share.

    Returns
    -------
    Tensor, (2, 3)
        Maps output to input positions in the normalized coordinates of `affine_grid`.
    """
    draw = (2 * torch.rand(5, generator=generator) - 1).tolist()
    angle, skew = math.radians(degrees * draw[0]), math.tan(math.radians(shear * draw[1]))
    size = 1 + scale * draw[2]
    cosine, sine = size * math.cos(angle), size * math.sin(angle)
    return torch.tensor(
        [
            [cosine, cosine * skew - sine, 2 * translation * draw[3]],
            [sine, sine * skew + cosine, 2 * translation * draw[4]],
        ]
    )


def warp_features(features: Tensor, transform: Tensor) -> Tensor:
    """Apply a transform (2, 3) to features (B, C, H, W), bilinear, zero outside."""
    grid = _grid(features.shape, transform, features)
    if features.device.type != "cpu":
        return F.grid_sample(features, grid, mode="bilinear", align_corners=False)
    # The same for channels-last features, which grid_sample would have to rearrange.
    size = grid.new_tensor((features.shape[3], features.shape[2]))
    x, y = (((grid + 1) * size - 1) / 2)[:, :, :, None, None].unbind(-1)
    return sample(features, y, x)[:, :, :, 0, 0].permute(0, 3, 1, 2)


def warp_labels(labels: Tensor, transform: Tensor) -> Tensor:
    """Apply a transform (2, 3) to a label map (B, H, W), nearest, `OUTSIDE` outside."""
    maps = labels.unsqueeze(1)
    grid = _grid(maps.shape, transform, transform)
    # Shifted by one, so that the zeros that grid_sample fills in are told from label 0.
    warped = F.grid_sample(maps.to(grid) + 1, grid, mode="nearest", align_corners=False)
    warped = warped.squeeze(1).long() - 1
    return warped.masked_fill(warped < 0, OUTSIDE)


def _grid(shape: torch.Size, transform: Tensor, like: Tensor) -> Tensor:
    batch, _, height, width = shape
    # affine_grid's coordinates are squares of the image's own shape; aspect keeps rotations rigid.
    aspect = width / height
    rigid = transform.clone()
    rigid[0, 1] /= aspect
    rigid[1, 0] *= aspect
    theta = rigid.to(like).unsqueeze(0).expand(batch, -1, -1)
    return F.affine_grid(theta, list(shape), align_corners=False)

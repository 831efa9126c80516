"""Nested regions around a click, each a coherent piece of tissue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import InputError
from ..s3net.settings import NetworkSettings
from .box import ClickedBox, box_around
from .growth import efforts, first_level, levels_of, with_edges
from .nested import Regions
from .unlikeness import unlikeness

CLICK = NetworkSettings(channels=16, clusters=16, iterations=10)
"""The network for a click: small, because it is fitted while the user waits."""


# A fit needs gradients, even if the caller has switched them off.
@torch.inference_mode(False)
@torch.enable_grad()
def regions_at(
    voxels: np.ndarray,
    spacing: Sequence[float],
    index: Sequence[int],
    settings: NetworkSettings = CLICK,
) -> Regions:
    """Find the regions around a voxel, from small to large.

    Parameters
    ----------
    voxels : ndarray, (z, y, x)
        Any scalar values, such as Hounsfield units or MR intensities.
    spacing : sequence of float
        Size of a voxel in mm, by axis of the array.
    index : sequence of int
        The clicked voxel (z, y, x).
    settings : NetworkSettings
        Settings of the network that is fitted to the box around the click.

    Returns
    -------
    Regions

    Raises
    ------
    InputError
        If the click lies outside the array, or the values around it are not numbers.
    """
    found = box_around(voxels.shape, spacing, index)
    part = voxels[found]
    if not np.isfinite(part).all():
        raise InputError("The values around the click are not all numbers; click elsewhere.")
    inside = [i - ends.start for i, ends in zip(index, found, strict=True)]
    # The network sees slices, so they should lie in the plane with the finest resolution.
    through = int(np.argmax(spacing))
    order = [through, *(axis for axis in range(3) if axis != through)]
    ordered = part.transpose(order)
    sizes = [float(spacing[axis]) for axis in order]
    box = ClickedBox.of(ordered, sizes, [inside[axis] for axis in order])
    unlike = unlikeness(box, settings)
    effort = box.grid.up_linearly(efforts(unlike, box.spacing, box.index))
    effort = with_edges(effort, ordered, sizes, box.median)
    joins = levels_of(effort, float(np.prod(sizes)) / 1000)
    level = first_level(joins, box.grid.up_linearly(unlike))
    return Regions(found, joins.transpose(np.argsort(order)), level)


def warm_up() -> None:
    """Run once, because the first call is slow."""
    noise = np.random.default_rng(0).normal(size=(8, 24, 24))
    regions_at(noise, (3.0, 1.5, 1.5), (4, 12, 12))

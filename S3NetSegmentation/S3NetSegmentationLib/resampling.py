"""Pictures and maps on finer or coarser grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def resized(array: np.ndarray, zoom: Sequence[float] | np.ndarray) -> np.ndarray:
    """An array on a finer or coarser grid over the same extent, interpolated linearly.

    Parameters
    ----------
    array : ndarray of float
    zoom : sequence of float
        By how much each axis gets longer; an axis that gets shorter is smoothed first.
    """
    zoom = np.asarray(zoom, float)
    smooth = ndimage.gaussian_filter(array, np.maximum(1 / zoom - 1, 0) / 2)
    shape = tuple(np.rint(array.shape * zoom).astype(int))
    scale = np.divide(array.shape, shape)
    return ndimage.affine_transform(
        smooth, np.diag(scale), (scale - 1) / 2, shape, order=1, mode="nearest"
    )

"""Scans of boxes in a slab of tissue, for which the right answer is known to the voxel."""

from __future__ import annotations

import numpy as np
from S3NetSegmentationLib.lung.block_grid import BlockGrid
from S3NetSegmentationLib.lung.scan import Scan

AIR, LUNG, TISSUE, BONE = -1000, -850, 40, 400


def scan_of(
    hounsfield, spacing, body=None, airways=None, block=(1, 1, 1), box=(slice(None),) * 3
) -> Scan:
    """A scan on the grid of its own voxels or on blocks of them; by default all is in the box."""
    fine = BlockGrid(hounsfield.shape, (1, 1, 1))
    grid = BlockGrid(hounsfield.shape, block)
    nothing = np.zeros(hounsfield.shape, bool)
    lumen = nothing if airways is None else airways
    return Scan(
        grid=grid,
        box=box,
        spacing=grid.coarse_spacing(spacing),
        hounsfield=grid.down(hounsfield)[box],
        body=(grid.down(~nothing if body is None else body) > 0.5)[box],
        airways=(grid.down(lumen) > 0.3)[box],
        lumen_grid=fine,
        lumen=lumen,
        air_level=-1000.0,
    )


def mask_of(*boxes, shape) -> np.ndarray:
    """Where any of the boxes is."""
    filled = np.zeros(shape, bool)
    for box in boxes:
        filled[box] = True
    return filled


def leftward_of(shape, width: float) -> np.ndarray:
    """Position toward the patient's left in mm, from the first column."""
    return np.broadcast_to(np.arange(shape[2]) * width, shape).astype(np.float32)

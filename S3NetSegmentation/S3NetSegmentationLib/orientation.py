"""Axial order of a volume, whatever its storage order and orientation."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from .geometry import Geometry

LEFTWARD, BACKWARD, UPWARD = range(3)
"""Rows of a direction matrix: the patient's axes in SimpleITK's world coordinates (LPS)."""


class AxialOrientation:
    """Reorders voxels, without interpolation, so that slices are axial.

    The array axes become (inferior to superior, anterior to posterior, patient's right to
    left), each the storage axis nearest to it; for an oblique volume they stay oblique.

    Parameters
    ----------
    geometry : Geometry
        Of the volume.

    Attributes
    ----------
    spacing : tuple of float
        Of the reordered array's axes (z, y, x), in mm.
    """

    def __init__(self, geometry: Geometry):
        direction = geometry.axes
        share = np.abs(direction)
        nearest = max(permutations(range(3)), key=lambda storage: share[range(3), storage].sum())
        order = [(axis, nearest[axis]) for axis in (UPWARD, BACKWARD, LEFTWARD)]
        signs = [-1 if direction[axis, index] < 0 else 1 for axis, index in order]
        # Array axes run opposite to SimpleITK's index axes.
        self._axes = tuple(2 - index for _, index in order)
        self._flips = tuple(slice(None, None, sign) for sign in signs)
        z, y, x = (geometry.spacing[index] for _, index in order)
        self.spacing = (z, y, x)
        self._leftward = [
            sign * direction[LEFTWARD, index] * geometry.spacing[index]
            for sign, (_, index) in zip(signs, order, strict=True)
        ]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """View, in axial order, of an array in storage order (as SimpleITK gives it)."""
        return array.transpose(self._axes)[self._flips]

    def restore(self, array: np.ndarray) -> np.ndarray:
        """The inverse of `apply`; the array is contiguous in storage order."""
        return np.ascontiguousarray(array[self._flips].transpose(np.argsort(self._axes)))

    def to_axial(self, shape: tuple[int, ...]) -> np.ndarray:
        """Matrix (4, 4) from an index in storage order, of that shape, to axial order."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.eye(3)[list(self._axes)]
        for axis, (along, flip) in enumerate(zip(self._axes, self._flips, strict=True)):
            if flip.step == -1:
                matrix[axis] *= -1
                matrix[axis, 3] = shape[along] - 1
        return matrix

    def along_storage(self, profile: np.ndarray) -> np.ndarray:
        """Values of the axial slices (z,) in the order in which the slices are stored."""
        return profile[self._flips[0]]

    def leftward(
        self, shape: tuple[int, int, int], step: tuple[float, float, float] = (1, 1, 1)
    ) -> np.ndarray:
        """Position of each voxel along the patient's right-to-left axis.

        Parameters
        ----------
        shape : tuple of int
            Of an array in axial order, perhaps on a coarser grid.
        step : tuple of float
            How many voxels of this volume one voxel of that grid spans, by axis.

        Returns
        -------
        ndarray, float32, `shape`
            In mm from the first voxel; the patient's left is positive.
        """
        z, y, x = (
            np.arange(count, dtype=np.float32) * voxels * millimeters
            for count, voxels, millimeters in zip(shape, step, self._leftward, strict=True)
        )
        return z[:, None, None] + y[:, None] + x

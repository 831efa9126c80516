"""Where the voxels of an image lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Geometry:
    """Place of the voxels of a 3D image, in SimpleITK's world coordinates (LPS).

    Attributes
    ----------
    spacing, origin : tuple of float
        In mm, (x, y, z).
    direction : tuple of float
        Nine cosines, row by row; columns are the axes.
    """

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Geometry:
        """That of an image."""
        return cls(image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    def image(self, array: np.ndarray) -> sitk.Image:
        """An image of these voxels.

        Parameters
        ----------
        array : ndarray, (k, j, i)
            Copied.
        """
        made = sitk.GetImageFromArray(np.ascontiguousarray(array))
        self.put(made)
        return made

    def put(self, image: sitk.Image) -> None:
        """Place an image here."""
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)

    @property
    def axes(self) -> np.ndarray:
        """The direction as a matrix (3, 3), of which each column is an axis of storage."""
        return np.reshape(self.direction, (3, 3))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in milliliters, also where a transform has sheared the axes."""
        return float(np.prod(self.spacing) * abs(np.linalg.det(self.axes))) / 1000

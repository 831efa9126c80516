"""The honest rival: body mask, threshold, components, closing, and no network."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.lung.block_grid import BlockGrid
from S3NetSegmentationLib.lung.body import body_mask
from S3NetSegmentationLib.orientation import AxialOrientation
from S3NetSegmentationLib.picture.grayscale import slice_as_scan
from S3NetSegmentationLib.picture.result import mask_of
from S3NetSegmentationLib.picture.view import best_split, lens_view
from scipy import ndimage

from . import Method, Prediction

THRESHOLD = -400
CLOSING = 4.0


def segment_without_network(image: sitk.Image) -> np.ndarray:
    """Body mask, threshold, the two largest pieces, closing by 4 mm, filling of holes.

    Parameters
    ----------
    image : SimpleITK.Image
        CT in Hounsfield units.

    Returns
    -------
    ndarray of bool, (k, j, i)
        In the image's storage order.
    """
    order = AxialOrientation(Geometry.of(image))
    hounsfield = order.apply(sitk.GetArrayViewFromImage(image))
    grid = BlockGrid.in_plane(hounsfield.shape, order.spacing, 2.8)
    body = grid.up(body_mask(grid.down(hounsfield), grid.coarse_spacing(order.spacing)))
    pieces, count = ndimage.label((hounsfield < THRESHOLD) & body)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest = np.argsort(sizes)[-min(2, count) :] if count else []
    lungs = np.isin(pieces, largest)
    # Closing by distance costs the same at any spacing, unlike a ball of many voxels.
    for inside in (False, True):
        distance = ndimage.distance_transform_edt(lungs == inside, sampling=order.spacing)
        lungs = distance > CLOSING if inside else distance <= CLOSING
    return order.restore(np.stack([ndimage.binary_fill_holes(axial) for axial in lungs]))


def _volume(image: sitk.Image, seed: int) -> Prediction:
    return Prediction(segment_without_network(image), None)


def _slice(picture: np.ndarray, seed: int) -> Prediction:
    return Prediction(segment_without_network(slice_as_scan(picture))[0], None)


def _skin(picture: np.ndarray, seed: int) -> Prediction:
    """Otsu's threshold of the blue channel, where lesions stand out most, inside the lens."""
    view = lens_view(picture)
    blue = ndimage.gaussian_filter(picture[..., 2].astype(float), 2)
    regions = np.where(view, 1 + (blue >= best_split(blue[view])), 0)
    return Prediction(mask_of(regions, [1]), regions)


METHOD = Method(_volume, _slice, _skin)

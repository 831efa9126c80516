"""k-means on intensity or color, the first row of the paper's table 1."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.lung.block_grid import BlockGrid
from S3NetSegmentationLib.lung.body import body_mask
from S3NetSegmentationLib.orientation import AxialOrientation
from S3NetSegmentationLib.picture.grayscale import slice_as_scan
from scipy.cluster.vq import kmeans2

from . import Method, Prediction

CLUSTERS = 3


def segment_by_kmeans(image: sitk.Image, seed: int) -> np.ndarray:
    """The darkest of three clusters of the intensities inside the body.

    Parameters
    ----------
    image : SimpleITK.Image
        CT in Hounsfield units.
    seed : int

    Returns
    -------
    ndarray of bool, (k, j, i)
        In the image's storage order.
    """
    order = AxialOrientation(Geometry.of(image))
    hounsfield = order.apply(sitk.GetArrayViewFromImage(image))
    grid = BlockGrid.in_plane(hounsfield.shape, order.spacing, 2.8)
    coarse = grid.down(hounsfield)
    body = body_mask(coarse, grid.coarse_spacing(order.spacing))
    values = coarse[body].clip(-1000, 400)[:, None].astype(np.float64)
    centers, _ = kmeans2(values, CLUSTERS, minit="++", seed=seed)
    dark, next_dark = np.sort(centers.ravel())[:2]
    return order.restore(grid.up(body) & (hounsfield < (dark + next_dark) / 2))


def _volume(image: sitk.Image, seed: int) -> Prediction:
    return Prediction(segment_by_kmeans(image, seed), None)


def _slice(picture: np.ndarray, seed: int) -> Prediction:
    automatic = segment_by_kmeans(slice_as_scan(picture), seed)[0]
    return Prediction(automatic, _clusters(picture, seed))


def _skin(picture: np.ndarray, seed: int) -> Prediction:
    return Prediction(None, _clusters(picture, seed))


def _clusters(picture: np.ndarray, seed: int) -> np.ndarray:
    """Of the raw picture, as in the paper, (y, x)."""
    values = picture.reshape(picture.shape[0] * picture.shape[1], -1).astype(np.float64)
    return kmeans2(values, CLUSTERS, minit="++", seed=seed)[1].reshape(picture.shape[:2])


METHOD = Method(_volume, _slice, _skin)

"""The methods that are compared, each from an image and a seed alone, without ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """What a method makes of an image.

    Attributes
    ----------
    mask : ndarray of bool, optional
        What it takes for the target by itself; None where it only clusters.
    clusters : ndarray of int, optional
        Its cluster map, for the paper's protocol; None where it has no clusters.
    quality : float
        Its own estimate, 0 to 1; NaN where it has none.
    """

    mask: np.ndarray | None
    clusters: np.ndarray | None
    quality: float = float("nan")


@dataclass(frozen=True)
class Method:
    """A method by kind of image; None where it has nothing to say.

    Each takes the image and a seed.
    """

    volume: Callable | None = None
    slice: Callable | None = None
    skin: Callable | None = None


def methods() -> dict[str, Method]:
    """All methods by name."""
    from . import (
        deep_cluster,
        iic,
        kmeans,
        ms_former,
        no_network,
        paper,
        s3net,
        sgscn,
        whole_picture,
    )

    return {
        "s3net": s3net.METHOD,
        "s3net slice mode": s3net.SLICE_MODE,
        "s3net border 0.7": s3net.FARTHER_BORDER,
        **s3net.ABLATIONS,
        "paper": paper.AS_WRITTEN,
        "paper as coded": paper.AS_CODED,
        **paper.ABLATIONS,
        "no network": no_network.METHOD,
        "whole picture": whole_picture.METHOD,
        "k-means": kmeans.METHOD,
        "DeepCluster": deep_cluster.METHOD,
        "IIC": iic.METHOD,
        "SGSCN": sgscn.METHOD,
        "MS-Former": ms_former.METHOD,
    }


DEFAULT = ("s3net", "no network", "k-means")

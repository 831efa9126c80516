"""The result of segmenting a picture, and how to choose another region."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..lung.clusters import checked_numbers
from ..settings import PictureSettings, Settings

MIN_REGION_SHARE = 0.01
"""Of the view: smaller regions are never chosen. Not measured."""

EDGE_PIXELS = 2
"""Distance at which a piece touches the edge of the view, which is blurred by as much."""

MIN_SPECK_SHARE = 0.05
"""Of the largest piece of the mask: smaller ones are specks. Not measured."""


@dataclass(frozen=True)
class Region:
    """Figures of one region of a picture.

    Attributes
    ----------
    number : int
        The region's value in the cluster map, from 1.
    color : tuple of float
        Mean of each channel, in the picture's own values.
    share : float
        Share of the view, 0 to 1.
    distance : float
        Mean distance of its pixels from the picture's center, in half diagonals.
    """

    number: int
    color: tuple[float, ...]
    share: float
    distance: float

    @property
    def brightness(self) -> float:
        """Mean over the channels."""
        return float(np.mean(self.color))


@dataclass(frozen=True, eq=False)  # arrays can neither be compared nor hashed as a whole
class PictureResult:
    """Regions and mask of one picture.

    Attributes
    ----------
    mask : ndarray of bool, (y, x)
        The region that was looked for.
    clusters : ndarray of uint8, (y, x)
        0 outside the view, otherwise the region's number, which increases with brightness.
    table : tuple of Region
        One for each region, in the order of their numbers.
    chosen : tuple of int
        The regions that make up the mask; empty if nothing was found.
    settings : PictureSettings or Settings
        The settings used (with the actual device).
    timings : dict of str to float
        Seconds, ``"total"``.
    warnings : tuple of str
        Sentences for the user; empty if nothing is wrong.
    quality : float
        0 to 1, an estimate from the picture alone of how reliable the automatic choice is; it does
        not change if other regions are chosen.
    """

    mask: np.ndarray
    clusters: np.ndarray
    table: tuple[Region, ...]
    chosen: tuple[int, ...]
    settings: PictureSettings | Settings
    timings: dict[str, float]
    warnings: tuple[str, ...]
    quality: float

    def choose(self, numbers: Iterable[int]) -> PictureResult:
        """Make the mask from other regions.

        Raises
        ------
        InputError
            If a number is not a region of this result.
        """
        chosen = checked_numbers(numbers, len(self.table))
        return replace(self, mask=mask_of(self.clusters, chosen), chosen=chosen)

    def choose_at(self, x: int, y: int) -> PictureResult:
        """Make the mask from the piece at a pixel: a piece of the mask, or else of a region.

        Parameters
        ----------
        x, y : int
            Column and row, from 0 in the upper left corner.

        Raises
        ------
        InputError
            If the pixel lies outside the picture or the view.
        """
        height, width = self.clusters.shape
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(f"The point {x},{y} lies outside the picture of {width} x {height}.")
        number = int(self.clusters[y, x])
        if number == 0:
            raise InputError(f"The point {x},{y} lies outside the visible part of the picture.")
        is_found = number in self.chosen and self.mask[y, x]
        pieces, _ = ndimage.label(self.mask if is_found else self.clusters == number)
        mask = ndimage.binary_fill_holes(pieces == pieces[y, x])
        return replace(self, mask=mask, chosen=self.chosen if is_found else (number,))


def describe_regions(clusters: np.ndarray, picture: np.ndarray) -> tuple[Region, ...]:
    """Figures of every region.

    Parameters
    ----------
    clusters : ndarray of uint8, (y, x)
    picture : ndarray, (y, x, channels)
    """
    y, x = (np.arange(n) - (n - 1) / 2 for n in clusters.shape)
    distance = np.hypot(y[:, None], x) / np.hypot(*clusters.shape) * 2
    seen = max(1, np.count_nonzero(clusters))
    table = []
    for number in range(1, int(clusters.max()) + 1):
        own = clusters == number
        color = picture[own].mean(0) if own.any() else np.full(picture.shape[-1], np.nan)
        table.append(
            Region(
                number,
                tuple(float(value) for value in color),
                float(own.sum() / seen),
                float(distance[own].mean()) if own.any() else float("nan"),
            )
        )
    return tuple(table)


def choose_region(table: tuple[Region, ...], choice: str) -> tuple[int, ...]:
    """The most central, the darkest, or the brightest region."""
    large = [region for region in table if region.share >= MIN_REGION_SHARE]
    if not large:
        return ()
    keys = {
        "central": lambda region: region.distance,
        "darkest": lambda region: region.brightness,
        "brightest": lambda region: -region.brightness,
    }
    return (min(large, key=keys[choice]).number,)


def mask_of(clusters: np.ndarray, chosen: Iterable[int]) -> np.ndarray:
    """The chosen regions with their holes filled and without specks, (y, x) bool.

    If the largest piece doesn't touch the edge of the view, which is shaded, pieces that do are
    left out, too.
    """
    pieces, _ = ndimage.label(ndimage.binary_fill_holes(np.isin(clusters, list(chosen))))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = (sizes > 0) & (sizes >= MIN_SPECK_SHARE * sizes.max())
    inside = ndimage.binary_erosion(clusters > 0, iterations=EDGE_PIXELS)
    at_edge = np.unique(pieces[~inside])
    if sizes.argmax() not in at_edge:
        kept[at_edge] = False
    return kept[pieces]

"""A few distinguishable tissues, merged from the network's many clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .levels import AERATED_HU, AIR_HU, EMPHYSEMA_HU
from .scan import Scan

MAX_NAMED = 8
"""Maximum number of tissues with a name each; if there are more, they are numbered."""

SMOOTH_MM = 3.0
"""Millimeters, a standard deviation: layers and grains that are thinner belong to what is around
them. The network's pixels are about as large. On no plateau: 4% of the body changes its kind."""

MIN_PIECE_ML = 1.0
"""Milliliters: smaller pieces of a tissue belong to what is around them. On no plateau: with 0.6 to
1.6, 0.4% of the body changes its kind."""

MIN_SECTION_CM2 = 0.8
"""Square centimeters, the mean section of a ball of `MIN_PIECE_ML`: in a scan of few slices, a
piece is as large as its section."""


MIN_CELL_SHARE = 1e-3
"""Share of the body: a smaller part of a cluster, about 15 mL in an adult's chest, counts as its
neighbor in intensity. On no plateau: with 0.0006 to 0.0016, 1% of the body changes its kind."""


MAX_CELLS = 100
"""So many are merged within a second; no scan had more than half as many."""


@dataclass(frozen=True)
class Kind:
    """A kind of tissue.

    Attributes
    ----------
    name : str
    up_to : float
        Hounsfield units below which a mean is of this kind.
    color : tuple of int
        Red, green, blue, 0 to 255.
    """

    name: str
    up_to: float
    color: tuple[int, int, int]


KINDS = (
    Kind("air", EMPHYSEMA_HU, (51, 34, 136)),
    Kind("aerated lung", AERATED_HU, (136, 204, 238)),
    Kind("hazy lung", -190, (68, 170, 153)),
    Kind("fat", -30, (221, 204, 119)),
    Kind("soft tissue", 100, (204, 102, 119)),
    Kind("contrast or bone", 300, (136, 34, 85)),
    Kind("bone or dense contrast", np.inf, (221, 221, 221)),
)
"""From dark to bright. Lung: `EMPHYSEMA_HU` and `AERATED_HU`; fat: -190 to -30 HU (Yoshizumi et
al., Radiology 1999); blood with contrast agent is as bright as spongy bone. The colors are the
muted ones of Paul Tol (SRON/EPS/TN/09-002), which color-blind readers tell apart."""


@dataclass(frozen=True)
class Tissue:
    """One tissue over the whole scan.

    Attributes
    ----------
    number : int
        Its value in the tissue map, from 1; the numbers ascend with the mean intensity.
    name : str
    mean_hu : float
        In Hounsfield units.
    volume_ml : float
        In milliliters.
    lung_fraction : float
        Share of it that is in the lungs, 0 to 1.
    """

    number: int
    name: str
    mean_hu: float
    volume_ml: float
    lung_fraction: float

    @property
    def is_lung(self) -> bool:
        """Whether most of it is in the lungs."""
        return self.lung_fraction >= 0.5


def divide_clusters(labels: np.ndarray, scan: Scan) -> np.ndarray:
    """Clusters divided by intensity into cells, as the network may leave fat and muscle in one.

    Parameters
    ----------
    labels : ndarray of uint8, (z, y, x)
        Clusters from 1, from `order_clusters`.
    scan : Scan

    Returns
    -------
    ndarray of uint8, (z, y, x)
        Cells from 1, 0 outside the body.
    """
    smooth = ndimage.gaussian_filter(scan.hounsfield, [SMOOTH_MM / size for size in scan.spacing])
    level = np.rint(2 * _tissue_steps(smooth)).astype(np.int32)
    cells = labels * np.int32(2 * len(KINDS)) + level
    counts = np.bincount(cells[scan.body], minlength=int(cells.max()) + 1)
    kept = np.sort(np.argsort(counts)[-MAX_CELLS:])
    kept = kept[counts[kept] >= max(1, MIN_CELL_SHARE * counts.sum())]
    # The next one is the same cluster at a similar intensity.
    nearest = np.abs(np.arange(len(counts))[:, None] - kept).argmin(1)
    return np.where(scan.body, 1 + nearest[cells], 0).astype(np.uint8)


def merge_order(cells: np.ndarray, scan: Scan, scores: Iterable[np.ndarray] | None) -> np.ndarray:
    """The order in which cells are merged, most alike first.

    Cells are alike where their intensities are, where the network gives them like scores, and
    where they touch so often that they are grains of one tissue.

    Parameters
    ----------
    cells : ndarray of uint8, (z, y, x)
        From `divide_clusters`.
    scan : Scan
    scores : iterable of ndarray, (K, y, x), or None
        Logits of the network for each slice; None if there is not one network for all slices.

    Returns
    -------
    ndarray of uint8, (cells - 1, 2)
        Two cells at a time; from then on the second counts as the first.
    """
    count = int(cells.max())
    touching = _contacts(cells, count)
    sizes = np.bincount(cells.ravel())[1:].astype(float)
    steps = _tissue_steps(scan.hounsfield)
    place = ndimage.sum_labels(steps, cells, np.arange(1, count + 1))
    likeness = _mean_scores(cells, scores, count) * sizes[:, None]
    alive = list(range(count))
    order = []
    while len(alive) > 1:
        each = np.ix_(alive, alive)
        where, mean = place[alive] / sizes[alive], likeness[alive] / sizes[alive, None]
        distance = np.abs(where[:, None] - where)
        distance += np.abs(mean[:, None] - mean).sum(-1) / 2
        reach = touching.sum(1)[alive]
        distance -= touching[each] / np.maximum(np.minimum(reach[:, None], reach), 1)
        distance[np.tril_indices(len(alive))] = np.inf
        first, second = (
            alive[index] for index in np.unravel_index(distance.argmin(), distance.shape)
        )
        order.append((first + 1, second + 1))
        for sums in (sizes, place, likeness, touching, touching.T):
            sums[first] += sums[second]
            sums[second] = 0
        alive.remove(second)
    return np.array(order, np.uint8).reshape(-1, 2)


def _tissue_steps(hounsfield: np.ndarray) -> np.ndarray:
    """Intensities on a scale on which each kind of tissue is as wide as any other."""
    levels = [AIR_HU, *(kind.up_to for kind in KINDS[:-1])]
    return np.interp(hounsfield, levels, np.arange(len(levels)))


def _contacts(labels: np.ndarray, count: int) -> np.ndarray:
    """How often each cell lies beside each other one, and itself, (count, count)."""
    contacts = np.zeros((count + 1) ** 2)
    for axis in range(3):
        along = np.moveaxis(labels, axis, 0)
        pairs = along[:-1].astype(np.int32) * (count + 1) + along[1:]
        contacts += np.bincount(pairs.ravel(), minlength=len(contacts))
    square = contacts.reshape(count + 1, -1)[1:, 1:]
    return square + square.T


def _mean_scores(labels: np.ndarray, scores: Iterable[np.ndarray] | None, count: int) -> np.ndarray:
    """Mean probabilities that the network gives to the pixels of each cell, (count, K)."""
    total = np.zeros((count + 1, 1))
    if scores is None:
        return total[1:]
    for axial, logits in zip(labels, scores, strict=True):
        inside = axial > 0
        likely = np.exp(logits[:, inside].astype(np.float32) - logits[:, inside].max(0))
        likely /= likely.sum(0)
        sums = [np.bincount(axial[inside], values, count + 1) for values in likely]
        total = total + np.stack(sums, 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return (total / np.maximum(sizes, 1)[:, None])[1:]


def tissue_map(cells: np.ndarray, scan: Scan, merges: np.ndarray, count: int) -> np.ndarray:
    """Merge cells to tissues, and make these coherent.

    Parameters
    ----------
    cells : ndarray of uint8, (z, y, x)
        From `divide_clusters`.
    scan : Scan
    merges : ndarray of uint8, (cells - 1, 2)
        From `merge_order`.
    count : int
        How many tissues there may be. Up to `MAX_NAMED`, those of one kind are merged.

    Returns
    -------
    ndarray of uint8, (z, y, x)
        Tissues from 1, 0 outside the body.
    """
    group_of = np.arange(len(merges) + 2, dtype=np.uint8)
    for first, second in merges[: max(0, len(merges) + 1 - count)]:
        group_of[group_of == second] = first
    by_kind = count <= MAX_NAMED
    merged = _numbered(group_of[cells], scan, by_kind)
    # A tissue that has lost its rim may be of another kind.
    return _numbered(_without_fragments(_smooth(merged, scan), scan), scan, by_kind)


def _smooth(merged: np.ndarray, scan: Scan) -> np.ndarray:
    """In each pixel of the body the tissue that is most frequent around it."""
    sigma = [SMOOTH_MM / size for size in scan.spacing]
    strongest = np.zeros(merged.shape, np.float32)
    smooth = np.zeros_like(merged)
    for tissue in np.unique(merged[merged > 0]):
        share = ndimage.gaussian_filter((merged == tissue).astype(np.float32), sigma, truncate=2)
        wins = share > strongest
        smooth[wins] = tissue
        strongest[wins] = share[wins]
    return smooth * scan.body


def _without_fragments(tissues: np.ndarray, scan: Scan) -> np.ndarray:
    """Give pieces of less than `MIN_PIECE_ML` to what is around them."""
    length = len(tissues) * scan.spacing[0]
    smallest = min(MIN_PIECE_ML, MIN_SECTION_CM2 * length / 10)
    voxel_ml = np.prod(scan.spacing) / 1000
    kept = np.zeros(tissues.shape, bool)
    for tissue in np.unique(tissues[tissues > 0]):
        pieces, _ = ndimage.label(tissues == tissue)
        large = np.bincount(pieces.ravel()) * voxel_ml >= smallest
        large[0] = False
        kept |= large[pieces]
    if not kept.any():
        return tissues
    nearest = ndimage.distance_transform_edt(
        ~kept, scan.spacing, return_distances=False, return_indices=True
    )
    return tissues[tuple(nearest)] * scan.body


def _numbered(tissues: np.ndarray, scan: Scan, by_kind: bool) -> np.ndarray:
    """Numbers from 1 that ascend with the mean intensity; one for each tissue or for each kind."""
    present = np.unique(tissues[tissues > 0])
    means = ndimage.mean(scan.hounsfield, tissues, present)
    keys = [KINDS.index(kind_of(mean)) for mean in means] if by_kind else means
    number_of = np.zeros(256, np.uint8)
    number_of[present] = 1 + np.unique(keys, return_inverse=True)[1]
    return number_of[tissues]


def describe_tissues(tissues: np.ndarray, scan: Scan, lungs: np.ndarray) -> tuple[Tissue, ...]:
    """Name and figures of every tissue.

    Parameters
    ----------
    tissues : ndarray of uint8, (z, y, x)
        From `tissue_map`.
    scan : Scan
    lungs : ndarray of bool, (z, y, x)
        On the working grid.
    """
    numbers = np.arange(1, int(tissues.max()) + 1)
    means = ndimage.mean(scan.hounsfield, tissues, numbers)
    volumes = np.bincount(tissues.ravel())[1:] * np.prod(scan.spacing) / 1000
    shares = ndimage.mean(lungs, tissues, numbers)
    return tuple(
        Tissue(number, name, float(mean), float(volume), float(share))
        for number, name, mean, volume, share in zip(
            numbers.tolist(), _names(means), means, volumes, shares, strict=True
        )
    )


def _names(means: np.ndarray) -> list[str]:
    """A name for each tissue; those of one kind are numbered."""
    names = [kind_of(mean).name for mean in means]
    return [
        f"{name} {names[:index].count(name) + 1}" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def colors_of(table: Iterable[Tissue]) -> list[tuple[float, float, float]]:
    """Red, green, blue (0 to 1) of each tissue; those of one kind are darker and brighter."""
    kinds = [kind_of(tissue.mean_hu) for tissue in table]
    colors = []
    for index, kind in enumerate(kinds):
        place = (kinds[:index].count(kind) + 0.5) / kinds.count(kind) - 0.5
        red, green, blue = (min(part / 255 * (1 + place), 1.0) for part in kind.color)
        colors.append((red, green, blue))
    return colors


def kind_of(mean_hu: float) -> Kind:
    """The kind of a tissue, by its mean intensity."""
    return next(kind for kind in KINDS if mean_hu < kind.up_to)

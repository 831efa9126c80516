"""The coarser grid on which the network and the morphology work.

Coarse voxels are blocks of whole voxels, so every voxel of the scan belongs to exactly one of them:
down is a mean, up is a repetition, and nothing is ever shifted by a fraction. Blocks of a scan are
one slice thick, so a long scan can be processed slice by slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import ndimage

T = TypeVar("T")

Box = tuple[slice, slice, slice]
"""Part of an array (z, y, x)."""

CROSS = ndimage.generate_binary_structure(2, 1)[None]
"""A voxel and its four neighbors within the slice."""


def by_axis(values: Iterable[T]) -> tuple[T, T, T]:
    """Three values, one for each axis, as a tuple."""
    z, y, x = values
    return z, y, x


def extent(mask: np.ndarray) -> Box:
    """The smallest box that contains a mask (z, y, x), which must not be empty."""
    planes = [plane.any() for plane in mask]
    flat = np.zeros(mask.shape[1:], bool)
    for plane in mask:  # a fraction of the time of numpy's own `any` along the axis
        flat |= plane > 0
    found = [np.flatnonzero(each) for each in (planes, flat.any(1), flat.any(0))]
    return by_axis(slice(int(each[0]), int(each[-1]) + 1) for each in found)


def widened(box: Iterable[slice], margin: int) -> tuple[slice, ...]:
    """A box extended by a margin on each side; it may extend beyond the end of an axis."""
    return tuple(slice(max(0, part.start - margin), part.stop + margin) for part in box)


def spanned(mask: np.ndarray, axis: int) -> np.ndarray:
    """Every place of an axis from the first to the last that a mask has there."""
    before = np.logical_or.accumulate(mask, axis)
    after = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
    return before & after


@dataclass(frozen=True)
class BlockGrid:
    """Blocks of whole voxels over an array in axial order.

    Attributes
    ----------
    shape : tuple of int
        Of the fine array (z, y, x).
    block : tuple of int
        Voxels in a block, by axis; the last block of an axis may be cut.
    """

    shape: tuple[int, int, int]
    block: tuple[int, int, int]

    @classmethod
    def in_plane(
        cls,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        millimeters: float,
    ) -> BlockGrid:
        """Blocks of one slice and about `millimeters` in both in-plane directions."""
        rows, columns = (max(1, round(millimeters / size)) for size in spacing[1:])
        return cls(shape, (1, rows, columns))

    @property
    def coarse_shape(self) -> tuple[int, int, int]:
        """Number of blocks by axis."""
        return by_axis(math.ceil(n / b) for n, b in zip(self.shape, self.block, strict=True))

    def part(self, box: Iterable[slice]) -> tuple[BlockGrid, Box]:
        """The blocks in a box as a separate grid, and the place of their voxels on this one."""
        fine = by_axis(
            slice(blocks.start * size, min(blocks.stop * size, count))
            for blocks, size, count in zip(box, self.block, self.shape, strict=True)
        )
        return BlockGrid(by_axis(part.stop - part.start for part in fine), self.block), fine

    def coarse_spacing(self, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        """Spacing of the blocks, for voxels of `spacing`."""
        return by_axis(size * b for size, b in zip(spacing, self.block, strict=True))

    def down(self, slices: Iterable[np.ndarray]) -> np.ndarray:
        """Mean of each block; a cut block is averaged over what it has.

        Parameters
        ----------
        slices : ndarray, (z, y, x), or iterable of its slices

        Returns
        -------
        ndarray of float32
        """
        coarse = np.zeros(self.coarse_shape, np.float32)
        depth, height, width = self.block
        rows = _sums(np.ones((self.shape[1], 1), np.float32), height)
        columns = _sums(np.ones(self.shape[2], np.float32), width)
        for z, fine in zip(range(self.shape[0]), slices, strict=True):
            coarse[z // depth] += _sums((_sums(fine, height) / rows).T, width).T / columns
        coarse /= _sums(np.ones((self.shape[0], 1, 1), np.float32), depth)
        return coarse

    def up(self, array: np.ndarray) -> np.ndarray:
        """Each block's value in all of its voxels; the dtype stays."""
        fine = np.empty(self.shape, array.dtype)
        for axial, repeated in zip(fine, self.up_slices(array), strict=True):
            axial[:] = repeated
        return fine

    def up_slices(self, array: np.ndarray) -> Iterator[np.ndarray]:
        """The slices of `up` one by one, where all of them would take too much memory."""
        row, column = (
            np.arange(count) // size
            for count, size in zip(self.shape[1:], self.block[1:], strict=True)
        )
        for z in range(self.shape[0]):
            yield array[z // self.block[0]].take(row, 0).take(column, 1)

    def up_linearly(self, array: np.ndarray) -> np.ndarray:
        """Each voxel's value, interpolated linearly between the centers of the blocks."""
        for axis, (count, size) in enumerate(zip(self.shape, self.block, strict=True)):
            near = _Neighbors.of(count, size)
            share = np.expand_dims(near.high_share, [other for other in range(3) if other != axis])
            array = array.take(near.low, axis) * (1 - share) + array.take(near.high, axis) * share
        return array

    def centers(self, array: np.ndarray) -> np.ndarray:
        """The voxel in the middle of each block: the inverse of `up` and of `up_smoothly`."""
        index = [
            np.minimum(np.arange(0, count, size) + (size - 1) // 2, count - 1)
            for count, size in zip(self.shape, self.block, strict=True)
        ]
        return array[np.ix_(*index)]

    def up_smoothly(self, labels: np.ndarray) -> np.ndarray:
        """A label map with borders that run smoothly between the blocks.

        Within each slice every label is interpolated linearly; the strongest wins.

        Parameters
        ----------
        labels : ndarray of uint8, (z, y, x)
            Blocks of one slice.
        """
        rows, columns = (
            _Neighbors.of(count, size)
            for count, size in zip(self.shape[1:], self.block[1:], strict=True)
        )
        fine = np.empty(self.shape, np.uint8)
        for axial, mixed, out in zip(labels, _differ(labels), fine, strict=True):
            out[:] = axial.take(rows.low, 0).take(columns.low, 1)
            # Where all four blocks around are alike, there is nothing to interpolate.
            y, x = np.nonzero(mixed.take(rows.low, 0).take(columns.low, 1))
            corners = [
                axial[row[y], column[x]]
                for row in (rows.low, rows.high)
                for column in (columns.low, columns.high)
            ]
            down, right = rows.high_share[y], columns.high_share[x]
            shares = (
                (1 - down) * (1 - right),
                (1 - down) * right,
                down * (1 - right),
                down * right,
            )
            out[y, x] = _strongest(corners, shares)
        return fine


def _differ(labels: np.ndarray) -> np.ndarray:
    """Whether a block or the next ones in y, in x, and in both have different labels."""
    following = np.pad(labels, ((0, 0), (0, 1), (0, 1)), "edge")
    return (
        (following[:, 1:, :-1] != labels)
        | (following[:, :-1, 1:] != labels)
        | (following[:, 1:, 1:] != labels)
    )


def _sums(array: np.ndarray, size: int) -> np.ndarray:
    """Sums of `size` entries each along the first axis; many times faster than ``reduceat``."""
    total = array[::size].astype(np.float32)
    for offset in range(1, size):
        part = array[offset::size]
        total[: len(part)] += part
    return total


@dataclass(frozen=True)
class _Neighbors:
    """For each voxel of an axis the two blocks whose centers it lies between.

    Attributes
    ----------
    low, high : ndarray of int
        Their numbers; the same twice beyond the first and the last center.
    high_share : ndarray of float32
        Weight of the higher one in a linear interpolation.
    """

    low: np.ndarray
    high: np.ndarray
    high_share: np.ndarray

    @classmethod
    def of(cls, count: int, size: int) -> _Neighbors:
        blocks = math.ceil(count / size)
        centers = np.minimum(np.arange(blocks) * size + (size - 1) / 2, count - 1)
        position = np.interp(np.arange(count), centers, np.arange(blocks))
        low = position.astype(int)
        high = np.minimum(low + 1, blocks - 1)
        return cls(low, high, (position - low).astype(np.float32))


def _strongest(labels: list[np.ndarray], shares: tuple[np.ndarray, ...]) -> np.ndarray:
    """The label with the largest sum of shares, of several the lowest."""
    winner, strength = labels[0], np.zeros_like(shares[0])
    for label in labels:
        own = np.zeros_like(strength)
        for other, share in zip(labels, shares, strict=True):
            own += share * (other == label)
        better = (own > strength) | ((own == strength) & (label < winner))
        winner, strength = np.where(better, label, winner), np.maximum(own, strength)
    return winner

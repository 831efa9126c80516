"""Regions around a click: nested, where they belong, at any spacing, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from S3NetSegmentationLib.click.nested import LEVELS
from S3NetSegmentationLib.click.regions import regions_at
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.evaluation.overlap import dice

FLUID, MUSCLE, NOISE = 10, 55, 12
"""Hounsfield units."""


def ball(shape, spacing, radius: float) -> np.ndarray:
    """A ball of this radius in mm in the middle of an array."""
    axes = np.ogrid[tuple(slice(0, count) for count in shape)]
    middle = [(count - 1) / 2 for count in shape]
    squares = ((a - m) * s for a, m, s in zip(axes, middle, spacing, strict=True))
    return sum(each**2 for each in squares) <= radius**2


def fluid_in_muscle(shape, spacing, scale: float = 1.0):
    """A ball of fluid in muscle under noise, and where it is."""
    truth = ball(shape, spacing, 15)
    noise = np.random.default_rng(1).normal(0, NOISE, shape)
    return scale * (np.where(truth, FLUID, MUSCLE) + noise), truth


def middle(shape):
    return tuple(count // 2 for count in shape)


GEOMETRIES = {
    "isotropic": ((40, 40, 40), (2.0, 2.0, 2.0)),
    "thick slices": ((13, 50, 50), (6.0, 1.6, 1.6)),
    "thick columns": ((50, 50, 13), (1.6, 1.6, 6.0)),
    "fine": ((24, 90, 90), (3.0, 0.8, 0.8)),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_fluid_is_told_from_muscle(name):
    shape, spacing = GEOMETRIES[name]
    scan, truth = fluid_in_muscle(shape, spacing)
    regions = regions_at(scan, spacing, middle(shape))
    scores = [dice(regions.on(shape, level), truth) for level in range(1, LEVELS + 1)]
    assert max(scores) > 0.9
    assert regions.on(shape)[middle(shape)]
    assert dice(regions.on(shape), truth) > 0.6  # before the slider is touched


def test_regions_lie_within_each_other_and_hold_the_click():
    shape, spacing = GEOMETRIES["isotropic"]
    scan, _truth = fluid_in_muscle(shape, spacing)
    regions = regions_at(scan, spacing, (20, 18, 22))
    masks = [regions.on(shape, level) for level in range(1, LEVELS + 1)]
    sizes = [int(mask.sum()) for mask in masks]
    assert sizes == sorted(sizes)
    assert sizes[-1] == regions.joins.size
    assert not any((small & ~large).any() for small, large in zip(masks, masks[1:], strict=False))
    assert all(mask[20, 18, 22] for mask, size in zip(masks, sizes, strict=True) if size)


def test_any_unit_will_do():
    """MR has no Hounsfield units: another scale gives the same regions."""
    shape, spacing = GEOMETRIES["isotropic"]
    scan, truth = fluid_in_muscle(shape, spacing, scale=7.0)
    regions = regions_at(scan, spacing, middle(shape))
    assert max(dice(regions.on(shape, level), truth) for level in range(1, LEVELS + 1)) > 0.9


def test_the_same_click_gives_the_same_regions():
    shape, spacing = GEOMETRIES["isotropic"]
    scan, _truth = fluid_in_muscle(shape, spacing)
    first, second = (regions_at(scan, spacing, middle(shape)) for _ in range(2))
    assert first.level == second.level
    assert np.array_equal(first.joins, second.joins)


def test_the_box_alone_gives_what_the_scan_gives():
    spacing = (3.0, 2.0, 2.0)
    scan = np.random.default_rng(0).normal(0, NOISE, (60, 90, 90)).astype(np.int16)
    whole = regions_at(scan, spacing, (30, 45, 45))
    inside = [i - ends.start for i, ends in zip((30, 45, 45), whole.box, strict=True)]
    part = regions_at(scan[whole.box], spacing, inside)
    assert np.array_equal(whole.joins, part.joins)


def test_a_click_in_a_corner():
    shape, spacing = GEOMETRIES["isotropic"]
    scan, _truth = fluid_in_muscle(shape, spacing)
    assert regions_at(scan, spacing, (0, 0, 39)).on(shape, LEVELS)[0, 0, 39]


@pytest.mark.parametrize("shape", [(30, 30, 30), (1, 40, 40), (2, 3, 3)])
def test_a_uniform_region_grows_evenly(shape):
    regions = regions_at(np.full(shape, 40, np.int16), (2, 2, 2), middle(shape))
    assert regions.on(shape)[middle(shape)]
    assert regions.mask(LEVELS).all()


@pytest.mark.parametrize("index", [(-1, 5, 5), (5, 10, 5), (5, 5, 99)])
def test_a_click_outside_is_refused(index):
    with pytest.raises(InputError, match="outside"):
        regions_at(np.zeros((10, 10, 10)), (1, 1, 1), index)


def test_values_that_are_not_numbers_are_refused():
    scan = np.zeros((10, 10, 10), np.float32)
    scan[5, 5, 6] = np.nan
    with pytest.raises(InputError, match="not all numbers"):
        regions_at(scan, (1, 1, 1), (5, 5, 5))

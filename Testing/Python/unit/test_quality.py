"""The estimate of the quality: high where the lungs are right, and it says where they are not."""

from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from quick import QUICK
from S3NetSegmentationLib import segment_lungs
from S3NetSegmentationLib.lung.figures import measure
from S3NetSegmentationLib.lung.quality import assess, ranges
from S3NetSegmentationLib.orientation import AxialOrientation
from S3NetSegmentationLib.summary import as_dict, as_lines


@pytest.fixture(scope="module", params=["axial", "upside down"])
def segmented(request):
    found = phantom.thorax(**phantom.GEOMETRIES[request.param])
    return found, segment_lungs(found.image, QUICK)


def changed(segmented, change, voxels_larger_by=1):
    """Figures of the lungs when they are changed in place, in storage order."""
    found, result = segmented
    lungs = result.lung_array.copy()
    change(lungs)
    order = AxialOrientation(result.geometry)
    hounsfield = order.apply(found.hounsfield)
    voxel_ml = result.geometry.voxel_ml * voxels_larger_by
    return measure(order.apply(lungs), result.scan, hounsfield, order, voxel_ml)


def test_right_lungs_are_trusted(segmented):
    _, result = segmented
    assert result.figures.quality > 0.95
    assert result.figures.hints == ()


def test_slices_that_miss_a_lung_are_named(segmented):
    _, result = segmented

    def drop(lungs):
        lungs[30:36][lungs[30:36] == 1] = 0

    worse = changed(segmented, drop)
    assert worse.quality < result.figures.quality
    assert len(worse.hints) == 2
    assert "slices 31 to 36 of 76" in worse.hints[0]
    assert "look like lung and were left out" in worse.hints[0]
    assert "slices 31 to 36 of 76: the right lung is missing" in worse.hints[1]


def test_lungs_that_are_cut_off_are_named(segmented):
    def cut(lungs):
        lungs[[0, -1]] = lungs[38]

    hints = [hint for hint in changed(segmented, cut).hints if "ends there within" in hint]
    assert len(hints) == 2
    assert "slice 1 of 76" in hints[0]
    assert "slice 76 of 76" in hints[1]


def test_a_lung_that_was_not_found_is_named(segmented):
    def drop(lungs):
        lungs[lungs == 2] = 0

    assert any("left lung was not found" in hint for hint in changed(segmented, drop).hints)


def test_a_large_part_that_was_left_out_is_named(segmented):
    def drop(lungs):
        lungs[24:40, 40:60][lungs[24:40, 40:60] == 2] = 0

    assert any(
        "look like lung and were left out" in hint for hint in changed(segmented, drop).hints
    )


def test_a_lung_that_is_far_smaller_than_the_other_is_named(segmented):
    def drop(lungs):
        lungs[:50][lungs[:50] == 1] = 0

    hints = " ".join(changed(segmented, drop).hints)
    assert "check whether a part of it is missing" in hints
    assert "The right lung has" in hints


def test_slices_that_take_tissue_in_are_named(segmented):
    found, result = segmented
    tissue = np.abs(sitk.GetArrayFromImage(found.image)) < 200

    def spill(lungs):
        lungs[40:42][tissue[40:42]] = 2

    worse = changed(segmented, spill)
    assert worse.quality < result.figures.quality
    assert "slices 41 to 42" in " ".join(worse.hints)


def test_lungs_larger_than_anyones_are_named(segmented):
    worse = changed(segmented, lambda lungs: None, voxels_larger_by=8)
    assert any("more than anyone's" in hint for hint in worse.hints)


def test_lungs_smaller_than_anyones_are_named(segmented):
    def shrink(lungs):
        kept = np.flatnonzero(lungs == 1)[:200]
        lungs.reshape(-1)[np.setdiff1d(np.arange(lungs.size), kept)] = 0

    assert any("less than a newborn's" in hint for hint in changed(segmented, shrink).hints)


def test_no_lungs_no_trust(segmented):
    _, result = segmented
    assert changed(segmented, lambda lungs: lungs.fill(0)).quality == 0
    nothing = assess(np.zeros_like(result.scan.body), result.scan)
    assert nothing.score == 0
    assert not nothing.doubtful.any()


def test_quality_is_reported(segmented):
    _, result = segmented
    content = as_dict(result)
    assert content["quality"] == result.figures.quality
    assert len(content["slice_quality"]) == 76
    assert any(line.startswith("quality") for line in as_lines(result))


def test_ranges_of_doubtful_slices():
    assert ranges(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 1), (3, 3), (6, 6)]
    assert ranges(np.zeros(3, bool)) == []


def test_a_blurred_border_lowers_the_estimate():
    found = phantom.thorax()
    blurred = sitk.SmoothingRecursiveGaussian(sitk.Cast(found.image, sitk.sitkFloat32), 6.0)
    sharp, soft = (segment_lungs(image, QUICK).figures.quality for image in (found.image, blurred))
    assert soft < sharp - 0.02


@pytest.mark.parametrize(
    ("level", "words"),
    [(-350, "of haze were left out"), (-1000, "of gas were left out as stomach or bowel")],
)
def test_what_was_left_out_beside_a_lung_is_named_with_its_place(segmented, level, words):
    """What a lung lost, as the scan would show it if it were haze or gas."""
    found, result = segmented
    order = AxialOrientation(result.geometry)
    lungs = order.apply(result.lung_array).copy()
    high = np.flatnonzero((lungs == 1).any((1, 2)))[-1]
    place = np.s_[high - 15 : high - 8, :, : lungs.shape[2] // 4]
    lost = lungs[place] == 1
    hounsfield = order.apply(found.hounsfield).copy()
    hounsfield[place][lost] = level
    lungs[place][lost] = 0
    grid, box = result.scan.grid, result.scan.box
    scan = replace(result.scan, hounsfield=grid.down(hounsfield)[box])
    hints = measure(lungs, scan, hounsfield, order, result.geometry.voxel_ml).hints
    assert any(f"{words} beside the upper third of the right lung" in hint for hint in hints)

"""Measures on masks whose truth can be counted."""

import numpy as np
import pytest
import SimpleITK as sitk
from protocol import best_cluster, crop_by_truth, hammoude, xor_error
from S3NetSegmentationLib.evaluation.overlap import dice
from surface import hausdorff95, surface_dice, surface_distances

A = np.array([1, 1, 1, 1, 0, 0], bool)
B = np.array([0, 0, 1, 1, 1, 0], bool)
EMPTY = np.zeros(6, bool)


def test_overlap_of_counted_masks():
    assert dice(A, B) == pytest.approx(4 / 7)
    assert hammoude(A, B) == pytest.approx(100 * 3 / 5)
    assert xor_error(A, B) == pytest.approx(100 * 3 / 3)
    assert xor_error(B, A) == pytest.approx(100 * 3 / 4)


def test_overlap_of_empty_masks():
    assert (dice(EMPTY, EMPTY), hammoude(EMPTY, EMPTY), xor_error(EMPTY, EMPTY)) == (1, 0, 0)
    assert (dice(A, EMPTY), hammoude(A, EMPTY), xor_error(A, EMPTY)) == (0, 100, np.inf)


def box(shift=0, spacing=(1, 1, 1)):
    array = np.zeros((20, 20, 30), np.uint8)
    array[5:15, 5:15, 5 + shift : 15 + shift] = 1
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


def test_surface_distance_is_in_millimeters():
    assert hausdorff95(box(), box()) == 0
    assert surface_distances(box(), box(3)).max() == pytest.approx(3)
    assert surface_distances(box(spacing=(2, 1, 1)), box(3, (2, 1, 1))).max() == pytest.approx(6)
    assert hausdorff95(box(), box() * 0) == np.inf
    assert hausdorff95(box() * 0, box() * 0) == 0


def test_surface_dice_forgives_up_to_its_tolerance():
    assert surface_dice(box(), box(), 0) == 1
    assert surface_dice(box(), box(3), 3) == 1
    assert 0 < surface_dice(box(), box(3), 2) < 1
    assert surface_dice(box(), box() * 0, 2) == 0
    assert surface_dice(box() * 0, box() * 0, 2) == 1


def test_protocol_takes_the_cluster_that_overlaps_most():
    clusters = np.array([[0, 0, 1, 1], [0, 2, 1, 1]])
    truth = np.array([[0, 1, 1, 1], [0, 0, 1, 0]], bool)
    assert (best_cluster(clusters, truth) == (clusters == 1)).all()
    assert not best_cluster(clusters, np.zeros_like(truth)).any()


def test_crop_by_truth_removes_what_is_far_away():
    truth, prediction = np.zeros((2, 1, 128), bool)
    truth[0, 2], prediction[0, [2, 4, 8]] = True, True
    assert np.flatnonzero(crop_by_truth(prediction, truth)).tolist() == [2, 4]


@pytest.mark.parametrize(("size", "side"), [(64, 3), (256, 9), (512, 17)])
def test_the_crop_is_a_square_of_nine_in_256_pixels(size, side):
    truth = np.zeros((size, size), bool)
    truth[20, 20] = True
    assert crop_by_truth(np.ones_like(truth), truth).sum() == side**2

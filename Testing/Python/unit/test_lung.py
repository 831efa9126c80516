"""Anatomy: axial order, working grid, body, airways, clusters, sides."""

from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from blocks import scan_of
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.labels import LEFT, RIGHT
from S3NetSegmentationLib.lung.airways import find_airways
from S3NetSegmentationLib.lung.block_grid import BlockGrid
from S3NetSegmentationLib.lung.body import body_mask, field_of_view
from S3NetSegmentationLib.lung.clusters import (
    assign_clusters,
    choose_lung_clusters,
    order_clusters,
    split_mixed_clusters,
)
from S3NetSegmentationLib.lung.matching import match_along_z
from S3NetSegmentationLib.lung.scan import Scan, prepare
from S3NetSegmentationLib.lung.scores import SliceScores, predicted_slices
from S3NetSegmentationLib.lung.sides import right_and_left
from S3NetSegmentationLib.lung.slices import network_input, spread_slices
from S3NetSegmentationLib.orientation import AxialOrientation
from scipy import ndimage
from scipy.special import log_softmax


@pytest.fixture(params=phantom.GEOMETRIES)
def chest(request):
    """Phantom, its axial order, and its image, lungs and airways in that order."""
    found = phantom.thorax(**phantom.GEOMETRIES[request.param])
    order = AxialOrientation(Geometry.of(found.image))
    arrays = [
        np.ascontiguousarray(order.apply(sitk.GetArrayFromImage(image)))
        for image in (found.image, found.lungs, found.airways)
    ]
    return found, order, *arrays


@pytest.fixture(scope="module")
def plain():
    """Scan of the axial phantom, its lungs on the working grid, and positions to the left."""
    found = phantom.thorax()
    order = AxialOrientation(Geometry.of(found.image))
    scan = prepare(order.apply(sitk.GetArrayFromImage(found.image)), order.spacing, 128)
    lungs = order.apply(sitk.GetArrayFromImage(found.lungs))
    return scan, lungs[scan.box], order.leftward(lungs.shape, scan.grid.block)[scan.box]


def test_axial_order_is_that_of_the_patient_and_exactly_undone(chest):
    found, order, hounsfield, _, _ = chest
    stored = sitk.GetArrayFromImage(found.image)
    assert (order.restore(hounsfield) == stored).all()
    # In world coordinates one step along each reordered axis leads up, back, left.
    indices = np.stack(np.indices(stored.shape)[::-1])
    reordered = np.stack([order.apply(component) for component in indices])
    for axis, world in ((0, 2), (1, 1), (2, 0)):
        step = [0, 0, 0]
        step[axis] = 1
        first, second = (reordered[(slice(None), *at)].tolist() for at in ([0, 0, 0], step))
        moved = np.subtract(
            found.image.TransformIndexToPhysicalPoint(second),
            found.image.TransformIndexToPhysicalPoint(first),
        )
        assert np.argmax(np.abs(moved)) == world
        assert moved[world] > 0
        assert np.linalg.norm(moved) == pytest.approx(order.spacing[axis])


def test_leftward_is_the_position_in_the_world(chest):
    found, order, hounsfield, _, _ = chest
    leftward = order.leftward(hounsfield.shape)
    corners = []
    for at in ((0, 0, 0), (5, 7, 9)):
        marked = np.zeros(hounsfield.shape, np.uint8)
        marked[at] = 1
        stored = np.argwhere(order.restore(marked))[0][::-1].tolist()
        corners.append(found.image.TransformIndexToPhysicalPoint(stored)[0])
    assert leftward[5, 7, 9] - leftward[0, 0, 0] == pytest.approx(corners[1] - corners[0], abs=1e-3)


def test_blocks_partition_the_voxels():
    values = np.arange(3 * 7 * 10, dtype=np.float32).reshape(3, 7, 10)
    grid = BlockGrid(values.shape, (1, 3, 4))
    coarse = grid.down(values)
    assert coarse.shape == grid.coarse_shape == (3, 3, 3)
    assert coarse[1, 0, 0] == values[1, :3, :4].mean()
    assert coarse[2, 2, 2] == values[2, 6:, 8:].mean()
    assert (grid.up(coarse)[1, :3, :4] == coarse[1, 0, 0]).all()
    assert grid.up(coarse).shape == values.shape


def test_values_are_interpolated_between_the_centers_of_blocks():
    z, y, x = np.indices((6, 9, 8), dtype=np.float32)
    ramp = z + 2 * y - x
    grid = BlockGrid(ramp.shape, (2, 3, 4))
    inside = np.s_[1:5, 1:8, 2:6]
    np.testing.assert_allclose(grid.up_linearly(grid.down(ramp))[inside], ramp[inside], atol=1e-5)


def test_the_center_of_a_block_has_its_value():
    """Also where the last blocks are cut to a row or a column."""
    grid = BlockGrid((3, 7, 9), (1, 3, 4))
    coarse = np.random.default_rng(0).permutation(27).astype(np.uint8).reshape(3, 3, 3)
    assert (grid.centers(grid.up(coarse)) == coarse).all()


def test_slices_one_by_one_are_the_whole_array():
    values = np.random.default_rng(0).normal(size=(4, 10, 13)).astype(np.float32)
    grid = BlockGrid(values.shape, (1, 3, 4))
    coarse = grid.down(iter(values))
    assert (coarse == grid.down(values)).all()
    assert (np.stack(list(grid.up_slices(coarse))) == grid.up(coarse)).all()
    assert (grid.up(coarse) == coarse.repeat(3, 1).repeat(4, 2)[:, :10, :13]).all()
    finer = BlockGrid(values.shape, (1, 2, 2))
    assert (finer.down(grid.up_slices(coarse)) == finer.down(grid.up(coarse))).all()


def test_scores_and_intensity_decide_the_cluster_together():
    """Slice by slice as by the formula over the whole scan."""
    random = np.random.default_rng(0)
    hounsfield = random.choice([-850.0, 40.0, 900.0], (5, 12, 14)).astype(np.float32)
    hounsfield += random.normal(0, 30, hounsfield.shape)
    scores = 2 * random.normal(size=(5, 4, 12, 14)).astype(np.float32)
    for cluster, level in enumerate((-850, 40, 900)):
        scores[:, cluster] += 3 * (np.abs(hounsfield - level) < 200)
    scores[:, 3] -= 50  # a cluster that is nowhere
    body = random.random(hounsfield.shape) < 0.8
    winners, values = scores.argmax(1), hounsfield.clip(-1000, 400)
    likelihood = log_softmax(scores.astype(np.float64), 1)
    for cluster in range(3):
        low, median, high = np.percentile(values[body & (winners == cluster)], (25, 50, 75))
        spread = max((high - low) / 1.35, 40)
        likelihood[:, cluster] -= ((values - median) / spread) ** 2 / 2 + np.log(spread)
    likelihood[:, 3] = -np.inf
    expected = np.where(body, likelihood.argmax(1), winners)
    assert (assign_clusters(scores, hounsfield, body, True) == expected).all()
    assert (assign_clusters(scores, hounsfield, body, False) == winners).all()
    assert (expected != winners).any()


def test_smooth_labels_keep_the_blocks_inside_and_round_the_borders():
    y, x = np.indices((20, 24))
    coarse = (np.hypot(y - 10, x - 12) < 7).astype(np.uint8)[None] * 3
    grid = BlockGrid((1, 80, 96), (1, 4, 4))
    smooth, blocky = grid.up_smoothly(coarse), grid.up(coarse)
    assert set(np.unique(smooth)) == {0, 3}
    y, x = np.indices((80, 96))
    circle = np.hypot(y - 41.5, x - 49.5) < 28
    assert (smooth[0] > 0)[np.hypot(y - 41.5, x - 49.5) < 24].all()
    assert ((smooth[0] > 0) ^ circle).sum() < ((blocky[0] > 0) ^ circle).sum()


def test_body_holds_lungs_and_airways_but_no_table(chest):
    _, order, hounsfield, lungs, airways = chest
    body = body_mask(hounsfield, order.spacing)
    assert body[(lungs > 0) | (airways > 0)].all()
    beyond = body & (hounsfield < -300) & (lungs == 0) & (airways == 0)
    assert beyond.sum() < 0.03 * body.sum()


def test_body_of_a_field_of_view_that_cuts_the_chest():
    found = phantom.thorax()
    half = np.s_[:, :, :45]
    hounsfield = sitk.GetArrayFromImage(found.image)[half]
    lungs = sitk.GetArrayFromImage(found.lungs)[half] > 0
    assert lungs[:, :, -1].any()
    assert body_mask(hounsfield, (4, 3.5, 4))[lungs].all()


@pytest.mark.parametrize("radius", [90, 1000])
def test_room_air_is_in_view_where_the_values_were_cut_at_it(radius):
    found = phantom.thorax()
    y, x = np.indices(found.hounsfield.shape[1:])
    circle = np.hypot((x - 51.5) * 4, (y - 38.5) * 3.5) < 2 * radius
    cut = np.where(circle, found.hounsfield, -2000).clip(-1000, None)
    view = field_of_view(cut.astype(np.float32))
    # The outermost pixel is half padding.
    assert (view != circle).mean() < 0.04


@pytest.mark.parametrize("wall", [4, 6, 8])
def test_lungs_behind_a_thin_wall_are_in_the_body(wall):
    found = phantom.thorax(spacing=(2, 2, 4), size=(190, 130, 76), noise=10)
    lungs = sitk.GetArrayFromImage(found.lungs) > 0
    values = sitk.GetArrayFromImage(found.image).astype(np.float32)
    beside = np.stack([ndimage.distance_transform_edt(~axial, 2) for axial in lungs])
    front = (beside > wall) & (np.arange(130) < 65)[:, None] & (lungs.any((1, 2))[:, None, None])
    front[..., 75:115] = False  # what lies between the lungs
    values[front] = phantom.AIR
    body = body_mask(values, (4, 2, 2))
    assert (body & lungs).sum() > 0.98 * lungs.sum()
    assert (body & front).sum() < 0.05 * front.sum()
    assert not body[:, 124:].any()  # the table


def test_no_body_in_air():
    assert not body_mask(np.full((4, 20, 20), -1000.0), (5, 3, 3)).any()


def test_airways_are_found_and_hold_no_lung(chest):
    _, order, hounsfield, lungs, airways = chest
    body = body_mask(hounsfield, order.spacing)
    found = find_airways(hounsfield, body, order.spacing)
    assert (found & (airways > 0)).sum() > 0.5 * (airways > 0).sum()
    assert (found & (lungs > 0)).sum() < 0.001 * (lungs > 0).sum()


def tubes(*tracks, shape=(20, 60, 60)) -> np.ndarray:
    """Air in tissue: a tube of 8 mm radius for each function of the slice, on a grid of 2 mm."""
    z, y, x = np.indices(shape)
    hounsfield = np.full(shape, phantom.TISSUE)
    for track in tracks:
        row, column = track(z)
        hounsfield[np.hypot(y - row, x - column) < 4] = phantom.AIR
    return hounsfield


def airways_of(hounsfield) -> np.ndarray:
    return find_airways(hounsfield, np.ones(hounsfield.shape, bool), (2, 2, 2))


def test_two_tubes_side_by_side_are_both_found():
    hounsfield = tubes(lambda z: (30, 22), lambda z: (30, 38))
    assert (airways_of(hounsfield) == (hounsfield == phantom.AIR)).all()


@pytest.mark.parametrize(("down", "right"), [(3, 0), (-3, 0), (0, 3), (0, -3), (2, -2)])
def test_a_tube_is_followed_in_any_direction(down, right):
    hounsfield = tubes(lambda z: (30 + down * (z - 10) / 2, 30 + right * (z - 10) / 2))
    assert (airways_of(hounsfield) == (hounsfield == phantom.AIR)).all()


@pytest.mark.parametrize(("radius", "is_followed"), [(5, True), (7, False)])
def test_an_airway_ends_where_it_suddenly_widens(radius, is_followed):
    """From 2 square centimeters to 3.1 or, where it opens into the lung, 6.2."""
    z, y, x = np.indices((30, 60, 60))
    air = np.hypot(y - 30, x - 30) < np.where(z >= 10, 4, radius)
    found = airways_of(np.where(air, phantom.AIR, phantom.TISSUE))
    assert (found[10:] == air[10:]).all()
    assert (found[:10] == air[:10] * is_followed).all()


@pytest.mark.parametrize(("height", "width"), [(100, 60), (60, 100)])
@pytest.mark.parametrize("spacing", [(5.0, 2.0, 3.0), (5.0, 3.0, 2.0)])
def test_the_working_grid_goes_by_the_longer_side_of_the_body(height, width, spacing):
    """300 to 180 mm, so 6 mm for 50 pixels, whatever the voxels."""
    rows, columns = round(3 * height / spacing[1]), round(3 * width / spacing[2])
    hounsfield = np.full((4, rows + 40, columns + 40), float(phantom.AIR))
    hounsfield[:, 20:-20, 20:-20] = phantom.TISSUE
    assert prepare(hounsfield, spacing, 50).spacing == (5, 6, 6)


def test_network_sees_soft_tissue_outside_the_body(plain):
    scan, lungs, _ = plain
    images = network_input(scan)
    assert images.shape[:2] == (len(lungs), 2)
    assert abs(images).max() == 1
    outside = images[:, 0][~scan.body]
    assert (outside == outside[0]).all()
    assert images[:, 0][lungs > 0].mean() < -0.6 < outside[0]


def test_fitted_slices_are_spread_over_the_lungs(plain):
    scan, lungs, _ = plain
    chosen = spread_slices(scan, 8)
    with_lung = np.flatnonzero(lungs.any((1, 2)))
    inside = chosen[(chosen >= with_lung[0]) & (chosen <= with_lung[-1])]
    assert len(chosen) == 8
    assert len(inside) >= 6
    assert np.ptp(inside) > 0.6 * np.ptp(with_lung)
    assert len(spread_slices(scan, 1000)) <= len(lungs)


def test_scores_between_the_predicted_slices_are_interpolated():
    predicted = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    places = np.array([0, 2, 5])
    expected = [
        [np.interp(z, places, predicted[:, cluster, y, x]) for z in range(6)]
        for cluster, y, x in np.ndindex(2, 4, 5)
    ]
    found = [*SliceScores(places, predicted)]
    assert np.allclose(np.stack(found).reshape(6, -1).T, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("slices", "thickness"), [(1, 1.0), (2, 0.5), (40, 0.7), (41, 6.0), (9, 8.0)]
)
def test_the_network_looks_at_both_ends_and_often_enough_between(plain, slices, thickness):
    scan = replace(plain[0], body=np.ones((slices, 4, 5), bool), spacing=(thickness, 3.0, 3.0))
    places = predicted_slices(scan)
    assert places[0] == 0
    assert places[-1] == slices - 1
    assert (np.diff(places) > 0).all()
    assert (np.diff(places) * thickness <= max(6, thickness)).all()


def test_intensity_corrects_what_the_scores_blur():
    hounsfield = np.full((1, 10, 20), 40.0)
    hounsfield[:, :, :10] = -850
    truth = (hounsfield > -400).astype(int)
    scores = np.zeros((1, 2, 10, 20), np.float32)
    scores[:, 1] = np.where(np.arange(20) >= 12, 1, -1)
    body = np.ones(truth.shape, bool)
    assert (assign_clusters(scores, hounsfield, body, True) == truth).all()
    assert (assign_clusters(scores, hounsfield, body, False) != truth).sum() == 20


def test_clusters_are_numbered_from_dark_to_bright(plain):
    scan, lungs, _ = plain
    labels = np.where(lungs > 0, 7, 2)
    ordered = order_clusters(labels, scan)
    assert (ordered == np.where(lungs > 0, 1, 2)).all()


def test_a_cluster_of_next_to_nothing_joins_the_nearest(plain):
    scan, lungs, _ = plain
    labels = np.where(lungs > 0, 0, 1)
    stray = tuple(np.argwhere(lungs > 0)[100])
    labels[stray] = 5
    ordered = order_clusters(labels, scan)
    assert ordered[stray] == 1
    assert ordered.max() == 2


def test_a_cluster_of_lung_and_tissue_is_split(plain):
    scan, lungs, _ = plain
    mixed = np.where((lungs > 0) | (scan.hounsfield > 200), 0, 1)
    split = split_mixed_clusters(mixed, scan)
    assert len(np.unique(split[lungs > 0])) == 2
    dark = (lungs > 0) & (scan.hounsfield < -600)
    assert len(np.unique(split[dark])) == 1
    assert not np.isin(split[scan.hounsfield > 200], split[dark]).any()
    assert (split[mixed == 1] == 1).all()


def test_lung_clusters_are_dark_and_inside():
    hounsfield = np.empty((2, 40, 10), np.float32)
    labels = np.empty(hounsfield.shape, np.uint8)
    body = np.ones(hounsfield.shape, bool)
    for number, median, inside in ((1, -900, 1.0), (2, -870, 0.1), (3, -600, 0.9), (4, 40, 1.0)):
        rows = np.s_[:, 10 * number - 10 : 10 * number]
        labels[rows], body[rows] = number, np.arange(10) < 10 * inside
        # A few voxels are something else: the median says nothing of them.
        hounsfield[rows] = np.where(np.arange(10) < 8, median, 300)
    body[:, 20:30, 9] = False
    scan = scan_of(hounsfield, (5.0, 5.0, 5.0), body)
    assert choose_lung_clusters(labels, scan, hounsfield) == (1, 3)


def test_matching_gives_shuffled_slices_one_meaning():
    rng = np.random.default_rng(0)
    hounsfield = np.empty((6, 20, 20))
    hounsfield[:, :, :7], hounsfield[:, :, 7:14], hounsfield[:, :, 14:] = -850, -80, 50
    labels = np.empty(hounsfield.shape, np.int64)
    for z in range(6):
        names = rng.permutation(9)[:3]
        labels[z] = names[np.searchsorted([-500, 0], hounsfield[z])]
    hounsfield += rng.normal(0, 20, hounsfield.shape)
    matched = match_along_z(labels, hounsfield, np.ones(labels.shape, bool), 8)
    assert (matched == matched[0]).all()
    assert len(np.unique(matched)) == 3


def test_matching_uses_no_more_clusters_than_allowed():
    hounsfield = np.arange(-900, 900, 3.0).reshape(6, 10, 10)
    labels = np.indices(hounsfield.shape)[1]
    assert match_along_z(labels, hounsfield, np.ones(labels.shape, bool), 4).max() == 3


def test_sides_follow_the_patient(plain):
    scan, lungs, leftward = plain
    assert (right_and_left(lungs > 0, scan, leftward) == lungs).all()
    mirrored = right_and_left(lungs > 0, scan, -leftward)
    assert (mirrored[lungs == 1] == LEFT).all()
    assert (mirrored[lungs == 2] == RIGHT).all()


def test_one_lung_alone_keeps_its_side(plain):
    scan, lungs, leftward = plain
    for side in (RIGHT, LEFT):
        alone = right_and_left(lungs == side, scan, leftward)
        assert (alone[lungs == side] == side).all()


def test_lungs_that_touch_are_parted(plain):
    scan, _, leftward = plain
    touching = phantom.thorax(touching=True)
    lungs = sitk.GetArrayFromImage(touching.lungs)[scan.box]
    parted = right_and_left(lungs > 0, scan, leftward)
    assert ((parted > 0) == (lungs > 0)).all()
    assert (parted != lungs).sum() < 0.005 * (lungs > 0).sum()


def test_a_scan_survives_its_arrays(plain):
    scan, _, _ = plain
    description, arrays = scan.to_arrays()
    again = Scan.from_arrays(description, arrays)
    assert again.grid == scan.grid
    assert again.box == scan.box
    assert (again.paste(again.body) == scan.paste(scan.body)).all()


def test_a_scan_survives_as_a_short_text(chest):
    _, order, hounsfield, *_ = chest
    scan = prepare(hounsfield, order.spacing, 64)
    text = scan.to_text()
    again = Scan.from_text(text, hounsfield)
    assert len(text) < 20_000
    assert again.to_arrays()[0] == scan.to_arrays()[0]
    for name, array in scan.to_arrays()[1].items():
        assert (again.to_arrays()[1][name] == array).all(), name

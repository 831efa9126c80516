"""Right and left: by the spine, by the body, and parted where the lungs touch."""

from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from blocks import BONE, LUNG, TISSUE, leftward_of, mask_of, scan_of
from phantom import thorax
from S3NetSegmentationLib.labels import LEFT, RIGHT
from S3NetSegmentationLib.lung.sides import right_and_left
from scipy import ndimage

SHAPE, SPACING = (20, 30, 60), (5.0, 4.0, 5.0)
MIDDLE = 30
"""Column at which the left half of the body begins, 150 mm from the first one."""

SPINE = np.s_[:, 22:27, MIDDLE - 3 : MIDDLE + 3]
ONE, OTHER = np.s_[3:17, 6:20, 8:24], np.s_[3:17, 6:20, 36:52]

mask = partial(mask_of, shape=SHAPE)


def sides(lungs, *bones, level=BONE, spacing=SPACING, body=None, right_to_left=True) -> np.ndarray:
    """The labels of lungs in a body with bones."""
    hounsfield = np.where(lungs, LUNG, TISSUE).astype(np.float32)
    for bone in bones:
        hounsfield[bone] = level
    leftward = leftward_of(lungs.shape, spacing[2])
    scan = scan_of(hounsfield, spacing, body)
    return right_and_left(lungs, scan, leftward if right_to_left else -leftward)


def test_two_lungs_beside_the_spine():
    lungs = mask(ONE, OTHER)
    expected = mask(ONE) * RIGHT + mask(OTHER) * LEFT
    assert (sides(lungs, SPINE) == expected).all()
    mirrored = mask(ONE) * LEFT + mask(OTHER) * RIGHT
    assert (sides(lungs, SPINE, right_to_left=False) == mirrored).all()
    assert (sides(lungs) == expected).all()
    assert sides(lungs, SPINE).dtype == np.uint8


def test_bone_that_is_a_single_column_is_the_spine():
    lungs = mask(ONE, OTHER)
    expected = mask(ONE) * RIGHT + mask(OTHER) * LEFT
    assert (sides(lungs, np.s_[:, 22:27, MIDDLE : MIDDLE + 1]) == expected).all()


def test_no_lung_has_no_side():
    assert not sides(mask(), SPINE).any()


@pytest.mark.parametrize("column", [20, 27, 33, 40])
def test_the_spine_tells_the_side_of_a_lung_alone(column):
    """Wherever it is in the field of view."""
    spine = np.s_[:, 22:27, column - 3 : column + 3]
    lung = np.s_[3:17, 6:20, 26:34]
    expected = LEFT if column < MIDDLE else RIGHT
    assert (sides(mask(lung), spine)[lung] == expected).all()


@pytest.mark.parametrize(("level", "side"), [(220, LEFT), (180, RIGHT)])
def test_only_what_is_brighter_than_200_hounsfield_units_is_bone(level, side):
    """A heart may be bright with contrast medium; without bone the middle is the body's."""
    spine, lung = np.s_[:, 22:27, 17:23], np.s_[3:17, 6:20, 24:28]
    assert (sides(mask(lung), spine, level=level)[lung] == side).all()


def test_ribs_do_not_tell_the_side():
    """Taken together they may hold more bone than the spine, but nowhere as much."""
    ribs = [np.s_[::2, 2:8, column : column + 1] for column in range(34, 60, 3)]
    lung = np.s_[3:17, 6:20, 31:33]
    assert (sides(mask(lung), SPINE, *ribs)[lung] == LEFT).all()


def test_bone_between_the_lungs_goes_before_any_other():
    arm = np.s_[:, 5:25, 55:60]
    assert (sides(mask(ONE, OTHER), SPINE, arm)[ONE] == RIGHT).all()
    assert (sides(mask(ONE, OTHER), SPINE, arm)[OTHER] == LEFT).all()
    # The left lung reaches over the middle between both, but not over the spine.
    near = np.s_[3:17, 6:20, 27:52]
    spine = np.s_[:, 22:27, 24:27]
    assert (sides(mask(np.s_[3:17, 6:20, 8:16], near), spine, arm)[near] == LEFT).all()


def test_bone_outside_the_body_does_not_count():
    body = mask(np.s_[:, :, :50])
    lung = np.s_[3:17, 6:20, 32:40]
    table = np.s_[:, :, 50:60]
    assert (sides(mask(lung), SPINE, table, body=body)[lung] == LEFT).all()


@pytest.mark.parametrize(("first", "side"), [(22, LEFT), (18, RIGHT)])
def test_without_bone_the_middle_is_that_of_the_body(first, side):
    body = mask(np.s_[:, :, 2:42])  # its middle is column 21.5
    lung = np.s_[3:17, 6:20, first : first + 3]
    assert (sides(mask(lung), body=body)[lung] == side).all()


@pytest.mark.parametrize("rows", [12, 20])
def test_without_bone_the_middle_lies_between_the_lungs(rows):
    """Also where they are far from the middle of the field of view, whichever is larger."""
    one, other = np.s_[3:17, 6:20, 30:40], np.s_[3:17, 6:rows, 46:56]
    labels = sides(mask(one, other))
    assert (labels[one] == RIGHT).all()
    assert (labels[other] == LEFT).all()
    labels = sides(mask(np.s_[3:17, 6:rows, 4:14], np.s_[3:17, 6:20, 20:28]))
    assert (labels[3:17, 6:rows, 4:14] == RIGHT).all()
    assert (labels[3:17, 6:20, 20:28] == LEFT).all()


def test_two_pieces_of_one_lung_above_one_another_tell_nothing_of_the_middle():
    upper, lower = np.s_[12:17, 6:20, 36:52], np.s_[3:10, 6:20, 34:50]
    for bones in ([SPINE], []):
        labels = sides(mask(upper, lower), *bones)
        assert (labels[upper] == LEFT).all()
        assert (labels[lower] == LEFT).all()


def test_ribs_behind_a_lung_do_not_tell_the_middle():
    """They are not between the lungs, though there is more bone in them than in the spine."""
    ribs = np.s_[:, 2:28, 44:48]
    labels = sides(mask(ONE, OTHER), SPINE, ribs)
    assert (labels == mask(ONE) * RIGHT + mask(OTHER) * LEFT).all()


def test_a_small_piece_between_the_lungs_goes_by_the_spine():
    one, other, piece = np.s_[3:17, 6:20, 2:10], np.s_[3:17, 6:20, 42:56], np.s_[3:9, 10:14, 23:25]
    labels = sides(mask(one, other, piece), np.s_[:, 22:27, 19:23])
    assert (labels[piece] == LEFT).all()
    labels = sides(mask(one, other, piece), np.s_[:, 22:27, 26:30])
    assert (labels[piece] == RIGHT).all()


def test_a_spine_behind_one_of_the_lungs_tells_the_side_of_what_is_small():
    one, other, piece = np.s_[3:17, 6:20, 8:24], np.s_[3:17, 6:20, 30:52], np.s_[3:9, 21:24, 30:32]
    labels = sides(mask(one, other, piece), np.s_[:, 25:29, 36:40])
    assert (labels[piece] == RIGHT).all()
    assert (labels[other] == LEFT).all()


def test_the_spine_is_found_to_the_millimeter():
    shape, spacing = (10, 30, 200), (5.0, 4.0, 1.0)
    spine = np.s_[:, 22:27, 91:111]
    for columns, side in ((slice(97, 107), LEFT), (slice(95, 105), RIGHT)):
        lung = np.s_[2:8, 6:20, columns]
        assert (sides(mask(lung, shape=shape), spine, spacing=spacing)[lung] == side).all()


def test_an_arm_at_the_edge_counts_as_what_is_seen_of_it():
    spine, arm = np.s_[:, 17:27, MIDDLE - 3 : MIDDLE + 3], np.s_[:, 5:21, 57:60]
    lung = np.s_[3:17, 6:17, 34:42]
    assert (sides(mask(lung), spine, arm)[lung] == LEFT).all()


def test_a_small_piece_beside_a_lung_tells_nothing_of_the_middle():
    tip = np.s_[3:8, 6:10, 54:58]  # of the same lung, at its side
    ribs = np.s_[:, 6:20, 53:54]
    labels = sides(mask(OTHER, tip), SPINE, ribs)
    assert (labels[OTHER] == LEFT).all()
    assert (labels[tip] == LEFT).all()


@pytest.mark.parametrize("right_to_left", [True, False])
def test_a_sliver_cut_by_the_far_edge_is_of_the_other_lung(right_to_left):
    """Also where a rib at that edge is all the bone that a box around one lung holds."""
    sliver, rib = np.s_[8:12, 10:16, 57:], np.s_[:, 2:8, 58:]
    found = sides(mask(ONE, sliver), rib, right_to_left=right_to_left)
    own, other = (RIGHT, LEFT) if right_to_left else (LEFT, RIGHT)
    assert (found == own * mask(ONE) + other * mask(sliver)).all()


def test_a_piece_that_is_not_cut_stays_with_its_lung():
    piece, rib = np.s_[8:12, 10:16, 54:57], np.s_[:, 2:8, 58:]
    assert (sides(mask(ONE, piece), rib) == RIGHT * mask(ONE, piece)).all()


def test_lobes_that_lie_apart_have_each_its_side():
    lungs = mask(ONE, OTHER, np.s_[3:8, 23:25, 10:20], np.s_[3:8, 23:25, 40:50])
    labels = sides(lungs, SPINE)
    assert (labels[..., :MIDDLE][lungs[..., :MIDDLE]] == RIGHT).all()
    assert (labels[..., MIDDLE:][lungs[..., MIDDLE:]] == LEFT).all()


# Lungs that touch

WIDE_ONE, WIDE_OTHER = np.s_[3:17, 6:20, 8:28], np.s_[3:17, 6:20, 32:52]


@pytest.mark.parametrize(
    "bridge",
    [np.s_[8:12, 10:13, 28:32], np.s_[8:12, 6:9, 28:32], np.s_[3:17, 10:12, 28:32]],
)
@pytest.mark.parametrize("right_to_left", [True, False])
def test_lungs_that_touch_are_parted_in_the_middle_of_what_joins_them(bridge, right_to_left):
    lungs = mask(WIDE_ONE, WIDE_OTHER, bridge)
    labels = sides(lungs, SPINE, right_to_left=right_to_left)
    first, second = (RIGHT, LEFT) if right_to_left else (LEFT, RIGHT)
    assert (labels[..., :MIDDLE] == first * lungs[..., :MIDDLE]).all()
    assert (labels[..., MIDDLE:] == second * lungs[..., MIDDLE:]).all()


def test_each_part_takes_what_is_nearer_through_the_lung():
    """A tip of the right lung that lies in front of the left one goes with the right one."""
    tip = np.s_[8:12, 2:5, 20:40]
    stalk = np.s_[8:12, 5:6, 20:24]
    touch = np.s_[8:12, 12:13, 28:32]
    labels = sides(mask(WIDE_ONE, WIDE_OTHER, tip, stalk, touch), SPINE)
    assert (labels[tip] == RIGHT).all()
    assert (labels[WIDE_OTHER] == LEFT).all()


@pytest.mark.parametrize(("rows", "is_parted"), [(13, True), (16, False)])
def test_lungs_are_parted_where_they_touch_less_than_60_mm_wide(rows, is_parted):
    """In a scan that ends within them; 13 rows are 52 mm, and what is wider is one lung."""
    shape = (14, 50, 80)
    one, other = np.s_[:, 5:45, 2:38], np.s_[:, 5:45, 42:78]
    lungs = mask(one, other, np.s_[:, 20 : 20 + rows, 38:42], shape=shape)
    labels = sides(lungs, np.s_[:, 46:49, 37:43])
    assert (len(np.unique(labels[lungs])) == 2) == is_parted
    if is_parted:
        assert (labels[one] == RIGHT).all()
        assert (labels[other] == LEFT).all()


@pytest.mark.parametrize("columns", [1, 2])
def test_a_lung_that_reaches_a_little_over_the_middle_is_one_lung(columns):
    lung = np.s_[3:17, 6:20, MIDDLE - columns : 52]
    labels = sides(mask(lung), SPINE)
    assert (labels[lung] == LEFT).all()


def test_a_lung_far_over_the_middle_that_does_not_fall_apart_is_one_lung():
    lung = np.s_[3:17, 6:20, MIDDLE - 6 : 44]
    assert (sides(mask(lung), SPINE)[lung] == LEFT).all()
    lung = np.s_[3:17, 6:20, MIDDLE - 14 : 36]
    assert (sides(mask(lung), SPINE)[lung] == RIGHT).all()


def test_a_lobe_over_the_middle_is_no_lung_of_its_own():
    """Less than a tenth of both."""
    lobe, bridge = np.s_[6:11, 7:15, 21:28], np.s_[7:8, 10:12, 28:32]
    lungs = mask(WIDE_OTHER, lobe, bridge)
    assert (sides(lungs, SPINE)[lungs] == LEFT).all()
    assert (sides(lungs, SPINE, right_to_left=False)[lungs] == RIGHT).all()


def test_lobes_of_one_lung_are_not_parted():
    """Both lie on one side for the most part, though the lower one reaches over the middle."""
    upper, lower = np.s_[11:17, 6:20, 36:52], np.s_[3:9, 6:20, 25:49]
    lungs = mask(upper, lower, np.s_[9:11, 10:12, 40:42])
    assert (sides(lungs, SPINE)[lungs] == LEFT).all()
    assert (sides(lungs, SPINE, right_to_left=False)[lungs] == RIGHT).all()


@pytest.mark.parametrize("right_to_left", [True, False])
def test_a_small_lung_that_touches_the_other_is_parted(right_to_left):
    """An eighth of both."""
    one, other = np.s_[3:17, 6:20, 8:28], np.s_[5:15, 6:14, 32:39]
    lungs = mask(one, other, np.s_[8:11, 10:12, 28:32])
    labels = sides(lungs, SPINE, right_to_left=right_to_left)
    first, second = (RIGHT, LEFT) if right_to_left else (LEFT, RIGHT)
    assert (labels[one] == first).all()
    assert (labels[other] == second).all()


@pytest.mark.parametrize(("height", "is_parted"), [(5, True), (3, False)])
def test_a_piece_of_less_than_a_fifth_is_never_both_lungs(height, is_parted):
    """Here a quarter, and less."""
    dumbbell = mask(*(np.s_[:height, 8:18, first : first + 8] for first in (20, 32)))
    dumbbell[:height, 12:14, 28:32] = True
    lungs = dumbbell | mask(np.s_[8:18, 6:20, 2:14], np.s_[8:18, 6:20, 46:52])
    parted = len(np.unique(sides(lungs, SPINE)[dumbbell])) == 2
    assert parted == is_parted


def ellipsoids(spacing, shape) -> tuple[np.ndarray, np.ndarray]:
    """Two lungs of which the left one is smaller and higher, and what joins them in front."""
    z, y, x = (
        (index - (count - 1) / 2) * size
        for index, count, size in zip(np.indices(shape), shape, spacing, strict=True)
    )
    one = ((x + 62) / 52) ** 2 + (y / 60) ** 2 + ((z + 10) / 75) ** 2 < 1
    other = ((x - 55) / 45) ** 2 + (y / 50) ** 2 + ((z - 20) / 60) ** 2 < 1
    bridge = (np.abs(x) < 45) & (np.abs(y) < 7) & (np.abs(z - 10) < 12) & ~one & ~other
    return one * RIGHT + other * LEFT, bridge


@pytest.mark.parametrize("spacing", [(5, 4, 4), (8, 3, 5), (2, 5, 4), (0.8, 4, 4)])
def test_lungs_of_any_shape_are_parted_at_any_spacing(spacing):
    shape = tuple(
        round(length / size) for length, size in zip((180, 140, 240), spacing, strict=True)
    )
    truth, bridge = ellipsoids(spacing, shape)
    middle = shape[2] // 2
    spine = np.s_[:, -4:, middle - 2 : middle + 2]
    labels = sides((truth > 0) | bridge, spine, spacing=spacing)
    assert (labels[bridge] > 0).all()
    assert np.mean(labels[truth > 0] != truth[truth > 0]) < 0.002


@pytest.mark.parametrize(("spacing", "depth"), [((1.0, 4.0, 5.0), 60), ((1.5, 4.0, 5.0), 40)])
def test_thin_slices_are_parted_as_thick_ones(spacing, depth):
    shape = (depth + 1, 30, 60)
    one, other = np.s_[9:-8, 6:20, 8:28], np.s_[9:-8, 6:20, 32:52]
    lungs = mask(one, other, np.s_[20:31, 10:12, 28:32], shape=shape)
    labels = sides(lungs, SPINE, spacing=spacing)
    assert ((labels > 0) == lungs).all()
    assert (labels[one] == RIGHT).all()
    assert (labels[other] == LEFT).all()


def test_a_single_thin_slice_is_parted():
    shape = (1, 30, 60)
    one, other = np.s_[:, 6:20, 8:28], np.s_[:, 6:20, 32:52]
    lungs = mask(one, other, np.s_[:, 10:12, 28:32], shape=shape)
    labels = sides(lungs, SPINE, spacing=(1.0, 4.0, 5.0))
    assert (labels[..., :MIDDLE] == RIGHT * lungs[..., :MIDDLE]).all()
    assert (labels[..., MIDDLE:] == LEFT * lungs[..., MIDDLE:]).all()


@pytest.mark.parametrize("right_to_left", [True, False])
@pytest.mark.parametrize("beyond", [32, 48, 64, 120])
def test_a_part_that_is_cut_by_the_far_edge_and_joined_is_of_the_other_lung(right_to_left, beyond):
    """A box around one lung, so many millimeters beyond the middle; both lungs touch in front."""
    voxels = thorax(spacing=(4, 4, 5), size=(96, 66, 60), touching=True)
    labels = sitk.GetArrayFromImage(voxels.lungs)[:, :, : 48 + beyond // 4]
    hounsfield = voxels.hounsfield[:, :, : labels.shape[2]].astype(np.float32)
    assert ndimage.label(labels)[1] == 1
    leftward = leftward_of(labels.shape, 4)
    found = right_and_left(
        labels > 0,
        scan_of(hounsfield, (5.0, 4.0, 4.0)),
        leftward if right_to_left else -leftward,
    )
    expected = labels if right_to_left else np.where(labels, 3 - labels, 0)
    wrong = np.count_nonzero(found != expected) / np.count_nonzero(labels == LEFT)
    assert wrong < 0.05


def test_a_lung_that_ends_at_the_middle_is_not_cut_in_two():
    """The edge of the field of view lies in the spine, and does not tell where the middle is."""
    lung, spine = np.s_[3:17, 6:20, 8:33], np.s_[:, 22:27, 27:33]
    hounsfield = np.where(mask(lung), LUNG, TISSUE).astype(np.float32)
    hounsfield[spine] = BONE
    lungs, hounsfield = mask(lung)[..., :33], hounsfield[..., :33]
    found = right_and_left(lungs, scan_of(hounsfield, SPACING), leftward_of(lungs.shape, 5))
    assert (found == lungs * RIGHT).all()

"""From chosen clusters to lungs: which pieces count, and where each lung ends, to the voxel."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from blocks import BONE, LUNG, TISSUE, mask_of, scan_of
from S3NetSegmentationLib import Settings
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.lung.decision import decide_lungs
from S3NetSegmentationLib.orientation import AxialOrientation
from scipy import ndimage

PLAIN = Settings(use_intensity=False, fill_vessels=False)
SHARP = replace(PLAIN, use_intensity=True)
FILLED = replace(PLAIN, fill_vessels=True)

SHAPE, SPACING = (30, 30, 60), (5.0, 4.0, 5.0)
"""A voxel holds 0.1 mL, and a pixel 0.2 square centimeters."""

RIGHT, LEFT = np.s_[10:16, 8:22, 8:24], np.s_[10:16, 8:22, 36:52]

mask = partial(mask_of, shape=SHAPE)


def image(lungs: np.ndarray) -> np.ndarray:
    """Lungs in tissue, with a spine behind."""
    hounsfield = np.where(lungs, LUNG, TISSUE).astype(np.float32)
    middle = lungs.shape[2] // 2
    hounsfield[:, -4:-1, middle - 2 : middle + 2] = BONE
    return hounsfield


def decide(chosen, hounsfield=None, spacing=SPACING, settings=PLAIN, scan=None) -> np.ndarray:
    """The lungs from a mask on the working grid, numbered 4 among clusters 2 and 4."""
    hounsfield = image(chosen) if hounsfield is None else hounsfield
    scan = scan or scan_of(hounsfield, spacing)
    labels = np.where(chosen, 4, 2).astype(np.uint8)
    fine = np.divide(scan.spacing, scan.grid.block)
    order = AxialOrientation(Geometry(tuple(fine[::-1]), (0, 0, 0), tuple(np.eye(3).ravel())))
    return decide_lungs(labels, (4,), scan, hounsfield, order, settings)


def test_right_is_1_and_left_is_2():
    expected = mask(RIGHT) + 2 * mask(LEFT)
    for settings in (PLAIN, SHARP, FILLED, Settings()):
        assert (decide(mask(RIGHT, LEFT), settings=settings) == expected).all()


def test_no_lung_is_no_lung():
    for settings in (PLAIN, Settings()):
        assert not decide(mask(), settings=settings).any()


def test_what_is_not_chosen_or_outside_the_body_is_no_lung():
    lungs = mask(RIGHT, LEFT)
    body = np.arange(SHAPE[2]) < 45
    scan = scan_of(image(lungs), SPACING, np.broadcast_to(body, SHAPE))
    for settings in (PLAIN, SHARP, FILLED, Settings()):
        decided = decide(lungs, scan=scan, settings=settings)
        assert ((decided > 0) == (lungs & body)).all()


# Which pieces count. The lungs of these scans are small, so that 0.4% of them is less than 5 mL.

SMALL = np.s_[10:16, 8:16, 10:20]  # 48 mL


@pytest.mark.parametrize(("length", "is_kept"), [(10, True), (9, False)])
def test_a_piece_of_5_ml_counts(length, is_kept):
    piece = np.s_[12:17, 18:19, 30 : 30 + length]
    assert decide(mask(SMALL, piece))[piece].all() == is_kept
    assert decide(mask(SMALL, piece))[piece].any() == is_kept


@pytest.mark.parametrize(("rows", "is_kept"), [(4, True), (3, False)])
def test_a_piece_of_4_thousandths_of_the_largest_counts(rows, is_kept):
    largest = np.s_[10:20, 2:28, 2:24]  # 1830 mL, of which they are 7.3
    piece = np.s_[12:14, 8 : 8 + rows, 40:43]  # 7.7 or 5.8 mL
    decided = decide(mask(largest, piece), spacing=(5.0, 8.0, 8.0))
    assert decided[piece].all() == is_kept


@pytest.mark.parametrize(("columns", "is_kept"), [(25, True), (24, False)])
def test_a_thin_piece_counts_where_it_is_as_large_as_a_lung(columns, is_kept):
    """25 square centimeters in a slice of 1 mm, 2.5 mL."""
    lung = np.s_[10:24, 8:16, 2:22]
    piece = np.s_[12:13, 20:25, 30 : 30 + columns]
    decided = decide(mask(lung, piece), spacing=(1.0, 4.0, 5.0))
    assert decided[piece].all() == is_kept
    assert decided[lung].all()


@pytest.mark.parametrize(("columns", "is_kept"), [(12, True), (11, False)])
def test_a_piece_that_the_scan_cuts_at_both_ends_counts_by_its_area(columns, is_kept):
    """2.4 square centimeters; its volume says nothing."""
    shape = (3, *SHAPE[1:])
    lung, piece = np.s_[:, 8:16, 8:18], np.s_[:, 20:21, 30 : 30 + columns]
    decided = decide(mask(lung, piece, shape=shape), spacing=(1.0, 4.0, 5.0))
    assert decided[piece].all() == is_kept
    # What does not go through the whole scan is measured by its volume.
    assert not decide(mask(lung, np.s_[:2, 20:21, 30:45], shape=shape))[:, 20:].any()


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize(("gap", "is_kept"), [(9, True), (10, False), (12, False)])
def test_a_piece_50_mm_above_or_below_the_largest_is_no_lung(above, gap, is_kept):
    lung = np.s_[16:22, 8:16, 10:20]
    first = 22 + gap if above else 16 - gap - 4
    piece = np.s_[first : first + 4, 8:16, 30:40]
    decided = decide(mask(lung, piece, shape=(38, *SHAPE[1:])))
    assert decided[piece].any() == is_kept
    assert decided[lung].all()


# Plain air is no lung.


def with_values(lungs, *values) -> np.ndarray:
    """The image with Hounsfield units (box, value) put in."""
    hounsfield = image(lungs)
    for box, value in values:
        hounsfield[box] = value
    return hounsfield


HIGH = np.s_[18:24, 8:16, 30:40]  # a small piece, too high for bowel


@pytest.mark.parametrize(("value", "is_kept"), [(-956, False), (-954, True)])
def test_a_small_piece_of_air_is_no_lung(value, is_kept):
    """Its rim is a mixture; less than 45 HU above the air around the patient is air."""
    lungs = mask(SMALL, HIGH)
    decided = decide(lungs, with_values(lungs, (np.s_[18:24, 10:14, 30:40], value)))
    assert decided[HIGH].all() == is_kept
    assert decided[SMALL].all()


def test_air_is_as_dark_as_around_the_patient():
    lungs = mask(SMALL, HIGH)
    hounsfield = with_values(lungs, (HIGH, -990))
    scan = replace(scan_of(hounsfield, SPACING), air_level=-1050.0)
    assert decide(lungs, hounsfield, scan=scan)[HIGH].all()
    assert not decide(lungs, hounsfield)[HIGH].any()


@pytest.mark.parametrize(("rows", "is_kept"), [(14, False), (10, True)])
def test_a_large_piece_is_no_lung_only_where_it_is_air_throughout(rows, is_kept):
    lungs, large = mask(RIGHT, LEFT), np.s_[18:24, 8:22, 28:52]
    lungs[LEFT], lungs[large] = False, True
    hounsfield = with_values(lungs, (np.s_[18:24, 8 : 8 + rows, 28:52], -990))
    assert decide(lungs, hounsfield)[large].any() == is_kept


def test_gas_below_the_lung_that_touches_it_is_no_lung_and_a_bulla_is():
    lung = np.s_[8:26, 8:22, 8:24]
    below, above = np.s_[4:8, 10:20, 10:20], np.s_[26:29, 10:20, 10:20]
    lungs = mask(lung, below, above)
    decided = decide(lungs, with_values(lungs, (below, -990), (above, -990)))
    assert not decided[below].any()
    assert decided[above].all()
    # The rim of the gas goes with it, but no more than two pixels of lung beside it.
    assert decided[lung].all()


# Where a lung ends. Midway between lung (-850) and tissue (40) lies -405.


def shrunk(box, rows: int):
    """A box in (z, y, x) with so many rows and columns less on each side, or more."""
    z, y, x = box
    return z, slice(y.start + rows, y.stop - rows), slice(x.start + rows, x.stop - rows)


@pytest.mark.parametrize("less", [-2, -1, 0, 1])
def test_the_intensity_puts_the_border_right(less):
    truth = mask(RIGHT) + 2 * mask(LEFT)
    lungs = mask(shrunk(RIGHT, less), shrunk(LEFT, less))
    decided = decide(lungs, image(truth > 0), settings=SHARP)
    assert not decided[truth == 0].any()
    # Corners are farther away.
    assert (decided[:, 11:19] == truth[:, 11:19]).all()
    assert (decided[..., 11:21] == truth[..., 11:21]).all()
    assert (decided[..., 39:49] == truth[..., 39:49]).all()
    plain = decide(lungs, image(truth > 0))
    assert ((plain > 0) == lungs).all()


def test_more_than_two_pixels_off_the_score_map_decides():
    chosen, hounsfield = mask(shrunk(RIGHT, -3), shrunk(LEFT, -3)), image(mask(RIGHT, LEFT))
    decided = decide(chosen, hounsfield, settings=SHARP)
    middle = np.s_[:, 12:18]
    expected = mask(shrunk(RIGHT, -1)) + 2 * mask(shrunk(LEFT, -1))
    assert (decided[middle] == expected[middle]).all()


@pytest.mark.parametrize(("value", "is_lung"), [(-410, True), (-400, False)])
def test_the_border_lies_midway(value, is_lung):
    lungs = mask(RIGHT, LEFT)
    edge = np.s_[10:16, 8:9, 8:24]
    decided = decide(lungs, with_values(lungs, (edge, value)), settings=SHARP)
    assert decided[edge].all() == decided[edge].any() == is_lung


@pytest.mark.parametrize(("value", "is_lung"), [(-230, True), (-220, False)])
def test_the_border_lies_where_readers_draw_it_if_asked(value, is_lung):
    lungs, edge = mask(RIGHT, LEFT), np.s_[10:16, 8:9, 8:24]
    readers = replace(SHARP, border=0.7)
    decided = decide(lungs, with_values(lungs, (edge, value)), settings=readers)
    assert decided[edge].all() == decided[edge].any() == is_lung


def test_the_border_lies_between_what_is_there():
    """Midway between lung and what is around it, here fat; the pixels between say nothing."""
    lungs = mask(RIGHT)
    near = ndimage.binary_dilation(lungs, np.ones((1, 3, 3)), iterations=3)
    hounsfield = np.where(lungs, LUNG, np.where(near, -110, TISSUE)).astype(np.float32)
    hounsfield[ndimage.binary_dilation(lungs, np.ones((1, 3, 3))) & ~lungs] = -470  # midway -480
    decided = decide(lungs, hounsfield, settings=SHARP)
    assert ((decided > 0) == lungs).all()


def test_a_thin_wall_is_what_is_around():
    """Where the body ends a pixel beyond the lung."""
    lungs = mask(RIGHT)
    body = ndimage.binary_dilation(lungs, ndimage.generate_binary_structure(2, 1)[None])
    hounsfield = np.where(lungs, LUNG, np.where(body, TISSUE, -1000)).astype(np.float32)
    edge = np.s_[10:16, 8:9, 8:24]
    for value, is_lung in ((-410, True), (-400, False)):
        hounsfield[edge] = value
        decided = decide(lungs, hounsfield, settings=SHARP, scan=scan_of(hounsfield, SPACING, body))
        assert decided[edge].all() == decided[edge].any() == is_lung


def test_the_border_is_looked_for_within_the_slices():
    """What the score map says of a whole slice stays, however dark or bright it is."""
    dark, bright = np.s_[9:17, 8:22, 8:24], np.s_[15:16, 12:18, 12:20]
    hounsfield = with_values(mask(dark, LEFT), (bright, TISSUE))
    decided = decide(mask(RIGHT, LEFT), hounsfield, settings=SHARP)
    assert ((decided > 0) == mask(RIGHT, LEFT)).all()


def test_where_the_scan_ends_a_lung_has_no_border():
    lungs, bright = mask(np.s_[10:16, :14, 8:24], LEFT), np.s_[10:16, :2, 12:18]
    decided = decide(lungs, with_values(lungs, (bright, TISSUE)), settings=SHARP)
    assert ((decided > 0) == lungs).all()


def test_lungs_that_are_a_pixel_apart_keep_their_sides():
    lungs = mask(np.s_[10:16, 8:22, 8:29], np.s_[10:16, 8:22, 30:50])
    for settings in (PLAIN, SHARP, FILLED, Settings()):
        decided = decide(lungs, settings=settings)
        assert (decided[..., :29] == lungs[..., :29]).all()
        assert (decided[..., 30:] == 2 * lungs[..., 30:]).all()
        assert not decided[..., 29].any()


def test_a_lung_without_anything_around_is_as_chosen():
    lungs = np.ones(SHAPE, bool)
    scan = scan_of(image(lungs), SPACING, lungs)
    assert decide(lungs, scan=scan, settings=SHARP).all()


HAZE = np.s_[10:16, 18:22, 8:24]
FRONT = np.s_[10:16, 8:20, 8:24]


def haze(box, value) -> np.ndarray:
    """Whether haze at the back, of which the score map has half, is lung."""
    hounsfield = with_values(mask(RIGHT, LEFT), (box, value))
    return decide(mask(FRONT, LEFT), hounsfield, settings=SHARP)[box] > 0


def test_haze_is_lung_where_it_is_darker_than_fat_and_thick():
    assert haze(HAZE, -300).all()
    assert haze(HAZE, -180).all()
    assert not haze(HAZE, -160).any()
    assert not haze(np.s_[10:16, 20:22, 8:24], -300).any()  # as thin as a border
    assert not haze(np.s_[10:16, 18:22, 14:16], -300).any()


def test_haze_far_from_what_the_score_map_has_is_lung_if_it_touches_it():
    lungs, clear = mask(RIGHT, LEFT), mask(np.s_[10:16, 8:12, 8:24], LEFT)
    back, apart = np.s_[10:16, 12:22, 8:24], np.s_[10:16, 17:22, 8:24]
    decided = decide(clear, with_values(lungs, (back, -300)), settings=SHARP)
    assert (decided[back] == 1).all()
    between = (np.s_[10:16, 12:17, 8:24], TISSUE)
    decided = decide(clear, with_values(lungs, (back, -300), between), settings=SHARP)
    assert not decided[apart].any()


def test_haze_in_a_single_slice_is_the_end_of_a_dome():
    for z in (10, 12, 15):
        assert not haze(np.s_[z : z + 1, 18:22, 8:24], -300).any()
    assert haze(np.s_[12:14, 18:22, 8:24], -300).all()


def test_haze_in_one_of_two_slices_is_the_end_of_a_dome():
    shape = (2, *SHAPE[1:])
    lungs = mask(np.s_[:, 8:22, 8:24], shape=shape)
    chosen = mask(np.s_[:, 8:20, 8:24], shape=shape)
    for box in (np.s_[:1, 18:22, 8:24], np.s_[1:, 18:22, 8:24]):
        assert not decide(chosen, with_values(lungs, (box, -300)), settings=SHARP)[box].any()


def test_a_scan_of_one_slice_may_be_hazy():
    shape = (1, *SHAPE[1:])
    lungs, back = mask(np.s_[:, 8:22, 8:24], shape=shape), np.s_[:, 18:22, 8:24]
    chosen = mask(np.s_[:, 8:20, 8:24], shape=shape)
    assert decide(chosen, with_values(lungs, (back, -300)), settings=SHARP)[back].all()


FINE, FINE_SPACING = (6, 160, 200), (5.0, 0.5, 1.0)
BLOCK = (1, 4, 4)


@pytest.mark.parametrize(("rows", "is_lung"), [(6, True), (5, False)])
def test_haze_is_thick_in_millimeters(rows, is_lung):
    """3 mm of voxels that are finer than the working grid: here six rows, below three columns."""
    lung = np.s_[:, 40:120, 20:80]
    hounsfield = np.where(mask(lung, shape=FINE), LUNG, TISSUE).astype(np.float32)
    back = np.s_[:, 120 - rows : 120, 20:80]
    hounsfield[back] = -300
    scan = scan_of(hounsfield, FINE_SPACING, block=BLOCK)
    decided = decide(mask(np.s_[:, 10:29, 5:20], shape=scan.body.shape), hounsfield,
                     settings=SHARP, scan=scan)  # fmt: skip
    assert decided[back].all() == decided[back].any() == is_lung


@pytest.mark.parametrize(("columns", "is_lung"), [(3, True), (2, False)])
def test_haze_at_the_side_is_thick_in_millimeters(columns, is_lung):
    lung = np.s_[:, 40:120, 20:80]
    hounsfield = np.where(mask(lung, shape=FINE), LUNG, TISSUE).astype(np.float32)
    side = np.s_[:, 40:120, 80 - columns : 80]
    hounsfield[side] = -300
    scan = scan_of(hounsfield, FINE_SPACING, block=BLOCK)
    decided = decide(mask(np.s_[:, 10:30, 5:19], shape=scan.body.shape), hounsfield,
                     settings=SHARP, scan=scan)  # fmt: skip
    assert decided[side].all() == decided[side].any() == is_lung


def test_lungs_come_out_at_their_place_on_the_grid_of_the_scan():
    """From a coarser grid, of which only a box was worked on."""
    truth = np.repeat(np.repeat(mask(RIGHT) + 2 * mask(LEFT), 2, 1), 2, 2).astype(np.uint8)
    box = np.s_[:, 4:28, 6:56]
    hounsfield = image(truth > 0)
    for settings in (PLAIN, SHARP, FILLED, Settings()):
        scan = scan_of(hounsfield, (5.0, 2.0, 2.5), block=(1, 2, 2), box=box)
        lungs = mask(RIGHT, LEFT)[box]
        assert (decide(lungs, hounsfield, settings=settings, scan=scan) == truth).all()


# Airways and vessels

TUBE = np.s_[8:20, 14:16, 14:16]


def with_airway(settings) -> np.ndarray:
    lungs = mask(RIGHT, LEFT)
    hounsfield = image(lungs)
    scan = scan_of(hounsfield, SPACING, airways=mask(TUBE))
    return decide(lungs, hounsfield, scan=scan, settings=settings) > 0


def test_airways_and_what_is_beside_them_are_no_lung():
    lungs, tube = mask(RIGHT, LEFT), mask(TUBE)
    wall = ndimage.binary_dilation(tube)
    assert (with_airway(PLAIN) == (lungs & ~wall)).all()
    # Lung goes up to the lumen where small gaps are filled.
    assert (with_airway(FILLED) == (lungs & ~tube)).all()
    for settings in (PLAIN, SHARP, FILLED, Settings()):
        keeping = replace(settings, remove_airways=False)
        assert (with_airway(keeping) == lungs).all()


def test_the_lumen_is_left_out_to_the_voxel():
    """Also where it is finer than the working grid."""
    lungs = np.repeat(np.repeat(mask(RIGHT, LEFT), 2, 1), 2, 2)
    tube = mask(np.s_[8:20, 29:32, 29:32], shape=lungs.shape)
    hounsfield = image(lungs)
    scan = scan_of(hounsfield, (5.0, 2.0, 2.5), airways=tube, block=(1, 2, 2))
    decided = decide(mask(RIGHT, LEFT), hounsfield, settings=FILLED, scan=scan) > 0
    assert not decided[tube].any()
    assert decided[lungs & ~ndimage.binary_dilation(tube, np.ones((3, 3, 3)))].all()


NARROW, NARROW_SPACING = (10, 60, 80), (5.0, 2.5, 2.5)
ONE = np.s_[2:8, 10:50, 6:36]
OTHER = np.s_[2:8, 10:50, 44:74]


def vessels(gap, settings=FILLED) -> np.ndarray:
    """The lungs where a gap of tissue in the score map is in one of them."""
    lungs = mask(ONE, OTHER, shape=NARROW)
    lungs[gap] = False
    return decide(lungs, spacing=NARROW_SPACING, settings=settings)


@pytest.mark.parametrize(
    ("narrow", "wide", "middle"),
    [
        (np.s_[2:8, 10:40, 16:22], np.s_[2:8, 10:40, 16:23], np.s_[2:8, 20:30, 19:20]),
        (np.s_[2:8, 20:26, 6:30], np.s_[2:8, 20:27, 6:30], np.s_[2:8, 23:24, 14:20]),
    ],
)
def test_gaps_of_15_mm_are_vessels(narrow, wide, middle):
    assert (vessels(narrow)[middle] == 1).all()
    assert not vessels(narrow, PLAIN)[middle].any()
    assert not vessels(wide)[middle].any()


@pytest.mark.parametrize(("columns", "is_lung"), [(13, True), (14, False)])
def test_a_hole_of_7_square_centimeters_is_vessels(columns, is_lung):
    """It goes through all slices of the lung, and only its corners are narrow."""
    hole = np.s_[2:8, 22:32, 14 : 14 + columns]
    middle = np.s_[2:8, 26:28, 18:20]
    assert vessels(hole)[middle].all() == vessels(hole)[middle].any() == is_lung


@pytest.mark.parametrize("swapped", [False, True])
def test_gaps_and_holes_are_measured_in_millimeters(swapped):
    """With pixels of 2.5 x 5 mm, or 5 x 2.5."""

    def lungs(gap):
        filled = mask(np.s_[2:8, 10:60, 5:25], np.s_[2:8, 10:60, 35:55], shape=(10, 70, 60))
        filled[gap] = False
        spacing = (5.0, 5.0, 2.5) if swapped else (5.0, 2.5, 5.0)
        filled = filled.swapaxes(1, 2) if swapped else filled
        decided = decide(filled, spacing=spacing, settings=FILLED) > 0
        return decided.swapaxes(1, 2) if swapped else decided

    assert lungs(np.s_[2:8, 20:26, 5:22])[2:8, 20:26, 12:16].all()
    assert not lungs(np.s_[2:8, 20:27, 5:22])[2:8, 23:24, 12:16].any()
    # Of pixels as wide as 5 mm no more than two fit into a gap.
    assert lungs(np.s_[2:8, 10:50, 12:14])[2:8, 24:36, 12:14].all()
    assert not lungs(np.s_[2:8, 10:50, 12:15])[2:8, 24:36, 13:14].any()
    # 6.75 and 8.75 square centimeters.
    assert lungs(np.s_[2:8, 20:29, 10:16])[2:8, 23:26, 12:14].all()
    assert not lungs(np.s_[2:8, 20:30, 10:17])[2:8, 23:26, 12:15].any()


def test_what_is_open_at_the_edge_of_the_scan_is_not_surrounded():
    lungs = mask(np.s_[2:8, :40, 6:36], np.s_[2:8, :40, 44:74], shape=NARROW)
    lungs[2:8, :10, 16:27] = False
    assert not decide(lungs, spacing=NARROW_SPACING, settings=FILLED)[2:8, :4, 20:23].any()


def test_what_lung_surrounds_on_all_sides_is_lung():
    inside = np.s_[3:7, 20:40, 12:30]
    assert (vessels(inside)[ONE] == 1).all()
    through = np.s_[3:8, 20:40, 12:30]
    assert not vessels(through)[np.s_[3:8, 26:34, 18:24]].any()


def test_the_narrow_gap_between_the_lungs_is_in_neither():
    lungs = mask(np.s_[2:8, 10:50, 10:38], np.s_[2:8, 10:50, 42:70], shape=NARROW)
    decided = decide(lungs, spacing=NARROW_SPACING, settings=FILLED)
    assert ((decided > 0) == lungs).all()
    assert decided[4, 20, 20] == 1
    assert decided[4, 20, 60] == 2


def test_vessels_outside_the_body_are_not_filled():
    gap = np.s_[2:8, 10:40, 16:22]
    lungs = mask(ONE, OTHER, shape=NARROW)
    lungs[gap] = False
    scan = scan_of(image(lungs), NARROW_SPACING, ~mask(gap, shape=NARROW))
    assert ((decide(lungs, settings=FILLED, scan=scan) > 0) == lungs).all()


def test_fine_vessels_are_filled_inside_the_lung_and_not_at_its_border():
    """Of half a working pixel, which the intensity takes out of the lung."""
    lungs = np.repeat(np.repeat(mask(RIGHT, LEFT), 2, 1), 2, 2)
    hounsfield = image(lungs)
    inside, border = np.s_[12, 18:19, 30:31], np.s_[12, 16:17, 30:31]
    hounsfield[inside] = hounsfield[border] = TISSUE
    scan = scan_of(hounsfield, (5.0, 2.0, 2.5), block=(1, 2, 2))
    sharp, both = (
        decide(mask(RIGHT, LEFT), hounsfield, settings=settings, scan=scan)
        for settings in (SHARP, Settings())
    )
    assert (sharp[inside], sharp[border], both[border]) == (0, 0, 0)
    assert both[inside] == 1

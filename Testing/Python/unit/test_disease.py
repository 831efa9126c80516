"""Lung that a disease fills in part: dense at the ribs, sloping, or beside a border."""

import numpy as np
import pytest
from S3NetSegmentationLib.labels import LEFT, RIGHT
from S3NetSegmentationLib.lung.block_grid import BlockGrid
from S3NetSegmentationLib.lung.disease import add_disease
from S3NetSegmentationLib.lung.fine import FineScan
from S3NetSegmentationLib.lung.haze import find_haze
from S3NetSegmentationLib.lung.pockets import find_pockets
from S3NetSegmentationLib.lung.scan import Scan

SPACING = (5.0, 2.5, 2.5)
SHAPE = (36, 100, 140)
LUNG, MUSCLE, BONE, AIR = -850, 45, 300, -600


def chest() -> tuple[np.ndarray, np.ndarray]:
    """Hounsfield units and lungs of a chest in which both lungs lie at the ribs."""
    z, y, x = (
        (index - (count - 1) / 2) * size
        for index, count, size in zip(np.indices(SHAPE), SHAPE, SPACING, strict=True)
    )
    across = np.hypot(x / 150, y / 100)
    hounsfield = np.where(across < 1.15, MUSCLE, -1000).astype(np.float32)
    rib = (across >= 1) & (across < 1.06) & (np.mod(z + 0.4 * y, 28) < 10)
    hounsfield[rib] = BONE
    lungs = (across < 0.97) & (np.abs(x) > 30) & (np.abs(z) < 75)
    hounsfield[lungs] = LUNG
    return hounsfield, lungs


def with_dense_part(hounsfield: np.ndarray, level: float, air: float) -> np.ndarray:
    """The chest with a part of the right lung at the back filled, but for a share of bubbles."""
    dense = np.zeros(SHAPE, bool)
    dense[12:24, 68:92, 20:50] = hounsfield[12:24, 68:92, 20:50] == LUNG
    hounsfield[dense] = level
    bubbles = np.random.default_rng(0).random(SHAPE) < air
    for axis in (1, 2):
        bubbles |= np.roll(bubbles, 1, axis)
    hounsfield[dense & bubbles] = AIR
    return dense


def fine(hounsfield: np.ndarray) -> FineScan:
    return FineScan(BlockGrid(SHAPE, (1, 1, 1)), SPACING, hounsfield, hounsfield > -990)


def test_a_healthy_chest_has_no_pockets():
    hounsfield, lungs = chest()
    assert not find_pockets(lungs, fine(hounsfield)).any()


def test_dense_lung_at_the_ribs_that_holds_air_is_lung():
    hounsfield, lungs = chest()
    dense = with_dense_part(hounsfield, -20, 0.06)
    found = find_pockets(lungs & ~dense, fine(hounsfield))
    assert found[dense].mean() > 0.9
    assert np.count_nonzero(found & ~lungs) < 0.1 * np.count_nonzero(dense)


@pytest.mark.parametrize(("level", "air"), [(15, 0), (60, 0), (-100, 0), (60, 0.02)])
def test_fluid_masses_and_fat_at_the_ribs_are_not(level, air):
    hounsfield, lungs = chest()
    dense = with_dense_part(hounsfield, level, air)
    assert not find_pockets(lungs & ~dense, fine(hounsfield)).any()


def test_what_lung_does_not_enclose_is_no_pocket():
    """As the liver below the lungs."""
    hounsfield, lungs = chest()
    dense = with_dense_part(hounsfield, -20, 0.06)
    lungs &= ~dense
    lungs[:24, :, :60] = False
    assert not find_pockets(lungs, fine(hounsfield)).any()


def test_without_ribs_or_lungs_there_are_no_pockets():
    hounsfield, lungs = chest()
    dense = with_dense_part(hounsfield, -20, 0.06)
    assert not find_pockets(np.zeros(SHAPE, bool), fine(hounsfield)).any()
    hounsfield[hounsfield == BONE] = MUSCLE
    assert not find_pockets(lungs & ~dense, fine(hounsfield)).any()


@pytest.mark.parametrize(("slices", "is_lung"), [(1, False), (2, False), (3, True)])
@pytest.mark.parametrize("upward", [True, False])
def test_a_dome_mixes_in_two_slices_and_haze_lies_in_more(slices, is_lung, upward):
    hounsfield = np.full(SHAPE, MUSCLE, np.float32)
    hounsfield[20:, 30:60, 30:60] = LUNG
    lungs = hounsfield == LUNG
    haze = np.s_[20 - slices : 20, 30:60, 30:60]
    hounsfield[haze] = -300
    step = 1 if upward else -1
    found = find_haze(lungs[::step], fine(hounsfield[::step]))[::step]
    assert found[haze][:, 5:-5, 5:-5].all() == found[haze].any() == is_lung


@pytest.mark.parametrize(("lung", "is_lung"), [(-850, False), (-450, True)])
def test_the_border_lies_midway_between_the_lung_beside_it_and_tissue(lung, is_lung):
    hounsfield = np.full(SHAPE, MUSCLE, np.float32)
    right, left = np.s_[8:28, 20:80, 20:50], np.s_[8:28, 20:80, 90:120]
    hounsfield[right], hounsfield[left] = lung, -850
    decided = np.zeros(SHAPE, np.uint8)
    decided[right], decided[left] = RIGHT, LEFT
    border = np.s_[8:28, 20:80, 50:51]
    hounsfield[border] = -250
    before = decided.copy()
    body, none = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
    grid = BlockGrid(SHAPE, (1, 1, 1))
    box = (slice(None),) * 3
    scan = Scan(grid, box, SPACING, hounsfield, body, none, grid, none, -1000.0)
    add_disease(decided, scan, hounsfield, 0.5)
    middle = np.s_[8:28, 30:70, 50:51]
    assert (decided[middle] == RIGHT).all() == (decided[middle] > 0).any() == is_lung
    decided[border] = before[border]
    assert (decided == before).all()

"""Chests as they come: cut by the scanner's circle, with stomach, sinuses, bullae, in one slice."""

from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from quick import QUICK
from S3NetSegmentationLib import segment_lungs
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.lung.body import body_mask
from S3NetSegmentationLib.lung.scan import prepare
from S3NetSegmentationLib.lung.sides import right_and_left
from S3NetSegmentationLib.orientation import AxialOrientation
from S3NetSegmentationLib.picture.view import scanner_view


def positions(image: sitk.Image) -> np.ndarray:
    """Millimeters (x, y, z) of every voxel of an image in the patient's own order."""
    k, j, i = np.indices(image.GetSize()[::-1])
    steps = zip((i, j, k), image.GetSpacing(), image.GetOrigin(), strict=True)
    return np.stack([index * size + start for index, size, start in steps])


def changed(image: sitk.Image, values: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(values)
    made.CopyInformation(image)
    return made


def with_shapes(found: phantom.Phantom, *shapes) -> tuple[sitk.Image, list[np.ndarray]]:
    """The scan with ellipsoids (center, radii, Hounsfield units) put in, and where they are."""
    x, y, z = positions(found.image)
    values, places = sitk.GetArrayFromImage(found.image).astype(np.float32), []
    noise = np.random.default_rng(1).normal(0, 10, values.shape)
    for center, radii, hounsfield in shapes:
        place = phantom.ellipsoid(x, y, z, center, radii)
        values[place] = hounsfield + noise[place]
        places.append(place)
    return changed(found.image, values.astype(np.int16)), places


@pytest.mark.parametrize("padding", [-2000, -1024])
@pytest.mark.parametrize("center", [60, -60])
def test_chest_that_the_scanners_circle_cuts(padding, center):
    found = phantom.thorax(noise=8)
    x, y, _ = positions(found.image)
    view = np.hypot(x - center, y) < 120
    scanned = np.maximum(sitk.GetArrayFromImage(found.image), -1024)  # as scanners store it
    values = np.where(view, scanned, padding).astype(np.int16)
    lungs = sitk.GetArrayFromImage(found.lungs) > 0
    assert (lungs & ~view).any()
    result = segment_lungs(changed(found.image, values), QUICK)
    assert result.scan.air_level == pytest.approx(-1000, abs=10)
    made = sitk.GetArrayFromImage(result.lungs) > 0
    assert not made[~view].any()
    # Of what lies at the edge of the circle a working pixel is lost.
    assert dice(made, lungs & view) > 0.95


def test_what_is_not_scanned_is_no_body():
    found = phantom.thorax()
    x, y, _ = positions(found.image)
    view = np.hypot(x, y) < 100
    values = np.where(view, sitk.GetArrayFromImage(found.image), -2000)
    assert not body_mask(values, (4, 3.5, 4))[~view].any()


def test_air_between_the_breasts_is_no_body():
    found = phantom.thorax(noise=0)
    x, y, _ = positions(found.image)
    values = sitk.GetArrayFromImage(found.image)
    right, left = (
        phantom.ellipsoid(x, y, 0 * x, (side * 85, top + 60, 0), (60, 60, 1))
        for side, top in ((-1, -140), (1, -133))
    )
    values[(right | left) & (values < -500) & (y < 0)] = phantom.FAT
    pocket = (np.abs(x) < 15) & (y < -125) & (y > -135)
    assert (values[pocket] == values.min()).all()
    body = body_mask(values.astype(np.float32), (4, 3.5, 4))
    assert body[right & (y < -100)].mean() > 0.8
    assert not body[pocket].any()


def test_air_that_is_not_calibrated_is_told_from_lung():
    found = phantom.thorax(noise=8)
    values = np.where(found.hounsfield < -950, found.hounsfield + 40, found.hounsfield)
    x, y, _ = positions(found.image)
    values[:, np.hypot(x, y)[0] > 170] = -1350  # which mixes with the air at the circle's edge
    assert prepare(values.astype(np.float32), (4, 3.5, 4), 64).air_level == pytest.approx(
        -960, abs=8
    )


STOMACH = ((75, -15, -70), (48, 48, 38), -960)
BULLA = ((75, 0, 85), (45, 60, 35), -960)


def test_stomach_that_touches_the_lung_is_left_out():
    found = phantom.thorax()
    image, (stomach,) = with_shapes(found, STOMACH)
    lungs = sitk.GetArrayFromImage(found.lungs) > 0
    assert (stomach & lungs).any()
    made = sitk.GetArrayFromImage(segment_lungs(image, QUICK).lungs) > 0
    assert (made & stomach).sum() < 0.05 * stomach.sum()
    assert (made & lungs & ~stomach).sum() > 0.95 * (lungs & ~stomach).sum()


def test_a_bulla_stays_in():
    found = phantom.thorax()
    image, (bulla,) = with_shapes(found, BULLA)
    lungs = sitk.GetArrayFromImage(found.lungs) > 0
    bulla &= lungs
    made = sitk.GetArrayFromImage(segment_lungs(image, QUICK).lungs) > 0
    assert (made & bulla).sum() > 0.95 * bulla.sum()


APICAL = ((60, 0, 95), (11, 11, 30), -1000)
CYSTS = [((x, y, -20), (9, 9, 30), -1000) for x in (70, 95) for y in (20, 45)]


@pytest.mark.parametrize("cysts", [[APICAL], CYSTS])
def test_cysts_and_bullae_are_no_airways(cysts):
    found = phantom.thorax(spacing=(2, 2, 4), size=(190, 130, 76))
    walls = [(center, tuple(radius + 3 for radius in radii), -400) for center, radii, _ in cysts]
    image, places = with_shapes(found, *walls, *cysts)
    airways = sitk.GetArrayFromImage(found.airways) > 0
    scan = prepare(sitk.GetArrayFromImage(image).astype(np.float32), (4, 2, 2), 64)
    assert scan.lumen[airways].mean() > 0.8
    for place in places[len(cysts) :]:
        assert not scan.lumen[place].any()


def test_haze_at_the_back_of_the_lungs_is_lung():
    found = phantom.thorax(spacing=(2, 2, 8), size=(190, 130, 38))
    lungs = sitk.GetArrayFromImage(found.lungs) > 0
    back = lungs & ~np.roll(lungs, -6, 1)  # 12 mm from front to back, less at the sides
    values = sitk.GetArrayFromImage(found.image)
    noise = np.random.default_rng(1).normal(0, 20, values.shape)
    values[back] = -320 + noise[back]
    made = sitk.GetArrayFromImage(segment_lungs(changed(found.image, values), QUICK).lungs) > 0
    assert (made & back).sum() > 0.55 * back.sum()
    assert (made & ~lungs).sum() < 0.01 * lungs.sum()


def test_what_is_far_above_the_lungs_is_no_lung():
    found = phantom.thorax(size=(104, 78, 130))
    nose = [((25 * side, -40, 220), (14, 14, 25), -800) for side in (-1, 1)]
    image, sinuses = with_shapes(found, *nose)
    made = sitk.GetArrayFromImage(segment_lungs(image, QUICK).lungs) > 0
    assert not (made & (sinuses[0] | sinuses[1])).any()
    assert dice(made, sitk.GetArrayFromImage(found.lungs) > 0) > 0.95


def one_slice(found: phantom.Phantom, z: float):
    """Scan, lungs and positions to the left of a thin axial slice."""
    index = round((z - found.image.GetOrigin()[2]) / found.image.GetSpacing()[2])
    image = found.image[:, :, index : index + 1]
    image.SetSpacing((*image.GetSpacing()[:2], 1.25))
    order = AxialOrientation(Geometry.of(image))
    scan = prepare(sitk.GetArrayFromImage(image), order.spacing, 128)
    lungs = sitk.GetArrayFromImage(found.lungs)[index : index + 1]
    assert scan.grid.block == (1, 1, 1)
    return scan, lungs[scan.box], order.leftward(lungs.shape)[scan.box]


def test_lungs_that_touch_in_a_thin_slice_are_parted():
    scan, lungs, leftward = one_slice(phantom.thorax(touching=True), 25)
    parted = right_and_left(lungs > 0, scan, leftward)
    assert (parted != lungs).sum() < 0.02 * (lungs > 0).sum()


def test_ribs_with_more_bone_than_the_spine_do_not_turn_the_sides():
    scan, lungs, leftward = one_slice(phantom.thorax(), 25)
    position = leftward - leftward.mean()
    hounsfield = np.where(scan.hounsfield > 200, phantom.TISSUE, scan.hounsfield)
    ribs = scan.body & (lungs == 0) & (np.abs(position - 140) < 12)
    spine = scan.body & (lungs == 0) & (np.abs(position) < 5)
    hounsfield[ribs] = phantom.BONE
    hounsfield[spine & (np.cumsum(spine, 1) < 6)] = phantom.BONE
    bony = replace(scan, hounsfield=hounsfield)
    assert (hounsfield[ribs] > 200).sum() > 2 * (hounsfield[spine] > 200).sum()
    assert (right_and_left(lungs > 0, bony, leftward) == lungs).all()


def test_a_circle_that_is_not_in_the_middle_of_a_gray_slice():
    y, x = np.indices((64, 64))
    gray = np.full((64, 64), 0.3)
    chest = ((x - 30) / 22) ** 2 + ((y - 34) / 16) ** 2 < 1
    gray[chest] = 0.9
    gray[chest & (np.abs(x - 30) > 6) & (((x - 30) / 17) ** 2 + ((y - 34) / 11) ** 2 < 1)] = 0.35
    circle = np.hypot(x - 28, y - 31.5) < 30
    gray += np.random.default_rng(0).normal(0, 0.01, gray.shape)
    gray[~circle] = 0
    view = scanner_view(gray)
    assert (view != circle).mean() < 0.01

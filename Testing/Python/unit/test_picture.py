"""Pictures: what was seen of them, regions, lungs without Hounsfield units, files, the command."""

import json
import os
from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import torch
from quick import SMALL_NETWORK
from real_data import DATA, needs_data
from S3NetSegmentationLib import (
    PICTURE_PRESETS,
    PRESETS,
    PictureSettings,
    Settings,
    segment_ct_picture,
    segment_picture,
)
from S3NetSegmentationLib.cli import main
from S3NetSegmentationLib.errors import Cancelled, InputError
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.io.picture import INSIDE, read_picture, write_gray, write_outlined
from S3NetSegmentationLib.picture.grayscale import slice_as_scan
from S3NetSegmentationLib.picture.regions import merged_regions
from S3NetSegmentationLib.picture.view import (
    best_split,
    bright_surround,
    lens_view,
    scanner_view,
)
from scipy import ndimage

SMALL = {**SMALL_NETWORK, "iterations": 8}
SKIN = PictureSettings(fits=2, **SMALL)
LUNG = Settings(**SMALL)


def radius(size):
    y, x = (np.indices((size, size)) - (size - 1) / 2) / (size / 2)
    return np.hypot(y, x)


def lesion(size=96):
    """A brown lesion with a darker part, on skin, seen through a lens; and its truth."""
    y, x = np.indices((size, size)) / size
    truth = np.hypot((x - 0.45) / 0.22, (y - 0.55) / 0.16) < 1
    picture = np.full((size, size, 3), (220.0, 180, 160))
    picture[truth] = (130, 85, 60)
    picture[truth & (x < 0.4)] = (100, 60, 45)
    picture += np.random.default_rng(0).normal(0, 5, picture.shape)
    picture[radius(size) > 1] = (40, 35, 30)
    return picture.clip(0, 255).astype(np.uint8), truth


@pytest.fixture(scope="module")
def chest():
    """A slice of the phantom in Hounsfield units, and its lungs."""
    found = phantom.thorax()
    return sitk.GetArrayFromImage(found.image)[40], sitk.GetArrayFromImage(found.lungs)[40] > 0


def windowed(hounsfield):
    return ((hounsfield.clip(-600, 600) + 600) * (255 / 1200)).astype(np.uint8)


def scaled(hounsfield):
    return (hounsfield - hounsfield.min()) / np.ptp(hounsfield)


def padded(hounsfield):
    """Scaled, in a round field of view with padding far below air around it."""
    size = max(hounsfield.shape)
    margins = [((size - n) // 2, size - n - (size - n) // 2) for n in hounsfield.shape]
    square = np.pad(hounsfield, margins, constant_values=-1000)
    return scaled(np.where(radius(size) <= 1, square, -3024)), margins


def lung_window(hounsfield, low=-1350, high=150):
    return ((hounsfield.clip(low, high) - low) * (255 / (high - low))).astype(np.uint8)


def around(mask, more=0):
    """The box of a mask, with `more` pixels on each side."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return tuple(slice(max(0, each[0] - more), each[-1] + 1 + more) for each in (rows, columns))


def in_a_margin(gray):
    return lambda hounsfield, truth: (
        np.pad(lung_window(hounsfield), 12, constant_values=gray),
        np.pad(truth, 12),
    )


def cut_out(gray):
    def change(hounsfield, truth):
        body = ndimage.binary_opening(hounsfield > -400, iterations=2)
        body = ndimage.binary_fill_holes(body)
        return np.where(body, lung_window(hounsfield), gray), truth

    return change


def cropped(more, **window):
    def change(hounsfield, truth):
        box = around(truth, more)
        return lung_window(hounsfield, **window)[box], truth[box]

    return change


def cut_at_a_side(hounsfield, truth):
    start = around(truth)[1].start + 4
    return lung_window(hounsfield)[:, start:], truth[:, start:]


def with_arms(hounsfield, truth):
    height, width = hounsfield.shape
    wide = np.pad(hounsfield, ((0, 0), (24, 24)), constant_values=-1000)
    y, x = np.indices(wide.shape)
    for column in (12, width + 35):
        wide[np.hypot(y - height / 2, x - column) < 10] = 40
    return lung_window(wide), np.pad(truth, ((0, 0), (24, 24)))


SURROUNDINGS = {
    "white margin": in_a_margin(255),
    "gray margin": in_a_margin(128),
    "white around the body": cut_out(255),
    "gray around the body": cut_out(128),
    "cropped to the lungs": cropped(2),
    "cropped to the lungs, tissue white": cropped(2, low=-1700, high=-200),
    "cropped to the chest": cropped(8),
    "cut at a side": cut_at_a_side,
    "arms": with_arms,
    "window of the mediastinum": lambda hounsfield, truth: (
        lung_window(hounsfield, -160, 240),
        truth,
    ),
    "bright window": lambda hounsfield, truth: (lung_window(hounsfield, -1700, -200), truth),
}


@pytest.fixture(scope="module")
def skin():
    picture, truth = lesion()
    return picture, truth, segment_picture(picture, SKIN)


@pytest.mark.parametrize("change", [windowed, scaled, lambda hounsfield: hounsfield])
def test_lungs_of_a_slice_whatever_its_grays(chest, change):
    hounsfield, truth = chest
    result = segment_ct_picture(change(hounsfield), LUNG)
    assert dice(result.mask, truth) > 0.97
    assert 0.9 < result.quality <= 1


@pytest.mark.parametrize("change", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_lungs_of_a_slice_whatever_surrounds_it(chest, change):
    picture, truth = change(*chest)
    assert dice(segment_ct_picture(picture, LUNG).mask, truth) > 0.95


def test_a_margin_is_no_part_of_the_picture_and_white_tissue_is(chest):
    picture, truth = SURROUNDINGS["white margin"](*chest)
    margin = np.pad(np.zeros(chest[1].shape, bool), 12, constant_values=True)
    assert (bright_surround(picture.astype(np.float32)) == margin).all()
    picture, _ = SURROUNDINGS["cropped to the lungs, tissue white"](*chest)
    assert not bright_surround(picture.astype(np.float32)).any()


def test_fat_of_enhanced_contrast_is_no_haze(chest):
    hounsfield, truth = chest
    even = (hounsfield.clip(-1000, 400) + 1000) / 1400
    fat_darker = np.interp(even, [0, 0.5, 0.65, 0.75, 1], [0, 0.45, 0.6, 0.9, 1])
    scan = slice_as_scan(fat_darker)
    fat = (hounsfield > -130) & (hounsfield < -50)
    fat = ndimage.binary_opening(fat, iterations=1)
    assert np.median(sitk.GetArrayFromImage(scan)[0][fat]) > -170
    assert dice(segment_ct_picture(fat_darker, LUNG).mask, truth) > 0.95


def test_lungs_of_a_slice_with_a_padded_border(chest):
    picture, margins = padded(chest[0])
    result = segment_ct_picture(picture, LUNG)
    assert dice(result.mask, np.pad(chest[1], margins)) > 0.97


def test_estimated_hounsfield_units_are_near_the_true_ones(chest):
    hounsfield, truth = chest
    scan = slice_as_scan(scaled(hounsfield) * 4000 + 17)
    estimated = sitk.GetArrayFromImage(scan)[0]
    assert abs(estimated - hounsfield)[truth].mean() < 60
    assert np.median(estimated[hounsfield > 0]) == pytest.approx(40, abs=40)
    width = np.ptp(np.flatnonzero((hounsfield > -500).any(0))) + 1
    assert scan.GetSpacing()[0] * width == pytest.approx(350, rel=0.1)


def test_no_body_no_lungs():
    air = np.random.default_rng(0).normal(10, 1, (64, 64))
    air[30:33, 30:33] = 200
    with pytest.raises(InputError, match="No body"):
        segment_ct_picture(air, LUNG)


def test_lesion_is_the_central_region(skin):
    picture, truth, result = skin
    assert dice(result.mask, truth) > 0.95
    assert result.mask.shape == result.clusters.shape == truth.shape
    assert result.clusters.dtype == np.uint8
    assert (result.clusters[radius(96) > 1] == 0).all()
    assert result.chosen == (1,)
    dark, bright = result.table
    assert dark.brightness < bright.brightness
    assert dark.share + bright.share == pytest.approx(1)
    assert 0.8 < result.quality <= 1
    assert result.warnings == ()


def test_same_seed_same_picture(skin):
    picture, _, result = skin
    with torch.no_grad():  # as the caller may have it
        again = segment_picture(picture, SKIN)
    assert (again.clusters == result.clusters).all()


@pytest.mark.parametrize(("choice", "number"), [("darkest", 1), ("brightest", 2)])
def test_region_by_brightness(skin, choice, number):
    result = segment_picture(skin[0], replace(SKIN, choice=choice))
    assert result.chosen == (number,)


def test_region_at_a_point(skin):
    picture, truth, result = skin
    there = segment_picture(picture, replace(SKIN, choice="brightest"), at=(43, 53))
    assert dice(there.mask, truth) > 0.95
    assert result.choose_at(48, 8).mask[8, 48]
    assert result.choose_at(48, 8).chosen == (2,)
    with pytest.raises(InputError, match="outside the picture"):
        segment_picture(picture, SKIN, at=(96, 0))
    with pytest.raises(InputError, match="outside the visible part"):
        result.choose_at(0, 0)


def test_one_lung_at_a_point(chest):
    hounsfield, truth = chest
    one = truth & (np.arange(truth.shape[1]) < truth.shape[1] / 2)
    y, x = np.argwhere(one)[one.sum() // 2]
    result = segment_ct_picture(windowed(hounsfield), LUNG, at=(int(x), int(y)))
    assert dice(result.mask, one) > 0.97


def test_regions_by_number(skin):
    _, truth, result = skin
    assert dice(result.choose([1]).mask, truth) > 0.95
    both = result.choose([1, 2])
    assert both.mask.mean() > 0.7
    assert len({result, both, result}) == 2
    for number in (3, 1.5):
        with pytest.raises(InputError, match=f"no cluster {number}"):
            result.choose([number])


def test_only_the_lens_is_seen_where_the_corners_are_dark():
    picture, _ = lesion()
    assert (lens_view(picture) == (radius(96) < 1)).all()
    picture[radius(96) >= 1] = (220, 180, 160)
    assert lens_view(picture).all()


def test_padding_is_not_seen_and_air_is(chest):
    picture, margins = padded(chest[0])
    view = scanner_view(picture)
    assert (view == (radius(len(picture)) <= 1)).mean() > 0.99
    assert scanner_view(scaled(chest[0])).all()
    assert np.pad(chest[1], margins)[~view].sum() == 0


def test_best_split_lies_between_two_peaks():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 2, 3000), rng.normal(50, 4, 500)])
    assert 16 < best_split(values) < 40


def test_clusters_alike_are_merged_from_dark_to_bright():
    labels = np.arange(4).repeat(20).reshape(1, 80).repeat(10, 0)
    shades = np.array([200.0, 10, 20, 190])
    scores = np.moveaxis(8.0 * np.eye(4)[labels], -1, 0)
    soft = merged_regions(scores, shades[labels][..., None], np.ones(labels.shape, bool), 2)
    assert (soft.argmax(0) == np.array([1, 0, 0, 1])[labels]).all()
    assert np.allclose(soft.sum(0), 1)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (np.zeros((64, 64)), "the same"),
        (np.eye(16), "too small"),
        (np.ones((64, 64, 2)), "not a grayscale or RGB"),
        (np.where(np.eye(64) > 0, np.nan, 1), "not numbers"),
    ],
)
def test_what_is_no_picture_is_refused(picture, why):
    for segment in (segment_picture, segment_ct_picture):
        with pytest.raises(InputError, match=why):
            segment(picture)


def test_a_ct_slice_has_no_colors():
    with pytest.raises(InputError, match="colors"):
        segment_ct_picture(lesion()[0], LUNG)


def test_progress_and_cancel():
    picture, seen = lesion()[0], []
    segment_picture(picture, SKIN, on_progress=seen.append)
    fractions = [report.fraction for report in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    with pytest.raises(Cancelled):
        segment_picture(picture, SKIN, is_cancelled=lambda: True)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.arange(1200, dtype=np.uint16).reshape(30, 40), (30, 40)),
        (lesion()[0], (96, 96, 3)),
        (np.dstack([lesion()[0], np.full((96, 96), 9, np.uint8)]), (96, 96, 3)),
        (np.repeat(np.eye(40, dtype=np.uint8)[..., None], 3, 2), (40, 40)),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_are_read_as_they_are(array, shape, suffix, tmp_path):
    path = tmp_path / f"Größe 肺{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=array.ndim == 3), str(path))
    read = read_picture(path)
    assert read.shape == shape
    expected = array if array.ndim == 2 else array[..., :3]
    assert (read == (expected if read.ndim == expected.ndim else expected[..., 0])).all()


def test_masks_and_clusters_are_written_as_they_are(tmp_path):
    mask = np.eye(40, dtype=bool)
    write_gray(tmp_path / "mask.png", INSIDE * mask)
    assert (read_picture(tmp_path / "mask.png") == 255 * mask).all()
    clusters = np.arange(1600, dtype=np.uint16).reshape(40, 40) % 7
    write_gray(tmp_path / "clusters.png", clusters)
    assert (read_picture(tmp_path / "clusters.png") == clusters).all()
    picture, truth = lesion()
    write_outlined(tmp_path / "outlined.png", picture, truth)
    outlined = read_picture(tmp_path / "outlined.png")
    changed = (outlined == (0, 255, 0)).all(-1)
    assert changed.any()
    assert not changed[truth].any()


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "text.png").write_text("no")
    (tmp_path / "text.txt").write_text("no")
    sitk.WriteImage(sitk.Image(40, 40, 3, sitk.sitkUInt8), str(tmp_path / "pages.tif"))
    for name, why in (
        ("text.png", "damaged"),
        ("text.txt", "not a picture"),
        ("missing.png", "no file"),
        ("", "folder"),
        ("pages.tif", "3 images"),
    ):
        with pytest.raises(InputError, match=why):
            read_picture(tmp_path / name)


@needs_data
def test_a_dicom_image_is_a_picture():
    folder = DATA / "dicom_awkward" / "cornerstone_testImages"
    assert read_picture(folder / "CT1_J2KR").shape == (512, 512)


@pytest.fixture
def quick(monkeypatch):
    """The presets with a smaller network, for tests that are not about the result."""
    for preset, settings in PRESETS.items():
        monkeypatch.setitem(PRESETS, preset, replace(settings, **SMALL))
    for preset, settings in PICTURE_PRESETS.items():
        monkeypatch.setitem(PICTURE_PRESETS, preset, replace(settings, **SMALL))


def test_command_writes_every_file_of_a_picture(tmp_path, quick):
    picture, truth = lesion()
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(tmp_path / "in.png"))
    names = ["mask.png", "clusters.png", "outlined.png", "figures.json"]
    out, clusters, overview, figures = (str(tmp_path / name) for name in names)
    arguments = ["segment", str(tmp_path / "in.png"), "-o", out, "--preset", "skin"]
    arguments += ["--clusters", clusters, "--overview", overview, "--json", figures]
    assert main(arguments) == 0
    assert dice(read_picture(out) > 0, truth) > 0.9
    assert set(np.unique(read_picture(clusters))) == {0, 1, 2}
    content = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert 0 < content["quality"] <= 1
    assert content["mask_share"] == pytest.approx((read_picture(out) > 0).mean())
    assert str(tmp_path) not in json.dumps(content)
    assert main([*arguments, "--at", "48,8"]) == 0
    assert (read_picture(out) > 0)[8, 48]


def test_command_finds_the_lungs_in_a_picture(tmp_path, chest, quick):
    path, out = tmp_path / "slice.png", tmp_path / "mask.tif"
    sitk.WriteImage(sitk.GetImageFromArray(windowed(chest[0])), str(path))
    assert main(["segment", str(path), "-o", str(out)]) == 0
    assert dice(read_picture(out) > 0, chest[1]) > 0.97


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["-o", "mask.nii.gz"], "must end in .png"),
        (["-o", "mask.png", "--at", "500,2"], "outside the picture"),
        (["-o", "mask.png", "--series", "1"], "series"),
        (["-o", "mask.png", "--preset", "lung-ct"], "colors"),
    ],
)
def test_command_says_what_is_wrong_with_a_picture(tmp_path, capsys, monkeypatch, more, why):
    monkeypatch.chdir(tmp_path)
    sitk.WriteImage(sitk.GetImageFromArray(lesion()[0], isVector=True), "in.png")
    assert main(["segment", "in.png", "--preset", "skin", *more]) == 2
    assert why in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["in.png"]


def test_command_refuses_a_point_in_a_scan(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sitk.WriteImage(phantom.head(), "scan.nrrd")
    assert main(["segment", "scan.nrrd", "-o", "lungs.nrrd", "--at", "3,4"]) == 2
    assert "--at" in capsys.readouterr().err


@needs_data
@pytest.mark.parametrize("name", ["IMD039", "IMD175"])
def test_real_lesions(name):
    image, mask = (DATA / "ph2_skin" / kind / f"{name}.png" for kind in ("images", "masks"))
    settings = PictureSettings(device="cpu", fits=3)
    result = segment_picture(read_picture(image), settings)
    assert dice(result.mask, read_picture(mask) > 0) > 0.7


@needs_data
def test_real_slices():
    with np.load(DATA / "kaggle_lung_2d_64" / "dev.npz") as arrays:
        images, masks = arrays["images"][:3], arrays["masks"][:3] > 0
    for image, mask in zip(images, masks, strict=True):
        assert dice(segment_ct_picture(image, Settings(device="cpu")).mask, mask) > 0.94


def test_a_region_that_is_named_is_looked_for_in_any_picture(tmp_path, quick):
    picture, truth = lesion()
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(tmp_path / "in.png"))
    arguments = ["segment", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
    assert main([*arguments, "--choose", "darkest"]) == 0
    assert dice(read_picture(tmp_path / "out.png") > 0, truth) > 0.9


def test_command_says_which_options_a_picture_does_not_take(tmp_path, capsys):
    sitk.WriteImage(sitk.GetImageFromArray(lesion()[0], isVector=True), str(tmp_path / "in.png"))
    arguments = ["segment", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
    for option in (("--mode", "slice"), ("--tissues", "6")):
        assert main([*arguments, "--preset", "skin", *option]) == 2
        assert option[0] in capsys.readouterr().err

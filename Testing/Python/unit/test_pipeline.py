"""From a scan to its lungs: geometry, anatomy, choice of clusters, faults."""

from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import torch
from quick import QUICK
from real_data import DATA, needs_data
from S3NetSegmentationLib import Settings, segment_lungs
from S3NetSegmentationLib.errors import Cancelled, InputError
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.io.write import write_json
from S3NetSegmentationLib.manual_choice import choose_tissues
from S3NetSegmentationLib.result import LungResult
from S3NetSegmentationLib.summary import as_dict
from scipy import ndimage


def same_geometry(image, other):
    return (
        image.GetSize() == other.GetSize()
        and image.GetOrigin() == other.GetOrigin()
        and image.GetSpacing() == other.GetSpacing()
        and image.GetDirection() == other.GetDirection()
    )


def side_dice(result, found):
    lungs, truth = sitk.GetArrayFromImage(result.lungs), sitk.GetArrayFromImage(found.lungs)
    return [dice(lungs == label, truth == label) for label in (1, 2)]


@pytest.fixture(scope="module")
def plain():
    """The axial phantom and its result."""
    found = phantom.thorax()
    return found, segment_lungs(found.image, QUICK)


@pytest.mark.parametrize("name", phantom.GEOMETRIES)
def test_both_lungs_in_every_geometry(name):
    found = phantom.thorax(**phantom.GEOMETRIES[name])
    result = segment_lungs(found.image, QUICK)
    assert min(side_dice(result, found)) > 0.98
    assert same_geometry(result.lungs, found.image)
    assert same_geometry(result.tissues, found.image)
    airways = sitk.GetArrayFromImage(found.airways) > 0
    assert (sitk.GetArrayFromImage(result.lungs)[airways] > 0).mean() < 0.1


def test_slice_mode_finds_the_same_lungs():
    found = phantom.thorax(spacing=(5, 5, 14), size=(84, 56, 20))
    result = segment_lungs(found.image, replace(QUICK, mode="slice", iterations=16))
    assert min(side_dice(result, found)) > 0.97
    # A cluster means the same on every slice: one value for soft tissue throughout.
    clusters = result.cluster_array
    tissue = np.abs(sitk.GetArrayFromImage(found.image) - phantom.TISSUE) < 40
    common = [np.bincount(axial[inside]).argmax() for axial, inside in zip(clusters, tissue)]  # noqa: B905
    assert len(set(common)) == 1


def test_touching_lungs_are_parted():
    found = phantom.thorax(touching=True)
    assert min(side_dice(segment_lungs(found.image, QUICK), found)) > 0.98


@pytest.mark.parametrize("side", ["right", "left"])
def test_one_lung_is_found_on_its_side(side):
    found = phantom.thorax(lungs=side)
    result = segment_lungs(found.image, QUICK)
    assert min(side_dice(result, found)) > 0.98
    missing = result.figures.numbers["left" if side == "right" else "right"]
    assert missing["volume_ml"] == 0
    assert np.isnan(missing["mean_hu"])
    assert result.figures.numbers["both"] == result.figures.numbers[side]


@pytest.mark.parametrize(
    "image", [phantom.abdomen(), phantom.head(), phantom.thorax(lungs="none").image]
)
def test_no_lungs_where_there_are_none(image):
    result = segment_lungs(image, QUICK)
    assert not result.lungs_found
    assert not sitk.GetArrayFromImage(result.lungs).any()


def test_same_seed_same_result_bit_for_bit(plain):
    found, result = plain
    again = segment_lungs(found.image, QUICK)
    for name in ("tissues", "lungs"):
        first, second = (sitk.GetArrayFromImage(getattr(r, name)) for r in (result, again))
        assert (first == second).all()


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_gradients_may_be_switched_off_by_the_caller(plain, without_gradients):
    found, result = plain
    with without_gradients():
        again = segment_lungs(found.image, QUICK)
        assert not torch.is_grad_enabled()
    assert (again.labels == result.labels).all()


def test_measurements_are_those_of_the_truth(plain):
    found, result = plain
    truth = sitk.GetArrayFromImage(found.lungs)
    hounsfield = sitk.GetArrayFromImage(found.image)
    for label, side in ((1, "right"), (2, "left")):
        inside, lung = hounsfield[truth == label], result.figures.numbers[side]
        assert lung["volume_ml"] == pytest.approx(inside.size * 56 / 1000, rel=0.02)
        assert lung["mean_hu"] == pytest.approx(inside.mean(), abs=5)
        assert 0 <= lung["laa950_percent"] < 1


def test_lung_is_in_the_clusters_that_are_chosen(plain):
    found, result = plain
    hounsfield = sitk.GetArrayFromImage(found.image)
    lung = ndimage.binary_erosion(sitk.GetArrayFromImage(found.lungs), iterations=2)
    airy = lung & (hounsfield < -700)
    assert np.isin(result.cluster_array[airy], result.chosen).mean() > 0.99


def test_choosing_other_tissues_needs_no_fit(plain):
    found, result = plain
    nothing = choose_tissues(result, found.hounsfield, [])
    assert not nothing.lungs_found
    assert nothing.chosen_tissues == ()
    back = choose_tissues(nothing, found.hounsfield, result.chosen_tissues)
    assert (sitk.GetArrayFromImage(back.lungs) == sitk.GetArrayFromImage(result.lungs)).all()
    for number in (99, 1.5, "1"):
        with pytest.raises(InputError, match=f"no tissue {number}"):
            choose_tissues(result, found.hounsfield, [number])
    with pytest.raises(InputError, match="not the image"):
        choose_tissues(result, np.zeros((20, 20, 20)), result.chosen_tissues)


def test_tissues_are_chosen_by_numbers_of_any_type(plain, tmp_path):
    """Those of numpy can be kept in a file like any others."""
    found, result = plain
    under = np.array(result.chosen_tissues)
    chosen = choose_tissues(result, found.hounsfield, under)
    chosen.save(tmp_path)
    assert LungResult.load(tmp_path).chosen_tissues == tuple(under)
    write_json(tmp_path / "figures.json", as_dict(chosen))


def test_results_can_be_kept_in_lists_and_sets(plain):
    found, result = plain
    other = choose_tissues(result, found.hounsfield, [])
    assert [result, other].index(other) == 1
    assert len({result, other, result}) == 2


def test_choosing_more_tissues_takes_more_in(plain):
    found, result = plain
    more = choose_tissues(result, found.hounsfield, [row.number for row in result.tissue_table])
    assert (sitk.GetArrayFromImage(more.lungs) > 0).sum() > (
        sitk.GetArrayFromImage(result.lungs) > 0
    ).sum()


def test_a_result_survives_a_folder(plain, tmp_path):
    found, result = plain
    folder = tmp_path / "with space and Ünïcode 肺"
    folder.mkdir()
    result.save(folder)
    again = LungResult.load(folder)
    assert again.settings == result.settings
    assert again.chosen == result.chosen
    assert again.tissue_table == result.tissue_table
    assert same_geometry(again.lungs, result.lungs)
    for name in ("tissues", "lungs"):
        first, second = (sitk.GetArrayFromImage(getattr(r, name)) for r in (result, again))
        assert (first == second).all()
    chosen = choose_tissues(again, found.hounsfield, result.chosen_tissues)
    assert (sitk.GetArrayFromImage(chosen.lungs) == sitk.GetArrayFromImage(result.lungs)).all()


@pytest.mark.parametrize(
    ("switch", "more"),
    [("remove_airways", True), ("fill_vessels", False)],
)
def test_post_processing_can_be_switched_off(plain, switch, more):
    found, result = plain
    without = segment_lungs(found.image, replace(QUICK, **{switch: False}))
    hounsfield = sitk.GetArrayFromImage(found.image)
    region = (
        sitk.GetArrayFromImage(found.airways) > 0
        if more
        else (sitk.GetArrayFromImage(found.lungs) > 0) & (hounsfield > -200)
    )
    inside = [(sitk.GetArrayFromImage(r.lungs)[region] > 0).sum() for r in (result, without)]
    assert (inside[1] > inside[0]) if more else (inside[1] < inside[0])


def test_a_result_holds_nothing_of_the_image(plain):
    found, _ = plain
    image = sitk.Cast(found.image, sitk.sitkFloat32)
    result = segment_lungs(image, replace(QUICK, working_size=128, iterations=3))
    assert not np.shares_memory(result.scan.hounsfield, sitk.GetArrayViewFromImage(image))


def test_progress_rises_to_the_end_and_names_its_stages(plain):
    found, _ = plain
    seen = []
    segment_lungs(found.image, QUICK, on_progress=seen.append)
    fractions = [report.fraction for report in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(1)
    assert list(dict.fromkeys(report.stage for report in seen)) == [
        "Preparing",
        "Fitting",
        "Clustering",
        "Deciding",
    ]


@pytest.mark.parametrize("stage", ["Preparing", "Fitting", "Clustering", "Deciding"])
def test_cancel_at_any_stage(plain, stage):
    found, _ = plain
    reached = []
    with pytest.raises(Cancelled):
        segment_lungs(
            found.image,
            QUICK,
            on_progress=lambda report: reached.append(report.stage),
            is_cancelled=lambda: stage in reached,
        )
    assert reached[-1] == stage


def test_an_image_that_is_no_ct_is_refused():
    with pytest.raises(InputError):
        segment_lungs(sitk.Image(20, 20, 20, sitk.sitkInt16), QUICK)


@pytest.mark.parametrize(
    ("part", "shrunk"),
    [
        (np.s_[:, 40:41], 1),
        (np.s_[:, 38:40], 1),
        (np.s_[..., 30:31], 1),
        (np.s_[:], 30),
    ],
    ids=["coronal slice", "coronal slices", "sagittal slice", "of a mouse"],
)
def test_too_little_of_a_body_is_refused(plain, part, shrunk):
    found, _ = plain
    image = sitk.GetImageFromArray(np.ascontiguousarray(found.hounsfield[part]))
    image.SetSpacing([size / shrunk for size in found.image.GetSpacing()])
    with pytest.raises(InputError, match="too little of a body"):
        segment_lungs(image, QUICK)


@needs_data
@pytest.mark.parametrize(
    ("image", "truth", "least"),
    [
        ("cip_copd/ct-64.nrrd", "cip_copd/wholeLung-64.nrrd", 0.96),
        ("elastix_lung/baseline_small_ct.nii.gz", "elastix_lung/baseline_small_lung.nii.gz", 0.95),
    ],
)
def test_real_chests(image, truth, least):
    result = segment_lungs(sitk.ReadImage(str(DATA / image)), Settings(device="cpu"))
    lungs = sitk.GetArrayFromImage(result.lungs)
    assert dice(lungs > 0, sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / truth))) > 0) >= least
    if "elastix" in image:
        assert not (lungs == 2).any()
    else:
        assert result.figures.numbers["right"]["volume_ml"] > 2000


@needs_data
def test_abdomens_yield_no_lung_beyond_their_bases():
    total = 0
    for name in ("example_ct", "example_ct_sm"):
        folder = DATA / "abdomen_lung_bases"
        image = sitk.ReadImage(str(folder / f"{name}.nii.gz"))
        bases = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}_lungbases.nii.gz"))) > 0
        result = segment_lungs(image, Settings(device="cpu"))
        lungs = sitk.GetArrayFromImage(result.lungs) > 0
        total += lungs.sum() * np.prod(image.GetSpacing()) / 1000
        assert (lungs & ~bases).sum() < 0.15 * bases.sum()
    assert total < 250


def test_a_slab_of_emphysema_is_lung():
    """Few voxels of air around the patient, little lung, and that as dark as bowel gas in part."""
    found = phantom.thorax(spacing=(4, 3.5, 1), size=(88, 66, 3))
    hounsfield = sitk.GetArrayFromImage(found.image)
    truth = sitk.GetArrayFromImage(found.lungs)
    dark = (truth > 0) & (np.random.default_rng(0).random(truth.shape) < 0.3)
    hounsfield[dark] = -985
    image = sitk.GetImageFromArray(hounsfield)
    image.CopyInformation(found.image)
    assert min(side_dice(segment_lungs(image, QUICK), found)) > 0.97

"""Volumes like those of Slicer's Sample Data: each gives its lungs, or one sentence."""

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import slicer
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.mrml.volume import firstCt
from slicer_scene import add_volume, lungs_array, state

CONTRAST = 350


def positions(image: sitk.Image) -> np.ndarray:
    """Millimeters (x, y, z) of every voxel."""
    k, j, i = np.indices(image.GetSize()[::-1])
    steps = zip((i, j, k), image.GetSpacing(), image.GetOrigin(), strict=True)
    return np.stack([index * size + start for index, size, start in steps])


def with_shapes(image: sitk.Image, *shapes) -> tuple[sitk.Image, np.ndarray]:
    """The scan with ellipsoids (center, radii, Hounsfield units) put in, and where they are."""
    values, where = sitk.GetArrayFromImage(image), positions(image)
    noise = np.random.default_rng(1).normal(0, 20, values.shape)
    every = np.zeros(values.shape, bool)
    for center, radii, hounsfield in shapes:
        place = phantom.ellipsoid(*where, center, radii)
        values[place] = hounsfield + noise[place]
        every |= place
    made = sitk.GetImageFromArray(values)
    made.CopyInformation(image)
    return made, every


def heart() -> tuple[sitk.Image, np.ndarray]:
    """Like CTACardio: contrast agent, and a box so small that the body has no border in it."""
    chest = phantom.thorax(spacing=(3.0, 3.0, 3.0), size=(138, 92, 100))
    image, _ = with_shapes(chest.image, ((25, -25, -30), (40, 35, 40), CONTRAST))
    part = np.s_[26:112, 14:78, 12:70]
    return image[part], sitk.GetArrayFromImage(chest.lungs[part])


def liver(top: float) -> tuple[sitk.Image, np.ndarray, np.ndarray]:
    """Like CTLiver: an abdomen with bowel gas, contrast agent, and the lung bases up to `top`."""
    chest = phantom.thorax(size=(104, 78, 130))
    image, gas = with_shapes(
        chest.image,
        ((-60, -10, -150), (70, 70, 55), 110),
        ((0, 40, -200), (11, 11, 100), CONTRAST),
        ((60, -45, -180), (45, 25, 30), phantom.AIR),
        ((-40, -60, -225), (50, 18, 18), phantom.AIR),
    )
    gas &= sitk.GetArrayFromImage(image) < -800
    slices = round((top - image.GetOrigin()[2]) / image.GetSpacing()[2])
    lungs = sitk.GetArrayFromImage(chest.lungs)
    return image[:, :, :slices], lungs[:slices], gas[:slices]


def mr_head() -> sitk.Image:
    """Like MRHead: sagittal slices, magnitudes from 0 to some 280."""
    head = phantom.head()
    values = sitk.GetArrayFromImage(head)
    brain, scalp = (values > 0) & (values < 300), (values > 900)
    noise = np.abs(np.random.default_rng(0).normal(0, 6, values.shape))
    magnitudes = np.where(brain, 110, np.where(scalp, 220, 3)) + noise
    made = sitk.GetImageFromArray(magnitudes.astype(np.int16))
    made.CopyInformation(head)
    return sitk.PermuteAxes(made, (1, 2, 0))


def test_a_heart_ct_gives_the_parts_of_the_lungs_that_it_shows(logic):
    image, truth = heart()
    assert sitk.GetArrayFromImage(image).max() > CONTRAST
    volume = add_volume(image, "CTACardio")
    found = lungs_array(logic.segment(volume, QUICK), volume)
    for label in (1, 2):
        assert dice(found == label, truth == label) > 0.9


def test_a_liver_ct_gives_the_lung_bases_without_the_bowel(logic):
    image, truth, gas = liver(top=-30)
    assert (truth == 1).any() and (truth == 2).any() and gas.any()
    volume = add_volume(image, "CTLiver")
    found = lungs_array(logic.segment(volume, QUICK), volume)
    assert dice(found > 0, truth > 0) > 0.9
    assert not (found[gas] > 0).any()


def test_an_abdominal_ct_without_lungs_gives_none_and_says_so(logic):
    image, truth, gas = liver(top=-130)
    assert not truth.any() and gas.any()
    volume = add_volume(image, "CTAAbdomenPanoramix")
    segmentation = logic.segment(volume, QUICK)
    assert not lungs_array(segmentation, volume).any()
    assert any("No lungs were found" in each for each in logic.warnings(segmentation))


def test_an_mr_of_the_head_is_refused_in_a_sentence_and_not_preselected(logic):
    volume = add_volume(mr_head(), "MRHead")
    assert firstCt() is None
    before = state()
    with pytest.raises(InputError, match="not CT in Hounsfield units") as refused:
        logic.segment(volume, QUICK)
    assert "\n" not in str(refused.value)
    assert state() == before


def test_all_of_them_in_one_queue_give_a_table_of_lungs_and_sentences(logic):
    images = {"CTACardio": heart()[0], "CTLiver": liver(top=-30)[0], "MRHead": mr_head()}
    volumes = [add_volume(image, name) for name, image in images.items()]
    table = logic.segmentVolumes(volumes, QUICK)
    notes = [table.GetCellText(row, table.GetNumberOfColumns() - 1) for row in range(3)]
    assert all("ends there within the lungs" in note for note in notes[:2])
    assert "not CT" in notes[2]
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2

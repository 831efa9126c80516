"""The few tissues that a person chooses from, and the parts of them that are picked."""

import re
from dataclasses import replace

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from documents import DOCS, read
from engine_here import segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.lung.tissues import KINDS, Tissue, colors_of, kind_of
from S3NetSegmentationLib.manual_choice import choose_tissues, merge_tissues, pick
from S3NetSegmentationLib.pipeline import segment_lungs
from S3NetSegmentationLib.settings import Settings
from scipy import ndimage


@pytest.fixture(scope="module")
def chest():
    found = small_chest()
    return sitk.GetArrayFromImage(found.image), segmented(found.image)


def pieces_ml(mask, result):
    pieces, count = ndimage.label(mask)
    voxel_ml = np.prod(result.geometry.spacing) / 1000
    return np.bincount(pieces.ravel(), minlength=count + 1)[1:] * voxel_ml


def middle_of(mask):
    """A voxel deep inside a mask."""
    return np.unravel_index(ndimage.distance_transform_edt(mask).argmax(), mask.shape)


def test_tissues_are_few_named_and_coherent(chest):
    hounsfield, result = chest
    table = result.tissue_table
    names = [tissue.name for tissue in table]
    assert {"aerated lung", "fat", "soft tissue"} <= set(names)
    assert len(names) == len(set(names)) <= 8
    means = [tissue.mean_hu for tissue in table]
    assert means == sorted(means)
    assert [tissue.number for tissue in table] == list(range(1, result.tissue_array.max() + 1))
    for tissue in table:
        inside = result.tissue_array == tissue.number
        assert tissue.mean_hu == pytest.approx(hounsfield[inside].mean(), abs=40)
        assert kind_of(tissue.mean_hu).name == tissue.name
        sizes = pieces_ml(inside, result)
        assert tissue.volume_ml == pytest.approx(sizes.sum(), rel=0.1)
        assert sizes[sizes > 1].sum() > 0.95 * sizes.sum()
    lungs = result.lung_array > 0
    shares = [lungs[result.tissue_array == tissue.number].mean() for tissue in table]
    assert [tissue.lung_fraction for tissue in table] == pytest.approx(shares, abs=0.06)
    assert [table[number - 1].name for number in result.chosen_tissues] == ["aerated lung"]


def test_another_number_of_tissues_needs_no_fit_and_keeps_the_lungs(chest):
    hounsfield, result = chest
    fewer, more = merge_tissues(result, 4), merge_tissues(result, 16)
    assert len(fewer.tissue_table) <= 4 <= len(result.tissue_table)
    assert 8 < len(more.tissue_table) <= 16
    names = [tissue.name for tissue in more.tissue_table]
    assert len(set(names)) == len(names)
    assert any(name[-1].isdigit() for name in names)
    for other in (fewer, more):
        assert (other.lung_array == result.lung_array).all()
        assert other.settings.tissues in (4, 16)
    again = merge_tissues(more, 8)
    assert (again.tissue_array == result.tissue_array).all()
    assert again.tissue_table == result.tissue_table
    for count in (3, 33):
        with pytest.raises(InputError, match="tissues"):
            merge_tissues(result, count)


def test_the_number_of_tissues_is_a_setting(chest):
    found = small_chest()
    result = segment_lungs(found.image, replace(QUICK, tissues=16))
    assert (result.tissue_array == merge_tissues(chest[1], 16).tissue_array).all()


def test_tissues_of_one_slice():
    found = phantom.thorax(spacing=(3, 3, 5), size=(140, 93, 1))
    result = segment_lungs(found.image, QUICK)
    assert "aerated lung" in [tissue.name for tissue in result.tissue_table]


def test_tissues_of_one_kind_differ_in_color():
    table = [Tissue(number, "fat", -100 + number, 1.0, 0.0) for number in range(1, 5)]
    assert len(set(colors_of(table))) == 4
    (color,) = colors_of(table[:1])
    assert color == tuple(part / 255 for part in kind_of(-99).color)
    assert len({kind.color for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("tissue", ["aerated lung", "soft tissue", "fat"])
def test_a_pick_changes_the_part_and_nothing_else(chest, tissue):
    hounsfield, result = chest
    (row,) = (row for row in result.tissue_table if row.name == tissue)
    index = middle_of(result.tissue_array == row.number)
    part = result.part_mask(result.part_at(index))
    picked = pick(result, hounsfield, index)
    inside = result.order.restore(result.scan.paste(part))
    was, now = result.lung_array > 0, picked.lung_array > 0
    assert now[inside].mean() == pytest.approx(0.0 if row.is_lung else 1.0, abs=0.02)
    # Beyond it, no more than the border and the vessels of what was picked.
    beyond = ~ndimage.binary_dilation(inside, iterations=3)
    assert (was != now)[beyond].sum() <= 0.002 * (was != now).sum()
    back = pick(picked, hounsfield, index)
    assert (back.lung_array == result.lung_array).all()
    assert not back.picks.any()


def test_what_is_picked_stays_when_other_parts_change(chest):
    hounsfield, result = chest
    places = {row.name: middle_of(result.tissue_array == row.number) for row in result.tissue_table}
    picked = pick(result, hounsfield, places["soft tissue"])
    taken = picked.picks == 1
    other = pick(picked, hounsfield, places["fat"])
    assert (other.picks[taken] == 1).all()
    other = merge_tissues(other, 12)
    other = choose_tissues(
        other, hounsfield, [row.number for row in other.tissue_table if row.is_lung][1:]
    )
    assert other.lung_array[places["soft tissue"]] > 0
    assert other.lung_array[places["fat"]] > 0


def test_the_whole_tissue_can_be_picked(chest):
    hounsfield, result = chest
    (row,) = (row for row in result.tissue_table if row.name == "fat")
    index = middle_of(result.tissue_array == row.number)
    picked = pick(result, hounsfield, index, whole=True)
    assert picked.chosen_tissues == tuple(sorted((*result.chosen_tissues, row.number)))
    chosen = choose_tissues(result, hounsfield, picked.chosen_tissues)
    assert (chosen.lung_array == picked.lung_array).all()


def test_nothing_is_picked_where_there_is_no_tissue(chest):
    hounsfield, result = chest
    for index in ((0, 0, 0), (-1, 0, 0), result.lung_array.shape):
        assert result.part_at(index) is None
        assert pick(result, hounsfield, index) is result


@pytest.mark.parametrize("name", phantom.GEOMETRIES)
def test_the_part_at_a_voxel_is_of_its_tissue(name):
    result = segmented(small_chest(name).image)
    random = np.random.default_rng(0)
    everywhere = np.argwhere(result.tissue_array)
    for index in everywhere[random.integers(0, len(everywhere), 30)]:
        part = result.part_at(index)
        tissue = result.tissue_array[tuple(index)]
        assert part[0] == tissue
        assert result.part_at(index, whole=True) == (tissue, 0)
        place = (result.to_working @ [*index, 1])[:3]
        near = ndimage.binary_dilation(result.part_mask(part), np.ones((1, 3, 3)))
        assert near[tuple(np.rint(place).astype(int))]


def test_bowel_gas_that_was_left_out_can_be_taken():
    image = phantom.abdomen()
    hounsfield = sitk.GetArrayViewFromImage(image)
    result = segment_lungs(image, QUICK)
    assert not result.lungs_found
    dark = result.tissue_array == 1
    index = middle_of(dark)
    assert hounsfield[index] < -900
    picked = pick(result, hounsfield, index)
    taken = picked.lung_array > 0
    part = result.order.restore(result.scan.paste(result.part_mask(result.part_at(index))))
    assert taken[part].mean() > 0.7
    assert not taken[~ndimage.binary_dilation(part, iterations=3)].any()


def test_settings_refuse_other_numbers():
    for count in (3, 33):
        with pytest.raises(InputError, match="tissues"):
            Settings(tissues=count)


def test_the_documentation_has_every_kind_and_its_color():
    text = read(DOCS / "algorithm.md")
    for kind in KINDS:
        color = "#{:02X}{:02X}{:02X}".format(*kind.color)
        assert re.search(rf"^\| {kind.name} \|.*\| {color} \|$", text, re.MULTILINE), kind.name


def test_vessels_follow_their_lung_whatever_is_chosen_between(chest):
    hounsfield, result = chest
    number_of = {row.name: row.number for row in result.tissue_table}
    nothing = choose_tissues(result, hounsfield, [])
    tissue = choose_tissues(nothing, hounsfield, [number_of["soft tissue"]])
    assert tissue.chosen_tissues == (number_of["soft tissue"],)
    again = choose_tissues(tissue, hounsfield, [])
    assert not again.lungs_found
    assert (choose_tissues(again, hounsfield, result.chosen_tissues).picks == 0).all()

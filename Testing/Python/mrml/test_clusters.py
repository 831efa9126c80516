"""Choosing tissues, picking parts of them, and both after a scene was loaded again."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError, S3NetError
from S3NetSegmentationLib.manual_choice import choose_tissues, merge_tissues, pick
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from S3NetSegmentationLib.mrml.nodes import tissueMapOf, volumeOf
from scipy import ndimage
from slicer_scene import (
    add_transform,
    add_volume,
    ijk_to_ras,
    lungs_array,
    rigid,
    save_and_load,
    state,
)


def chosen_lungs(image, numbers):
    return choose_tissues(segmented(image), sitk.GetArrayViewFromImage(image), numbers).lung_array


def chosen_in(logic, segmentation):
    return [tissue.number for tissue in logic.tissues(segmentation) if tissue.is_lung]


@pytest.mark.parametrize("geometry", ["axial", "left-handed", "oblique"])
def test_a_choice_gives_what_the_engine_gives(logic, geometry):
    image = small_chest(geometry).image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    chosen = segmented(image).chosen_tissues
    for numbers in ([*chosen, len(segmented(image).tissue_table)], [], chosen):
        logic.chooseTissues(segmentation, numbers)
        assert (lungs_array(segmentation, volume) == chosen_lungs(image, numbers)).all()
        assert chosen_in(logic, segmentation) == sorted(numbers)
        results = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
        hounsfield = sitk.GetArrayViewFromImage(image)
        found = choose_tissues(segmented(image), hounsfield, numbers).figures.numbers
        assert results.GetValue(0, 1).ToString() == f"{found['right']['volume_ml']:.0f}"


def test_a_choice_that_cannot_be_made_changes_nothing(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    before = state()
    with pytest.raises(InputError, match="no tissue 99"):
        logic.chooseTissues(segmentation, [99])
    assert state() == before
    stranger = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    with pytest.raises(InputError, match="gone; apply again"):
        logic.chooseTissues(stranger, [1])
    assert logic.tissues(stranger) == logic.tissues(None) == ()
    assert logic.warnings(stranger) == logic.warnings(None) == ()
    scene.RemoveNode(volume)
    with pytest.raises(InputError, match="gone; apply again"):
        logic.chooseTissues(segmentation, [1])


def test_a_choice_that_slicer_does_not_take_changes_nothing(logic, monkeypatch):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)

    def shown():
        results = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
        volumes = [results.GetValue(row, 1).ToString() for row in range(2)]
        return lungs_array(segmentation, volume).tobytes(), logic.tissues(segmentation), volumes

    class Refusing:
        ImportLabelmapToSegmentationNode = staticmethod(lambda *arguments: False)

    before = shown()
    monkeypatch.setattr(slicer, "vtkSlicerSegmentationsModuleLogic", Refusing)
    with pytest.raises(S3NetError, match="choose another one"):
        logic.chooseTissues(segmentation, [1])
    assert shown() == before


def test_a_choice_on_a_volume_that_became_another_is_refused(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    slicer.util.updateVolumeFromArray(
        volume, sitk.GetArrayFromImage(small_chest("anisotropic").image)
    )
    before = lungs_array(segmentation, tissueMapOf(segmentation))
    with pytest.raises(InputError, match="no longer fits.*apply again"):
        logic.chooseTissues(segmentation, [1])
    assert (lungs_array(segmentation, tissueMapOf(segmentation)) == before).all()


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed", "sagittal storage"])
@pytest.mark.parametrize("transformed", [False, True])
def test_the_part_under_a_point(logic, geometry, transformed):
    image = small_chest(geometry).image
    volume, matrix = add_volume(image), ijk_to_ras(image)
    if transformed:
        turn = rigid(20, -15, (30, -70, 250))
        volume.SetAndObserveTransformNodeID(add_transform(turn).GetID())
        matrix = turn @ matrix
    segmentation = logic.segment(volume, QUICK)
    tissues = slicer.util.arrayFromVolume(tissueMapOf(segmentation))
    random = np.random.default_rng(0)
    for index in random.integers(0, tissues.shape, (40, 3)):
        # Anywhere in the voxel, not only at its center.
        inside = index[::-1] + random.uniform(-0.45, 0.45, 3)
        ras = (matrix @ [*inside, 1])[:3]
        found = logic.partAt(ras, segmentation)
        if not tissues[tuple(index)]:
            assert found is None
        else:
            part, mask, to_mask = found
            assert part == segmented(image).part_at(index)
            assert logic.partAt(ras, segmentation, whole=True)[0] == (part[0], 0)
            assert part[0] == tissues[tuple(index)]
            place = (to_mask @ [*ras, 1])[:3]
            z, y, x = np.rint(place).astype(int)
            assert mask[z, y - 1 : y + 2, x - 1 : x + 2].any()
    for outside in ([-1, 0, 0], [tissues.shape[2], 5, 5], [5, 5, -0.6], [5e6, 0, 0]):
        assert logic.partAt((matrix @ [*outside, 1])[:3], segmentation) is None


def a_point_in(image, name):
    """A voxel deep inside a tissue, and its place in the world."""
    result = segmented(image)
    (number,) = (row.number for row in result.tissue_table if row.name == name)
    distance = ndimage.distance_transform_edt(result.tissue_array == number)
    index = np.unravel_index(distance.argmax(), distance.shape)
    return index, (ijk_to_ras(image) @ [*index[::-1], 1])[:3]


@pytest.mark.parametrize("limited", [False, True])
def test_a_pick_gives_what_the_engine_gives(logic, limited):
    image = small_chest("oblique").image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    before = lungs_array(segmentation, volume)
    index, ras = a_point_in(image, "soft tissue")
    logic.pick(ras, segmentation, whole=limited)
    expected = pick(segmented(image), sitk.GetArrayViewFromImage(image), index, limited)
    assert (lungs_array(segmentation, volume) == expected.lung_array).all()
    assert logic.tissues(segmentation) == expected.tissue_table
    logic.pick(ras, segmentation, whole=limited)
    assert (lungs_array(segmentation, volume) == before).all()
    state_before = state()
    logic.pick((5e6, 0, 0), segmentation)
    assert state() == state_before


def test_picks_are_taken_back_one_by_one(logic, scene):
    scene.SetUndoOff()
    image = small_chest().image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    states = []
    for name in ("soft tissue", "fat", "aerated lung"):
        states.append((lungs_array(segmentation, volume), logic.tissues(segmentation)))
        logic.pick(a_point_in(image, name)[1], segmentation)
    for lungs, tissues in reversed(states):
        assert logic.canUndo(segmentation)
        assert (lungs_array(segmentation, volume) != lungs).any()
        logic.undo()
        assert (lungs_array(segmentation, volume) == lungs).all()
        assert logic.tissues(segmentation) == tissues
    logic.pick(a_point_in(image, "fat")[1], segmentation)
    logic.pick(a_point_in(image, "fat")[1], segmentation)
    assert (lungs_array(segmentation, volume) == states[0][0]).all()


def test_slicers_own_undo_takes_a_pick_back_for_the_next_one_too(logic, scene):
    scene.SetUndoOn()
    image = small_chest().image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    before = lungs_array(segmentation, volume)
    logic.pick(a_point_in(image, "fat")[1], segmentation)
    scene.Undo()
    assert (lungs_array(segmentation, volume) == before).all()
    index, ras = a_point_in(image, "soft tissue")
    logic.pick(ras, segmentation)
    expected = pick(segmented(image), sitk.GetArrayViewFromImage(image), index)
    assert (lungs_array(segmentation, volume) == expected.lung_array).all()


def test_another_number_of_tissues_keeps_the_lungs(logic, scene):
    scene.SetUndoOff()
    image = small_chest().image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    before, tissues = lungs_array(segmentation, volume), logic.tissues(segmentation)
    logic.mergeTissues(segmentation, 16)
    expected = merge_tissues(segmented(image), 16)
    assert logic.tissues(segmentation) == expected.tissue_table
    shown = tissueMapOf(segmentation)
    assert (slicer.util.arrayFromVolume(shown) == expected.tissue_array).all()
    colors = shown.GetDisplayNode().GetColorNode()
    assert colors.GetNumberOfColors() == len(expected.tissue_table) + 1
    assert (lungs_array(segmentation, volume) == before).all()
    logic.undo()
    assert logic.tissues(segmentation) == tissues
    logic.pick(a_point_in(image, "fat")[1], segmentation)
    assert len(logic.tissues(segmentation)) == len(tissues)


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed"])
@pytest.mark.parametrize("limited", [False, True])
def test_a_loaded_scene_goes_on_where_it_was(
    logic, scene, application, tmp_path, geometry, limited
):
    image = small_chest(geometry).image
    volume = add_volume(image)
    low, high = -150, 60
    limits = {"sliceRange": (low, high)} if limited else {}
    segmentation = logic.segment(volume, QUICK, **limits)
    table, chosen = logic.tissues(segmentation), chosen_in(logic, segmentation)
    # What is picked in the scene that is saved stays picked in the one that is loaded.
    _, ras = a_point_in(image, "soft tissue")
    logic.pick(ras, segmentation)
    logic.chooseTissues(segmentation, [])
    expected = lungs_array(segmentation, volume)
    logic.chooseTissues(segmentation, chosen)
    first = lungs_array(segmentation, volume)
    folder = tmp_path / "scene with space and ü 肺"
    folder.mkdir()
    again, segmentation = save_and_load(application, folder)
    volume = volumeOf(segmentation)
    # A left-handed volume comes back from a file with its slices in the other order.
    flip = slice(None, None, -1 if geometry == "left-handed" else 1)
    assert (lungs_array(segmentation, volume)[flip] == first).all()
    logic = SegmentationLogic(JobHere)
    assert chosen_in(logic, segmentation) == chosen
    loaded = logic.tissues(segmentation)
    assert [row.name for row in loaded] == [row.name for row in table]
    np.testing.assert_allclose(
        [row.volume_ml for row in loaded], [row.volume_ml for row in table], rtol=1e-4
    )
    logic.chooseTissues(segmentation, [])
    assert (lungs_array(segmentation, volume)[flip] == expected).all()
    logic.chooseTissues(segmentation, chosen)
    assert (lungs_array(segmentation, volume)[flip] == first).all()
    colors = tissueMapOf(segmentation).GetDisplayNode().GetColorNode()
    assert colors.GetColorName(1) == table[0].name
    logic.mergeTissues(segmentation, 16)
    assert len(logic.tissues(segmentation)) > len(table)
    logic.pick(ras, segmentation)
    logic.pick(ras, segmentation)
    assert (lungs_array(segmentation, volume)[flip] == first).all()

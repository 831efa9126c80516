"""A volume node in, lungs in the scene out: geometry, transforms, nodes, undo."""

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import slicer
import vtk
from engine_here import segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.io.segments import LUNG_SEGMENTS
from S3NetSegmentationLib.mrml.nodes import (
    nodesOf,
    removeNodesOf,
    resultsTableOf,
    tissueMapOf,
    volumeOf,
)
from slicer_scene import (
    add_transform,
    add_volume,
    ijk_to_ras,
    lungs_array,
    moved,
    nodes,
    rigid,
    segment_array,
    state,
)


@pytest.fixture(scope="module")
def chest():
    return small_chest()


def matrix_of(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


@pytest.mark.parametrize("name", phantom.GEOMETRIES)
def test_voxel_exact_in_every_geometry(logic, name):
    found = small_chest(name)
    volume = add_volume(found.image)
    segmentation = logic.segment(volume, QUICK)
    expected = segmented(found.image)
    lungs = lungs_array(segmentation, volume)
    assert (lungs == sitk.GetArrayFromImage(expected.lungs)).all()
    truth = sitk.GetArrayFromImage(found.lungs)
    assert min(dice(lungs == label, truth == label) for label in (1, 2)) > 0.97
    tissues = tissueMapOf(segmentation)
    assert (slicer.util.arrayFromVolume(tissues) == sitk.GetArrayFromImage(expected.tissues)).all()
    np.testing.assert_array_equal(matrix_of(tissues), matrix_of(volume))


TRANSFORMS = {
    "turned and shifted": [rigid(12, -25, (40, -30, 110))],
    "nested": [rigid(0, 30, (5, 0, -200)), rigid(-20, 10, (0, 60, 0))],
    "facing the other way": [rigid(0, 180, (0, 0, 0))],
    "mirrored": [np.diag([-1.0, 1, 1, 1])],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_lungs_lie_on_a_volume_under_a_linear_transform(logic, chest, name):
    volume, node, whole = add_volume(chest.image), None, np.eye(4)
    for matrix in TRANSFORMS[name]:
        node = add_transform(matrix, node)
        whole = whole @ matrix
    volume.SetAndObserveTransformNodeID(node.GetID())
    segmentation = logic.segment(volume, QUICK)
    expected = sitk.GetArrayFromImage(segmented(moved(chest.image, whole)).lungs)
    assert (lungs_array(segmentation, volume) == expected).all()
    truth = sitk.GetArrayFromImage(chest.lungs)
    assert dice(expected > 0, truth > 0) > 0.97
    # In the world each segment is where its voxels of the volume are.
    for lung in LUNG_SEGMENTS:
        k, j, i = (axis[[0, -1]] for axis in map(np.unique, np.nonzero(expected == lung.label)))
        middle = [np.mean(i), np.mean(j), np.mean(k), 1]
        world = whole @ ijk_to_ras(chest.image) @ middle
        found = segmentation.GetSegmentCenterRAS(lung.segment_id)
        # Slicer's center is half a voxel off in each direction.
        half = np.linalg.norm(chest.image.GetSpacing()) / 2
        assert np.linalg.norm(found - world[:3]) < half + 0.01
    assert tissueMapOf(segmentation).GetParentTransformNode() is node


def test_volumes_are_those_in_the_world_under_a_transform_that_scales_and_shears(logic, chest):
    volume, matrix = add_volume(chest.image), np.diag([1.0, 1.1, 1, 1])
    matrix[0, 1] = 0.3
    volume.SetAndObserveTransformNodeID(add_transform(matrix).GetID())
    segmentation = logic.segment(volume, QUICK)
    voxel = np.prod(chest.image.GetSpacing()) * np.linalg.det(matrix) / 1000
    right = segment_array(segmentation, "right_lung", volume).sum() * voxel
    table = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
    assert float(table.GetValue(0, 1).ToString()) == pytest.approx(right, abs=1)


def test_a_transform_that_turns_the_patient_around_swaps_the_sides(logic, chest):
    volume = add_volume(chest.image)
    plain = lungs_array(logic.segment(volume, QUICK), volume)
    volume.SetAndObserveTransformNodeID(add_transform(rigid(0, 180, (0, 0, 0))).GetID())
    turned = lungs_array(logic.segment(volume, QUICK), volume)
    assert dice(turned == 1, plain == 2) > 0.97


def grid_transform():
    grid = slicer.vtkOrientedGridTransform()
    image = vtk.vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    grid.SetDisplacementGridData(image)
    return grid


def thin_plate_transform():
    thin = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50)):
        points.InsertNextPoint(point)
    thin.SetSourceLandmarks(points)
    thin.SetTargetLandmarks(points)
    return thin


@pytest.mark.parametrize("make", [grid_transform, thin_plate_transform])
@pytest.mark.parametrize("nested", [False, True])
def test_a_nonlinear_transform_is_to_be_hardened_first(logic, scene, chest, make, nested):
    volume = add_volume(chest.image)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(make())
    parent = add_transform(rigid(0, 10, (1, 2, 3)), transform) if nested else transform
    volume.SetAndObserveTransformNodeID(parent.GetID())
    before = state()
    with pytest.raises(InputError, match="non-linear.*harden"):
        logic.segment(volume, QUICK)
    assert state() == before


def test_segments_have_name_terminology_and_distinct_colors(logic, chest):
    segmentation = logic.segment(add_volume(chest.image), QUICK).GetSegmentation()
    assert segmentation.GetSegmentIDs() == ("right_lung", "left_lung")
    colors = set()
    for lung in LUNG_SEGMENTS:
        segment = segmentation.GetSegment(lung.segment_id)
        assert segment.GetName() == lung.name
        colors.add(segment.GetColor())
        entry = slicer.vtkSlicerTerminologyEntry()
        tag = vtk.reference("")
        segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
        logic_of_terms = slicer.modules.terminologies.logic()
        assert logic_of_terms.DeserializeTerminologyEntry(str(tag), entry)
        assert entry.GetTypeObject().GetCodeValue() == "39607008"
        assert entry.GetTypeObject().GetCodeMeaning() == "Lung"
        assert entry.GetTypeModifierObject().GetCodeValue() == lung.laterality[0]
    assert len(colors) == 2


def test_the_segmentation_lies_beside_the_volume_until_the_user_moves_it(logic, chest):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    volume = add_volume(chest.image, folder="study")
    segmentation = logic.segment(volume, QUICK)
    item = hierarchy.GetItemByDataNode(segmentation)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    assert hierarchy.GetItemParent(item) == folder
    elsewhere = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "elsewhere")
    hierarchy.SetItemParent(item, elsewhere)
    logic.segment(volume, QUICK, segmentation)
    assert hierarchy.GetItemParent(item) == elsewhere


def test_what_belongs_to_a_segmentation_lies_under_it_and_the_figures_alone_are_seen(logic, chest):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    segmentation = logic.segment(add_volume(chest.image), QUICK)
    parent = hierarchy.GetItemByDataNode(segmentation)
    seen = []
    for node in nodesOf(segmentation)[1:]:
        item = hierarchy.GetItemByDataNode(node)
        assert not item or hierarchy.GetItemParent(item) == parent
        if item and not node.GetAttribute("SubjectHierarchy.ExcludeFromPotentialNodesList"):
            seen.append(node)
    assert seen == [resultsTableOf(segmentation)]


def test_what_belongs_to_a_segmentation_goes_with_it(logic, scene, chest):
    volume = add_volume(chest.image)
    before = set(nodes())
    segmentation = logic.segment(volume, QUICK)
    removeNodesOf(segmentation)
    scene.RemoveNode(segmentation)
    left = [nodes()[name].GetClassName() for name in set(nodes()) - before]
    assert left in ([], ["vtkMRMLSegmentationDisplayNode"])


@pytest.mark.parametrize("name", ["axial", "left-handed", "oblique"])
def test_export_to_a_label_map_has_the_grid_of_the_volume(logic, scene, name):
    found = small_chest(name)
    volume = add_volume(found.image)
    segmentation = logic.segment(volume, QUICK)
    assert volumeOf(segmentation) is volume
    export = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    slicer.modules.segmentations.logic().ExportAllSegmentsToLabelmapNode(
        segmentation, export, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    )
    np.testing.assert_allclose(matrix_of(export), matrix_of(volume), atol=1e-6)
    expected = sitk.GetArrayFromImage(segmented(found.image).lungs)
    assert (slicer.util.arrayFromVolume(export) == expected).all()


def test_the_tables_hold_the_figures(logic, chest):
    segmentation = logic.segment(add_volume(chest.image), QUICK)
    expected = segmented(chest.image)
    assert logic.tissues(segmentation) == expected.tissue_table
    table = segmentation.GetNodeReference("S3Net.tissueTable").GetTable()
    assert [table.GetColumnName(n) for n in range(5)] == [
        "Number",
        "Tissue",
        "Mean (HU)",
        "Volume (mL)",
        "Share in the lungs",
    ]
    results = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
    rows = [
        [results.GetValue(row, column).ToString() for column in range(4)]
        for row in range(results.GetNumberOfRows())
    ]
    assert [row[0] for row in rows[:4]] == [
        "right lung",
        "left lung",
        "both lungs",
        "right lung, upper third",
    ]
    for row, numbers in zip(rows, expected.figures.numbers.values(), strict=True):
        assert float(row[1]) == pytest.approx(numbers["volume_ml"], abs=0.51)
        assert float(row[2]) == pytest.approx(numbers["mass_g"], abs=0.51)
        assert float(row[3]) == pytest.approx(numbers["mean_hu"], abs=0.51)
    assert logic.numbers(segmentation) == expected.figures.numbers


def test_tissues_have_a_color_and_a_name_each(logic, chest):
    segmentation = logic.segment(add_volume(chest.image), QUICK)
    colors = tissueMapOf(segmentation).GetDisplayNode().GetColorNode()
    table = segmented(chest.image).tissue_table
    count = len(table)
    assert colors.GetNumberOfColors() == count + 1
    seen = set()
    for number in range(count + 1):
        color = [0.0] * 4
        colors.GetColor(number, color)
        seen.add(tuple(color))
        assert color[3] == (number > 0)
    assert len(seen) == count + 1
    names = [colors.GetColorName(number) for number in range(1, count + 1)]
    assert names == [tissue.name for tissue in table]
    assert len(set(names)) == count


def test_no_lungs_yield_empty_segments_and_tables_without_figures(logic):
    volume = add_volume(phantom.abdomen())
    segmentation = logic.segment(volume, QUICK)
    assert not lungs_array(segmentation, volume).any()
    table = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
    assert [table.GetValue(0, column).ToString() for column in range(4)] == [
        "right lung",
        "0",
        "0",
        "",
    ]


def test_running_again_updates_the_same_nodes(logic, chest):
    volume = add_volume(chest.image)
    segmentation = logic.segment(volume, QUICK)
    before = set(nodes())
    logic.chooseTissues(segmentation, [])
    assert logic.segment(volume, QUICK, segmentation) is segmentation
    assert logic.segment(volume, QUICK) is segmentation
    assert set(nodes()) == before
    assert (
        lungs_array(segmentation, volume) == sitk.GetArrayFromImage(segmented(chest.image).lungs)
    ).all()


def test_each_volume_has_a_segmentation_of_its_own(logic, chest):
    first, second = add_volume(chest.image), add_volume(chest.image)
    assert logic.segment(first, QUICK) is not logic.segment(second, QUICK)


def test_one_run_adds_only_what_belongs_to_it(logic, chest):
    volume = add_volume(chest.image)
    before = set(nodes())
    logic.segment(volume, QUICK)
    made = sorted(nodes()[name].GetClassName() for name in set(nodes()) - before)
    assert made == [
        "vtkMRMLColorTableNode",
        "vtkMRMLLabelMapVolumeDisplayNode",
        "vtkMRMLLabelMapVolumeNode",
        "vtkMRMLSegmentationDisplayNode",
        "vtkMRMLSegmentationNode",
        "vtkMRMLTableNode",
        "vtkMRMLTableNode",
    ]


def test_what_was_deleted_is_made_again(logic, scene, chest):
    volume = add_volume(chest.image)
    segmentation = logic.segment(volume, QUICK)
    for role in ("tissues", "tissueColors", "tissueTable"):
        scene.RemoveNode(segmentation.GetNodeReference(f"S3Net.{role}"))
    segmentation.GetSegmentation().RemoveSegment("left_lung")
    logic.segment(volume, QUICK, segmentation)
    assert logic.tissues(segmentation) == segmented(chest.image).tissue_table
    assert segment_array(segmentation, "left_lung", volume).any()


def test_only_the_two_lungs_of_a_users_segmentation_are_overwritten(logic, scene, chest):
    volume = add_volume(chest.image)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("tumor", "tumor", (1, 0, 0))
    tumor = np.zeros(sitk.GetArrayFromImage(chest.image).shape, np.uint8)
    tumor[20:33, 20:33, 13:53] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(tumor, segmentation, "tumor", volume)
    logic.segment(volume, QUICK, segmentation)
    expected = sitk.GetArrayFromImage(segmented(chest.image).lungs)
    assert (expected[tumor > 0] > 0).any()
    # The user paints both lungs over and edits the tumor; a new run takes back the lungs only.
    tumor[27:] = 0
    for name in ("tumor", "right_lung", "left_lung"):
        slicer.util.updateSegmentBinaryLabelmapFromArray(tumor, segmentation, name, volume)
    segmentation.GetSegmentation().GetSegment("right_lung").SetName("my right lung")
    logic.segment(volume, QUICK, segmentation)
    assert (segment_array(segmentation, "tumor", volume) == tumor).all()
    assert (lungs_array(segmentation, volume) == expected).all()
    segments = segmentation.GetSegmentation()
    assert segments.GetNumberOfSegments() == 3
    assert segments.GetSegment("right_lung").GetName() == "my right lung"
    logic.chooseTissues(segmentation, [])
    assert (segment_array(segmentation, "tumor", volume) == tumor).all()
    assert segmentation.GetName() == "mine"


def test_a_users_segments_under_another_transform_are_not_moved(logic, scene, chest):
    volume = add_volume(chest.image)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    segmentation.GetSegmentation().AddEmptySegment("tumor", "tumor")
    volume.SetAndObserveTransformNodeID(add_transform(rigid(5, 5, (9, 9, 9))).GetID())
    before = state()
    with pytest.raises(InputError, match="The segmentation holds other segments.*same"):
        logic.segment(volume, QUICK, segmentation)
    assert state() == before


def test_a_surface_that_is_shown_follows(logic, chest):
    volume = add_volume(chest.image)
    segmentation = logic.segment(volume, QUICK)
    segmentation.CreateClosedSurfaceRepresentation()

    def points(name):
        surface = vtk.vtkPolyData()
        segmentation.GetClosedSurfaceRepresentation(name, surface)
        return surface.GetNumberOfPoints()

    first = points("right_lung")
    assert first > 1000
    logic.chooseTissues(segmentation, [])
    assert points("right_lung") == 0
    logic.chooseTissues(segmentation, segmented(chest.image).chosen_tissues)
    assert points("right_lung") == first


def content(segmentation, volume):
    tables = [segmentation.GetNodeReference(f"S3Net.{k}Table").GetTable() for k in ("tissue",)]
    return (
        lungs_array(segmentation, volume).tobytes(),
        slicer.util.arrayFromVolume(tissueMapOf(segmentation)).tobytes(),
        [[t.GetValue(r, 0).ToString() for r in range(t.GetNumberOfRows())] for t in tables],
        {name: segmentation.GetAttribute(name) for name in segmentation.GetAttributeNames()},
    )


def test_undo_takes_the_first_run_back(logic, scene, chest):
    add_volume(chest.image)
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    before = set(nodes())
    logic.segment(volume, QUICK)
    scene.Undo()
    assert set(nodes()) == before
    segmentation = logic.segment(volume, QUICK)
    assert lungs_array(segmentation, volume).any()


def test_undo_takes_a_second_run_and_a_choice_back(logic, scene, chest):
    volume = add_volume(chest.image)
    segmentation = logic.segment(volume, QUICK)
    first = content(segmentation, volume)
    other = small_chest(lungs="right")
    slicer.util.updateVolumeFromArray(volume, sitk.GetArrayFromImage(other.image))
    logic.segment(volume, QUICK, segmentation)
    second = content(segmentation, volume)
    assert second != first
    logic.chooseTissues(segmentation, [])
    third = content(segmentation, volume)
    assert third != second
    before = set(nodes())
    scene.Undo()
    assert content(segmentation, volume) == second
    scene.Undo()
    assert content(segmentation, volume) == first
    assert set(nodes()) == before
    scene.Redo()
    assert content(segmentation, volume) == second


def test_undo_takes_back_a_run_into_a_users_own_segmentation(logic, scene, chest):
    volume = add_volume(chest.image)
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mine.GetSegmentation().AddEmptySegment("tumor", "tumor")
    before = set(nodes())
    logic.segment(volume, QUICK, mine)
    scene.Undo()
    assert mine.GetSegmentation().GetSegmentIDs() == ("tumor",)
    # The segmentation's display node is new.
    added = [nodes()[name].GetClassName() for name in set(nodes()) - before]
    assert added in ([], ["vtkMRMLSegmentationDisplayNode"])


def test_an_error_while_writing_leaves_everything_as_it_was(logic, chest, monkeypatch):
    from S3NetSegmentationLib.mrml import measuring as module

    def out_of_memory(*arguments):
        raise MemoryError

    volume = add_volume(chest.image)
    before = set(nodes())
    monkeypatch.setattr(module, "writeResultsTable", out_of_memory)
    with pytest.raises(MemoryError):
        logic.segment(volume, QUICK)
    assert set(nodes()) == before
    monkeypatch.undo()
    segmentation = logic.segment(volume, QUICK)
    first, before = content(segmentation, volume), set(nodes())
    monkeypatch.setattr(module, "writeResultsTable", out_of_memory)
    with pytest.raises(MemoryError):
        logic.chooseTissues(segmentation, [])
    assert content(segmentation, volume) == first
    assert set(nodes()) == before


def test_without_undo_as_slicer_is_installed_all_works(logic, scene, chest):
    scene.SetUndoOff()
    volume = add_volume(chest.image)
    segmentation = logic.segment(volume, QUICK)
    logic.chooseTissues(segmentation, [])
    assert not lungs_array(segmentation, volume).any()
    assert scene.GetNumberOfUndoLevels() == 0


@pytest.fixture
def without_undo(scene):
    """Slicer as it is installed."""
    scene.SetUndoOff()


def test_where_slicers_undo_is_off_the_logic_takes_back_the_first_run(
    logic, without_undo, scene, chest
):
    volume = add_volume(chest.image)
    before = set(nodes())
    segmentation = logic.segment(volume, QUICK)
    assert logic.canUndo(segmentation)
    logic.undo()
    assert set(nodes()) == before
    assert not logic.canUndo(segmentation)
    logic.undo()


def test_where_slicers_undo_is_off_the_logic_takes_back_a_choice_and_a_second_run(
    logic, without_undo, chest
):
    volume = add_volume(chest.image)
    segmentation = logic.segment(volume, QUICK)
    first, before = content(segmentation, volume), set(nodes())
    logic.chooseTissues(segmentation, [])
    logic.undo()
    assert content(segmentation, volume) == first
    other = small_chest(lungs="right")
    slicer.util.updateVolumeFromArray(volume, sitk.GetArrayFromImage(other.image))
    logic.segment(volume, QUICK, segmentation)
    assert content(segmentation, volume) != first
    logic.undo()
    assert content(segmentation, volume) == first
    assert set(nodes()) == before


def test_where_slicers_undo_is_on_the_logic_leaves_it_to_slicer(logic, chest):
    segmentation = logic.segment(add_volume(chest.image), QUICK)
    assert not logic.canUndo(segmentation)


def test_seg_nrrd_holds_the_lungs(logic, scene, tmp_path):
    found = small_chest("oblique")
    volume = add_volume(found.image)
    segmentation = logic.segment(volume, QUICK)
    expected = lungs_array(segmentation, volume)
    file = str(tmp_path / "lungs Größe.seg.nrrd")
    writer = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    writer.SetFileName(file)
    assert writer.WriteData(segmentation)
    again = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    reader = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    reader.SetFileName(file)
    assert reader.ReadData(again)
    assert (lungs_array(again, volume) == expected).all()
    for lung in LUNG_SEGMENTS:
        segment = again.GetSegmentation().GetSegment(lung.segment_id)
        assert segment.GetName() == lung.name
        np.testing.assert_allclose(segment.GetColor(), lung.color, atol=1e-4)
        tag = vtk.reference("")
        assert segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
        assert str(tag) == lung.terminology

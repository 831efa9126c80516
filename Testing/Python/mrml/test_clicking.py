"""Clicks on volumes: where they lie, what an editor takes of the regions, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from phantom import GEOMETRIES
from S3NetSegmentationLib.click.regions import regions_at
from S3NetSegmentationLib.errors import InputError, S3NetError
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.mrml.clicking import (
    Clicks,
    Preview,
    indexIn,
    modifierOf,
    spacingOf,
    voxelAt,
    voxelsAndSpacing,
    waitForRegions,
)
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from slicer_scene import add_transform, add_volume, nodes, rigid, segment_array

SHAPE, SPACING = (30, 36, 44), (2.0, 1.5, 3.0)
"""(k, j, i), and in mm (i, j, k)."""

CENTER = (14, 18, 20)
"""Of a ball of fluid, (k, j, i)."""

SEGMENT = "fluid"


class ProcessHere:
    """Answers in this process, when it is polled."""

    def __init__(self, temporary=None):
        self.question = None
        self.closed = False

    def ask(self, box, spacing, index):
        self.question = (box, spacing, index)

    def poll(self):
        question, self.question = self.question, None
        if question is None:
            return None
        regions = regions_at(*question)
        return regions.joins, regions.level

    def close(self):
        self.closed = True


def direction_of(geometry: str):
    return GEOMETRIES[geometry].get("direction", np.eye(3))


def fluid(geometry: str = "axial"):
    """A ball of fluid in muscle under noise, as an image, and where it is (k, j, i)."""
    k, j, i = np.ogrid[tuple(slice(0, count) for count in SHAPE)]
    squares = (
        ((axis - middle) * size) ** 2
        for axis, middle, size in zip((k, j, i), CENTER, SPACING[::-1], strict=True)
    )
    truth = sum(squares) <= 12**2
    noise = np.random.default_rng(2).normal(0, 8, SHAPE)
    image = sitk.GetImageFromArray((np.where(truth, 10, 60) + noise).astype(np.int16))
    image.SetSpacing(SPACING)
    image.SetOrigin((-30.0, 12.0, 7.0))
    image.SetDirection(np.ravel(direction_of(geometry)).tolist())
    return image, truth


def world(volume, index) -> np.ndarray:
    """The point of the world in the middle of a voxel (k, j, i)."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    if volume.GetParentTransformNode():
        to_world = vtk.vtkMatrix4x4()
        volume.GetParentTransformNode().GetMatrixTransformToWorld(to_world)
        vtk.vtkMatrix4x4.Multiply4x4(to_world, matrix, matrix)
    return np.array(matrix.MultiplyPoint((*index[::-1], 1)))[:3]


@pytest.fixture
def clicks():
    return Clicks(ProcessHere)


class Editor:
    """Slicer's own logic of Segment Editor on a volume, with a segment to edit."""

    def __init__(self, volume):
        self.volume = volume
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        self.segmentation.GetSegmentation().AddEmptySegment(SEGMENT, SEGMENT)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(self.segmentation)
        self.logic.SetSourceVolumeNode(volume)
        self.logic.SetCurrentSegmentID(SEGMENT)

    @property
    def image(self):
        """The source volume as effects get it."""
        self.logic.UpdateAlignedSourceVolume()
        return self.logic.GetAlignedSourceVolume()

    def modify(self, modifier, mode=None):
        logic = self.logic
        logic.UpdateMaskLabelmap()
        logic.SaveStateForUndo()
        logic.ModifySegmentByLabelmap(
            self.segmentation,
            SEGMENT,
            modifier,
            logic.ModificationModeAdd if mode is None else mode,
            True,  # on one segment
            False,  # with the masks
        )

    def array(self):
        return segment_array(self.segmentation, SEGMENT, self.volume) > 0


def choose_best(clicks: Clicks, truth) -> np.ndarray:
    """Choose the level that is closest to the truth; the region on the whole volume."""
    levels = range(1, 61)
    best = max(levels, key=lambda level: dice(clicks.regions.on(truth.shape, level), truth))
    clicks.choose(best)
    return clicks.regions.on(truth.shape, best)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("is_moved", [False, True])
def test_a_region_lands_where_it_was_clicked(scene, clicks, geometry, is_moved):
    image, truth = fluid(geometry)
    volume = add_volume(image)
    if is_moved:
        transform = add_transform(rigid(20, -35, (11, -7, 23)))
        volume.SetAndObserveTransformNodeID(transform.GetID())
    assert voxelAt(volume, world(volume, CENTER)) == CENTER
    assert spacingOf(volume) == pytest.approx(SPACING[::-1])

    editor = Editor(volume)
    source = editor.image
    voxels, spacing = voxelsAndSpacing(source)
    assert sorted(spacing) == pytest.approx(sorted(SPACING))
    # Segment Editor may store the voxels along other axes.
    inverse = vtk.vtkMatrix4x4()
    source.GetWorldToImageMatrix(inverse)
    local = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(local)
    point = inverse.MultiplyPoint(local.MultiplyPoint((*CENTER[::-1], 1)))
    clicks.ask(voxels, spacing, indexIn(source, [round(value) for value in point[:3]]))
    regions = waitForRegions(clicks)
    best = max(
        (regions.on(voxels.shape, level) for level in range(1, 61)),
        key=lambda mask: dice(mask, voxels < 35),
    )
    level = int(regions.joins[best[regions.box]].max())
    editor.modify(modifierOf(regions, level, source))
    assert editor.array().sum() == best.sum()
    assert dice(editor.array(), truth) > 0.85


def test_removing_takes_the_region_away_and_undo_brings_it_back(scene, clicks):
    image, truth = fluid()
    editor = Editor(add_volume(image))
    source = editor.image
    voxels, spacing = voxelsAndSpacing(source)
    clicks.ask(voxels, spacing, CENTER)
    waitForRegions(clicks)
    region = choose_best(clicks, truth)
    modifier = modifierOf(clicks.regions, clicks.level, source)
    editor.modify(modifier)
    assert np.array_equal(editor.array(), region)
    editor.modify(modifier, editor.logic.ModificationModeRemove)
    assert not editor.array().any()
    editor.logic.Undo()
    assert np.array_equal(editor.array(), region)
    editor.logic.Undo()
    assert not editor.array().any()


def test_the_editable_intensity_range_is_respected(scene, clicks):
    image, _truth = fluid()
    editor = Editor(add_volume(image))
    source = editor.image
    voxels, spacing = voxelsAndSpacing(source)
    clicks.ask(voxels, spacing, CENTER)
    waitForRegions(clicks)
    editor.node.SourceVolumeIntensityMaskOn()
    editor.node.SetSourceVolumeIntensityMaskRange(0, 20)
    editor.modify(modifierOf(clicks.regions, clicks.level, source))
    array = sitk.GetArrayFromImage(image)
    assert editor.array().any()
    assert set(np.unique(array[editor.array()])) <= set(range(0, 21))


def test_other_segments_are_kept_where_they_may_not_be_overwritten(scene, clicks):
    image, truth = fluid()
    volume = add_volume(image)
    editor = Editor(volume)
    half = truth.copy()
    half[:, :, CENTER[2] :] = False
    editor.segmentation.GetSegmentation().AddEmptySegment("other", "other")
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        half.astype(np.uint8), editor.segmentation, "other", volume
    )
    editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    source = editor.image
    voxels, spacing = voxelsAndSpacing(source)
    clicks.ask(voxels, spacing, (CENTER[0], CENTER[1], CENTER[2] + 3))
    waitForRegions(clicks)
    choose_best(clicks, truth)
    editor.modify(modifierOf(clicks.regions, clicks.level, source))
    assert editor.array().any()
    assert not (editor.array() & half).any()
    assert np.array_equal(segment_array(editor.segmentation, "other", volume) > 0, half)


def test_the_choice_stays_between_the_smallest_and_the_largest(scene, clicks):
    image, _truth = fluid()
    clicks.ask(sitk.GetArrayFromImage(image), SPACING[::-1], CENTER)
    waitForRegions(clicks)
    clicks.choose(-50)
    assert clicks.holds(CENTER)
    clicks.choose(999)
    assert clicks.regions.mask(clicks.level).all()
    assert not clicks.holds((-1, 0, 0))


def test_a_click_outside_is_refused_and_nothing_waits(scene, clicks):
    image, _truth = fluid()
    with pytest.raises(InputError, match="outside"):
        clicks.ask(sitk.GetArrayFromImage(image), SPACING[::-1], (14, 18, 44))
    assert not clicks.isWaiting
    assert not clicks.poll()


def test_a_failed_process_is_started_anew_at_the_next_click(scene):
    made = []

    class Failing(ProcessHere):
        def __init__(self, temporary=None):
            super().__init__()
            made.append(self)

        def poll(self):
            if len(made) == 1:
                raise S3NetError("ended")
            return super().poll()

    clicks = Clicks(Failing)
    array = sitk.GetArrayFromImage(fluid()[0])
    clicks.ask(array, SPACING[::-1], CENTER)
    with pytest.raises(S3NetError):
        clicks.poll()
    assert made[0].closed
    clicks.ask(array, SPACING[::-1], CENTER)
    assert clicks.poll()


def test_the_preview_follows_the_choice_and_leaves_nothing_behind(scene, clicks):
    image, truth = fluid()
    volume = add_volume(image)
    editor = Editor(volume)
    source = editor.image
    voxels, spacing = voxelsAndSpacing(source)
    before = set(nodes())
    clicks.ask(voxels, spacing, CENTER)
    waitForRegions(clicks)
    preview = Preview()
    for level in (30, 40):
        preview.show(modifierOf(clicks.regions, level, source), editor.segmentation)
        (made,) = (
            node
            for name, node in nodes().items()
            if name not in before and node.IsA("vtkMRMLSegmentationNode")
        )
        shown = segment_array(made, made.GetSegmentation().GetNthSegmentID(0), volume) > 0
        assert np.array_equal(shown, clicks.regions.on(truth.shape, level))
        assert made.GetHideFromEditors() and not made.GetSaveWithScene()
    preview.hide()
    preview.hide()
    assert set(nodes()) == before


@pytest.mark.parametrize("geometry", ["oblique", "left-handed"])
def test_regions_from_a_script(scene, monkeypatch, geometry):
    image, truth = fluid(geometry)
    volume = add_volume(image)
    transform = add_transform(rigid(10, 15, (1, 2, 3)))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    logic = SegmentationLogic()
    regions = logic.regionsAt(volume, world(volume, CENTER))
    assert max(dice(regions.on(SHAPE, level), truth) for level in range(1, 61)) > 0.85
    with pytest.raises(InputError, match="outside"):
        logic.regionsAt(volume, (1000, 0, 0))
    logic.forget()

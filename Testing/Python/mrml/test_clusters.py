"""Choosing clusters, finding the one under a point, and both after a scene was loaded again."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError, S3NetError
from S3NetSegmentationLib.manual_choice import choose_clusters
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from S3NetSegmentationLib.mrml.nodes import clusterMapOf, volumeOf
from slicer_scene import (
    add_transform,
    add_volume,
    ijk_to_ras,
    load_scene,
    lungs_array,
    rigid,
    save_scene,
    state,
)


def chosen_lungs(image, numbers):
    return choose_clusters(segmented(image), sitk.GetArrayViewFromImage(image), numbers).lung_array


@pytest.mark.parametrize("geometry", ["axial", "left-handed", "oblique"])
def test_a_choice_gives_what_the_engine_gives(logic, geometry):
    image = small_chest(geometry).image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    chosen = segmented(image).chosen
    for numbers in ([*chosen, len(segmented(image).table)], chosen[:1], [], chosen):
        logic.chooseClusters(segmentation, numbers)
        assert (lungs_array(segmentation, volume) == chosen_lungs(image, numbers)).all()
        assert logic.clusters(segmentation)[1] == tuple(sorted(numbers))
        results = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
        hounsfield = sitk.GetArrayViewFromImage(image)
        lung = choose_clusters(segmented(image), hounsfield, numbers).figures.lungs[0]
        assert results.GetValue(0, 1).ToString() == f"{lung.volume_ml:.0f}"


def test_a_choice_that_cannot_be_made_changes_nothing(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    before = state()
    with pytest.raises(InputError, match="no cluster 99"):
        logic.chooseClusters(segmentation, [99])
    assert state() == before
    stranger = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    with pytest.raises(InputError, match="gone; apply again"):
        logic.chooseClusters(stranger, [1])
    assert logic.clusters(stranger) == ((), ())
    assert logic.clusters(None) == ((), ())
    assert logic.warnings(stranger) == logic.warnings(None) == ()
    scene.RemoveNode(volume)
    with pytest.raises(InputError, match="gone; apply again"):
        logic.chooseClusters(segmentation, [1])


def test_a_choice_that_slicer_does_not_take_changes_nothing(logic, monkeypatch):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)

    def shown():
        results = segmentation.GetNodeReference("S3Net.resultsTable").GetTable()
        volumes = [results.GetValue(row, 1).ToString() for row in range(2)]
        return lungs_array(segmentation, volume).tobytes(), logic.clusters(segmentation), volumes

    class Refusing:
        ImportLabelmapToSegmentationNode = staticmethod(lambda *arguments: False)

    before = shown()
    monkeypatch.setattr(slicer, "vtkSlicerSegmentationsModuleLogic", Refusing)
    with pytest.raises(S3NetError, match="choose another one"):
        logic.chooseClusters(segmentation, [1])
    assert shown() == before


def test_a_choice_on_a_volume_that_became_another_is_refused(logic):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    slicer.util.updateVolumeFromArray(
        volume, sitk.GetArrayFromImage(small_chest("anisotropic").image)
    )
    before = lungs_array(segmentation, clusterMapOf(segmentation))
    with pytest.raises(InputError, match="no longer fits.*apply again"):
        logic.chooseClusters(segmentation, [1])
    assert (lungs_array(segmentation, clusterMapOf(segmentation)) == before).all()


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed", "sagittal storage"])
@pytest.mark.parametrize("transformed", [False, True])
def test_the_cluster_under_a_point(logic, geometry, transformed):
    image = small_chest(geometry).image
    volume, matrix = add_volume(image), ijk_to_ras(image)
    if transformed:
        turn = rigid(20, -15, (30, -70, 250))
        volume.SetAndObserveTransformNodeID(add_transform(turn).GetID())
        matrix = turn @ matrix
    segmentation = logic.segment(volume, QUICK)
    clusters = slicer.util.arrayFromVolume(clusterMapOf(segmentation))
    random = np.random.default_rng(0)
    for index in random.integers(0, clusters.shape, (40, 3)):
        # Anywhere in the voxel, not only at its center.
        inside = index[::-1] + random.uniform(-0.45, 0.45, 3)
        ras = (matrix @ [*inside, 1])[:3]
        assert logic.clusterAt(ras, segmentation) == clusters[tuple(index)]
        assert logic.clusterAt(ras) == clusters[tuple(index)], "by default the latest"
    assert logic.clusterAt((matrix @ [0, 0, 0, 1])[:3], segmentation) == 0
    for outside in ([-1, 0, 0], [clusters.shape[2], 5, 5], [5, 5, -0.6], [5e6, 0, 0]):
        assert logic.clusterAt((matrix @ [*outside, 1])[:3], segmentation) == 0


def test_no_cluster_where_nothing_was_segmented(logic, scene):
    assert logic.clusterAt((0, 0, 0), scene.AddNewNodeByClass("vtkMRMLSegmentationNode")) == 0
    assert logic.clusterAt((0, 0, 0), None) == 0


def save_and_load(scene, application, folder):
    """Save the scene with its data as the application does, and load it into a fresh one."""
    path = save_scene(folder)
    application.close_scene()
    again = application.fresh_scene()
    load_scene(path)
    segmentation = again.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    return again, segmentation, volumeOf(segmentation)


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
    table, chosen = logic.clusters(segmentation)
    fewer = chosen[1:] or [*chosen, len(table)]
    logic.chooseClusters(segmentation, fewer)
    expected = lungs_array(segmentation, volume)
    logic.chooseClusters(segmentation, chosen)
    first = lungs_array(segmentation, volume)
    folder = tmp_path / "scene with space and ü 肺"
    folder.mkdir()
    again, segmentation, volume = save_and_load(scene, application, folder)
    # A left-handed volume comes back from a file with its slices in the other order.
    flip = slice(None, None, -1 if geometry == "left-handed" else 1)
    assert (lungs_array(segmentation, volume)[flip] == first).all()
    logic = SegmentationLogic(JobHere)
    loaded, taken = logic.clusters(segmentation)
    assert taken == chosen
    assert [row.number for row in loaded] == [row.number for row in table]
    np.testing.assert_allclose(
        [row.volume_ml for row in loaded], [row.volume_ml for row in table], rtol=1e-4
    )
    logic.chooseClusters(segmentation, fewer)
    assert (lungs_array(segmentation, volume)[flip] == expected).all()
    logic.chooseClusters(segmentation, chosen)
    assert (lungs_array(segmentation, volume)[flip] == first).all()
    colors = clusterMapOf(segmentation).GetDisplayNode().GetColorNode()
    assert colors.GetColorName(1) == "cluster 1"
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    middle = [n // 2 for n in slicer.util.arrayFromVolume(volume).shape]
    ras = matrix.MultiplyPoint([*middle[::-1], 1])[:3]
    clusters = slicer.util.arrayFromVolume(clusterMapOf(segmentation))
    assert logic.clusterAt(ras, segmentation) == clusters[tuple(middle)]

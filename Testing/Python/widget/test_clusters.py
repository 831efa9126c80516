"""Clusters to choose and to pick, figures, surfaces, Segment Editor, undo."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from PySide6.QtCore import Qt
from S3NetSegmentationLib.manual_choice import choose_clusters
from S3NetSegmentationLib.mrml.nodes import clusterMapOf
from S3NetSegmentationLib.mrml.segmentation import clusterColor
from slicer_scene import ijk_to_ras, lungs_array


def rows(done):
    table = done.ui.clusterTable
    return [[table.item(row, column) for column in range(3)] for row in range(table.rowCount)]


def chosen(done):
    return [number for number, row in enumerate(rows(done), 1) if row[0].checkState() == Qt.Checked]


def expected(done, numbers):
    return choose_clusters(done.result, done.chest.hounsfield, numbers).lung_array


def a_point_in(done, number):
    """A position in the world well inside a cluster."""
    clusters = sitk.GetArrayFromImage(done.result.clusters)
    k, j, i = np.argwhere(clusters == number)[len(np.argwhere(clusters == number)) // 2]
    return (ijk_to_ras(done.chest.image) @ [i, j, k, 1])[:3]


def test_the_table_shows_every_cluster(done):
    table = done.result.table
    assert len(rows(done)) == len(table)
    for row, cluster in zip(rows(done), table, strict=True):
        assert row[0].text() == f"cluster {cluster.number}"
        assert row[1].text() == f"{cluster.mean_hu:.0f}"
        assert row[2].text() == f"{cluster.volume_ml:.0f}"
        swatch = row[0].data(Qt.DecorationRole)
        color = [round(255 * part) for part in clusterColor(cluster.number)]
        assert [swatch.red(), swatch.green(), swatch.blue()] == color
    assert chosen(done) == list(done.result.chosen)


def test_a_check_mark_changes_the_lungs_at_once(done):
    first = done.result.chosen[0]
    rows(done)[first - 1][0].setCheckState(Qt.Unchecked)
    others = [number for number in done.result.chosen if number != first]
    assert chosen(done) == others
    assert (lungs_array(done.segmentation, done.volume) == expected(done, others)).all()
    rows(done)[first - 1][0].setCheckState(Qt.Checked)
    assert (
        lungs_array(done.segmentation, done.volume) == sitk.GetArrayFromImage(done.result.lungs)
    ).all()


def test_a_click_in_a_slice_view_toggles_the_cluster_under_it(done, application):
    view = application.layoutManager().red
    tissue = len(done.result.table)
    point = a_point_in(done, tissue)
    view.click(point)
    assert chosen(done) == list(done.result.chosen), "picking is not on"
    done.ui.pickButton.click()
    view.click(point)
    assert chosen(done) == [*done.result.chosen, tissue]
    view.click(point, dragged=20)
    assert tissue in chosen(done), "a drag is no click"
    view.click(point)
    assert chosen(done) == list(done.result.chosen)
    view.click((5000, 0, 0))
    assert chosen(done) == list(done.result.chosen), "there is nothing to pick"
    done.ui.pickButton.click()
    view.click(point)
    assert chosen(done) == list(done.result.chosen), "picking is off again"


def test_picking_goes_on_in_views_of_another_layout(done, application):
    done.ui.pickButton.click()
    layout = application.layoutManager()
    layout.red = type(layout.red)(slicer.mrmlScene)
    layout.emit("layoutChanged(int)", 4)
    tissue = len(done.result.table)
    layout.red.click(a_point_in(done, tissue))
    assert tissue in chosen(done)


def test_picking_that_began_without_a_slice_view_ends_too(done, application, monkeypatch):
    layout = application.layoutManager()
    with monkeypatch.context() as only3D:
        only3D.setattr(layout, "sliceViewNames", tuple)
        done.ui.pickButton.click()
    layout.emit("layoutChanged(int)", 2)
    tissue = len(done.result.table)
    layout.red.click(a_point_in(done, tissue))
    assert tissue in chosen(done)
    done.ui.pickButton.click()
    layout.emit("layoutChanged(int)", 4)
    layout.red.click(a_point_in(done, tissue))
    assert tissue in chosen(done)


def test_leaving_the_module_ends_picking(done, application):
    done.ui.pickButton.click()
    done.panel.exit()
    assert not done.ui.pickButton.checked
    application.layoutManager().red.click(a_point_in(done, len(done.result.table)))
    assert chosen(done) == list(done.result.chosen)


def test_clusters_are_shown_over_the_scan(done, application):
    layers = application.layoutManager().red.mrmlSliceCompositeNode()
    done.ui.showClustersCheckBox.click()
    assert layers.GetLabelVolumeID() == clusterMapOf(done.segmentation).GetID()
    done.ui.showClustersCheckBox.click()
    assert not layers.GetLabelVolumeID()


def test_figures_of_both_lungs(done):
    table = done.ui.resultsTable
    header = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    assert header == ["Lung", "Volume\n(mL)", "Mean\n(HU)", "< -950 HU\n(%)"]
    for row, lung in enumerate(done.result.figures.lungs):
        assert table.item(row, 0).text() == lung.name
        assert table.item(row, 1).text() == f"{lung.volume_ml:.0f}"
        assert table.item(row, 2).text() == f"{lung.mean_hu:.0f}"


def test_figures_follow_the_choice(done):
    before = done.ui.resultsTable.item(0, 1).text()
    rows(done)[done.result.chosen[-1] - 1][0].setCheckState(Qt.Unchecked)
    assert done.ui.resultsTable.item(0, 1).text() != before


def test_show_3d_frames_the_lungs(done, application):
    view = application.layoutManager().view3D
    done.ui.show3DButton.click()
    for side in ("right", "left"):
        surface = done.segmentation.GetClosedSurfaceInternalRepresentation(f"{side}_lung")
        assert surface.GetNumberOfPoints() > 100
    assert view.framed == 1
    done.ui.show3DButton.click()
    assert not done.segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    assert view.framed == 1


def test_the_3d_button_follows_what_another_module_does(done):
    done.segmentation.CreateClosedSurfaceRepresentation()
    assert done.ui.show3DButton.checked


def test_edit_in_segment_editor(done, application):
    done.ui.editButton.click()
    assert application.window.openedModules[-1] == "SegmentEditor"
    edited = slicer.modules.SegmentEditorWidget.edited
    assert edited.segmentationNode is done.segmentation
    assert edited.sourceVolumeNode is done.volume


def test_undo_takes_the_run_back_and_the_panel_follows(done):
    slicer.mrmlScene.Undo()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert done.ui.clusterTable.rowCount == 0
    assert not done.ui.pickButton.enabled
    assert not done.ui.editButton.enabled


def test_undo_takes_a_choice_back_and_the_panel_follows(done):
    rows(done)[done.result.chosen[0] - 1][0].setCheckState(Qt.Unchecked)
    slicer.mrmlScene.Undo()
    assert chosen(done) == list(done.result.chosen)


def test_a_segmentation_of_someone_else_has_no_clusters(done):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    done.ui.outputSelector.setCurrentNode(other)
    assert done.ui.clusterTable.rowCount == 0
    done.ui.outputSelector.setCurrentNode(done.segmentation)
    assert chosen(done) == list(done.result.chosen)


def test_a_removed_segmentation_leaves_an_empty_panel(done):
    slicer.mrmlScene.RemoveNode(done.segmentation)
    assert done.ui.clusterTable.isHidden()
    assert done.ui.resultsTable.isHidden()


@pytest.mark.parametrize("gone", ["volume", "clusters"])
def test_without_its_volume_or_its_clusters_there_is_nothing_to_choose(done, wait, gone):
    node = done.volume if gone == "volume" else clusterMapOf(done.segmentation)
    slicer.mrmlScene.RemoveNode(node)
    wait(lambda: not done.ui.pickButton.enabled, seconds=5)
    assert done.ui.clusterTable.isHidden()
    assert not done.ui.showClustersCheckBox.enabled

"""Tissues to choose and to pick, figures, surfaces, Segment Editor, undo."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from PySide6.QtCore import Qt
from S3NetSegmentationLib.lung.tissues import colors_of
from S3NetSegmentationLib.manual_choice import choose_tissues, pick
from S3NetSegmentationLib.mrml.nodes import tissueMapOf
from scipy import ndimage
from slicer_scene import add_volume, ijk_to_ras, lungs_array


def rows(done):
    table = done.ui.tissueTable
    return [[table.item(row, column) for column in range(4)] for row in range(table.rowCount)]


def chosen(done):
    return [number for number, row in enumerate(rows(done), 1) if row[0].checkState() == Qt.Checked]


def expected(done, numbers):
    return choose_tissues(done.result, done.chest.hounsfield, numbers).lung_array


def a_point_in(done, number):
    """A position in the world deep inside a tissue."""
    k, j, i = a_voxel_in(done, number)
    return (ijk_to_ras(done.chest.image) @ [i, j, k, 1])[:3]


def a_voxel_in(done, number):
    distance = ndimage.distance_transform_edt(done.result.tissue_array == number)
    return np.unravel_index(distance.argmax(), distance.shape)


def number_of(done, name):
    (number,) = (row.number for row in done.result.tissue_table if row.name == name)
    return number


def test_the_table_shows_every_tissue(done):
    table = done.result.tissue_table
    assert len(rows(done)) == len(table)
    for row, tissue, color in zip(rows(done), table, colors_of(table), strict=True):
        assert row[0].text() == tissue.name
        assert row[1].text() == f"{tissue.mean_hu:.0f}"
        assert row[2].text() == f"{tissue.volume_ml:.0f}"
        assert row[3].text() == f"{100 * tissue.lung_fraction:.0f}"
        swatch = row[0].data(Qt.DecorationRole)
        assert [swatch.red(), swatch.green(), swatch.blue()] == [round(255 * c) for c in color]
    assert chosen(done) == list(done.result.chosen_tissues)


def test_a_check_mark_changes_the_lungs_at_once(done):
    first = done.result.chosen_tissues[0]
    rows(done)[first - 1][0].setCheckState(Qt.Unchecked)
    done.settle()
    others = [number for number in done.result.chosen_tissues if number != first]
    assert chosen(done) == others
    assert (lungs_array(done.segmentation, done.volume) == expected(done, others)).all()
    rows(done)[first - 1][0].setCheckState(Qt.Checked)
    done.settle()
    assert (
        lungs_array(done.segmentation, done.volume) == sitk.GetArrayFromImage(done.result.lungs)
    ).all()


def test_a_click_in_a_slice_view_picks_the_part_under_it(done, application):
    view = application.layoutManager().red
    tissue = number_of(done, "soft tissue")
    point = a_point_in(done, tissue)
    before = lungs_array(done.segmentation, done.volume)
    expected = pick(done.result, done.chest.hounsfield, a_voxel_in(done, tissue)).lung_array

    def lungs():
        return lungs_array(done.segmentation, done.volume)

    view.click(point)
    done.settle()
    assert (lungs() == before).all(), "picking is not on"
    done.ui.pickButton.click()
    view.click(point)
    done.settle()
    assert (lungs() == expected).all()
    view.click(point, dragged=20)
    done.settle()
    assert (lungs() == expected).all(), "a drag is no click"
    view.click(point)
    done.settle()
    assert (lungs() == before).all()
    view.click((5000, 0, 0))
    done.settle()
    assert (lungs() == before).all(), "there is nothing to pick"
    done.ui.pickButton.click()
    view.click(point)
    done.settle()
    assert (lungs() == before).all(), "picking is off again"


def test_a_click_with_ctrl_picks_the_whole_tissue(done, application):
    tissue = number_of(done, "fat")
    done.ui.pickButton.click()
    application.layoutManager().red.click(a_point_in(done, tissue), ctrl=True)
    done.settle()
    assert chosen(done) == sorted([*done.result.chosen_tissues, tissue])
    wanted = expected(done, chosen(done))
    assert (lungs_array(done.segmentation, done.volume) == wanted).all()


def test_the_part_under_the_cursor_is_outlined(done, application):
    view = application.layoutManager().red
    point = a_point_in(done, number_of(done, "aerated lung"))
    view.hover(point)
    assert not len(view.lines), "picking is not on"
    done.ui.pickButton.click()
    view.hover(point)
    lung = view.lines
    assert len(lung)
    # It runs where the tissue ends, to a pixel of the working grid.
    matrix = slicer.util.arrayFromVTKMatrix(view.mrmlSliceNode().GetXYToRAS())
    to_ijk = np.linalg.inv(ijk_to_ras(done.chest.image)) @ matrix
    places = to_ijk @ np.stack([*lung.T, np.zeros(len(lung)), np.ones(len(lung))])
    i, j, k = np.rint(places[:3]).astype(int)
    inside = done.result.tissue_array == number_of(done, "aerated lung")
    rim = ndimage.binary_dilation(inside, iterations=2) & ~ndimage.binary_erosion(
        inside, iterations=2
    )
    assert rim[k, j, i].mean() > 0.95
    view.hover(a_point_in(done, number_of(done, "fat")))
    assert len(view.lines) != len(lung)
    view.hover((190, 190, point[2]))
    assert not len(view.lines), "there is nothing under the cursor"
    for gone in (view.leave, done.ui.pickButton.click):
        view.hover(point)
        assert len(view.lines)
        gone()
        assert not len(view.lines)


def test_another_number_of_tissues_is_shown_at_once(done):
    before = lungs_array(done.segmentation, done.volume)
    done.ui.tissueSpinBox.value = 16
    done.settle()
    assert len(rows(done)) > len(done.result.tissue_table)
    assert (lungs_array(done.segmentation, done.volume) == before).all()
    assert done.panel.logic.getParameterNode().tissues == 16
    done.ui.tissueSpinBox.value = 8
    done.settle()
    assert len(rows(done)) == len(done.result.tissue_table)


def test_picking_goes_on_in_views_of_another_layout(done, application):
    done.ui.pickButton.click()
    layout = application.layoutManager()
    layout.red = type(layout.red)(slicer.mrmlScene)
    layout.emit("layoutChanged(int)", 4)
    tissue = number_of(done, "fat")
    layout.red.click(a_point_in(done, tissue), ctrl=True)
    done.settle()
    assert tissue in chosen(done)


def test_picking_that_began_without_a_slice_view_ends_too(done, application, monkeypatch):
    layout = application.layoutManager()
    with monkeypatch.context() as only3D:
        only3D.setattr(layout, "sliceViewNames", tuple)
        done.ui.pickButton.click()
    layout.emit("layoutChanged(int)", 2)
    tissue = number_of(done, "fat")
    layout.red.click(a_point_in(done, tissue), ctrl=True)
    done.settle()
    assert tissue in chosen(done)
    done.ui.pickButton.click()
    layout.emit("layoutChanged(int)", 4)
    layout.red.click(a_point_in(done, tissue), ctrl=True)
    done.settle()
    assert tissue in chosen(done)


def test_leaving_the_module_ends_picking(done, application):
    done.ui.pickButton.click()
    done.panel.exit()
    assert not done.ui.pickButton.checked
    application.layoutManager().red.click(a_point_in(done, number_of(done, "fat")), ctrl=True)
    done.settle()
    assert chosen(done) == list(done.result.chosen_tissues)


def test_tissues_are_shown_over_the_scan(done, application):
    layers = application.layoutManager().red.mrmlSliceCompositeNode()
    done.ui.showTissuesCheckBox.click()
    assert layers.GetLabelVolumeID() == tissueMapOf(done.segmentation).GetID()
    done.ui.showTissuesCheckBox.click()
    assert not layers.GetLabelVolumeID()


def test_figures_of_both_lungs(done):
    table = done.ui.resultsTable
    header = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    assert header == [
        *("Lung", "Volume\n(mL)", "Mass\n(g)", "Mean\n(HU)", "LAA-950\n(%)", "HAA\n(%)"),
    ]
    assert [table.item(row, 0).text() for row in range(table.rowCount)] == [
        *("right lung", "left lung", "both lungs"),
    ]
    for row, side in enumerate(("right", "left", "both")):
        numbers = done.result.figures.numbers[side]
        assert table.item(row, 1).text() == f"{numbers['volume_ml']:.0f}"
        assert table.item(row, 3).text() == f"{numbers['mean_hu']:.0f}"


def test_figures_follow_the_choice(done):
    before = done.ui.resultsTable.item(0, 1).text()
    rows(done)[done.result.chosen_tissues[-1] - 1][0].setCheckState(Qt.Unchecked)
    done.settle()
    assert done.ui.resultsTable.item(0, 1).text() != before


def test_show_3d_frames_the_lungs(done, application):
    elsewhere = sitk.Image(done.chest.image)
    elsewhere.SetOrigin((0, 0, 2000))
    add_volume(elsewhere, "another scan")
    view = application.layoutManager().view3D
    view.mrmlViewNode().SetBoxVisible(True)
    view.mrmlViewNode().SetAxisLabelsVisible(True)
    done.ui.show3DButton.click()
    for side in ("right", "left"):
        surface = done.segmentation.GetClosedSurfaceInternalRepresentation(f"{side}_lung")
        assert surface.GetNumberOfPoints() > 100
    (bounds,) = view.framed
    k, j, i = np.nonzero(lungs_array(done.segmentation, done.volume))
    corners = (ijk_to_ras(done.chest.image) @ [i, j, k, np.ones_like(i)])[:3]
    spacing = max(done.chest.image.GetSpacing())
    assert np.abs(bounds[::2] - corners.min(1)).max() < spacing
    assert np.abs(bounds[1::2] - corners.max(1)).max() < spacing
    assert view.mrmlViewNode().GetBoxVisible()
    assert view.mrmlViewNode().GetAxisLabelsVisible()
    done.ui.show3DButton.click()
    assert not done.segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    assert len(view.framed) == 1


def test_the_3d_button_follows_what_another_module_does(done):
    done.segmentation.CreateClosedSurfaceRepresentation()
    assert done.ui.show3DButton.checked


def test_edit_in_segment_editor(done, application):
    done.ui.editButton.click()
    assert application.window.openedModules[-1] == "SegmentEditor"
    edited = slicer.modules.SegmentEditorWidget.edited
    assert edited.segmentationNode is done.segmentation
    assert edited.sourceVolumeNode is done.volume
    assert edited.effect == "S3-Net"


def test_undo_takes_the_run_back_and_the_panel_follows(done):
    slicer.mrmlScene.Undo()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert done.ui.tissueTable.rowCount == 0
    assert not done.ui.pickButton.enabled
    assert not done.ui.editButton.enabled


def test_undo_takes_a_choice_back_and_the_panel_follows(done):
    rows(done)[done.result.chosen_tissues[0] - 1][0].setCheckState(Qt.Unchecked)
    done.settle()
    slicer.mrmlScene.Undo()
    assert chosen(done) == list(done.result.chosen_tissues)


def test_a_segmentation_of_someone_else_has_no_tissues(done):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    done.ui.outputSelector.setCurrentNode(other)
    assert done.ui.tissueTable.rowCount == 0
    done.ui.outputSelector.setCurrentNode(done.segmentation)
    assert chosen(done) == list(done.result.chosen_tissues)


def test_a_removed_segmentation_leaves_an_empty_panel(done):
    slicer.mrmlScene.RemoveNode(done.segmentation)
    assert done.ui.tissueTable.isHidden()
    assert done.ui.resultsTable.isHidden()


@pytest.mark.parametrize("gone", ["volume", "tissues"])
def test_without_its_volume_or_its_tissues_there_is_nothing_to_choose(done, wait, gone):
    node = done.volume if gone == "volume" else tissueMapOf(done.segmentation)
    slicer.mrmlScene.RemoveNode(node)
    wait(lambda: not done.ui.pickButton.enabled, seconds=5)
    assert done.ui.tissueTable.isHidden()
    assert not done.ui.showTissuesCheckBox.enabled

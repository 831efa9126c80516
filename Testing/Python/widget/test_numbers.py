"""Numbers in the panel: all of them beside the slices, a histogram, a map, and texts to copy."""

import slicer
from S3NetSegmentationLib.mrml.nodes import AERATION, CHART, resultsTableOf
from slicer_scene import add_volume, segment_array


def test_all_numbers_are_shown_beside_the_slices(done, application):
    before = application.layoutManager().layout
    done.ui.numbersButton.click()
    selection = application.applicationLogic().GetSelectionNode()
    assert selection.GetActiveTableID() == resultsTableOf(done.segmentation).GetID()
    assert application.layoutManager().layout != before


def test_the_histogram_is_shown_beside_the_slices(done, application):
    done.ui.histogramButton.click()
    chart = done.segmentation.GetNodeReference(CHART)
    selection = application.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlotChartID() == chart.GetID()


def test_the_map_lies_over_the_scan_and_beside_the_tissues(done, application, wait):
    layers = application.layoutManager().red.mrmlSliceCompositeNode()
    done.ui.showTissuesCheckBox.click()
    tissues = layers.GetLabelVolumeID()
    done.ui.aerationCheckBox.click()
    overlay = done.segmentation.GetNodeReference(AERATION)
    assert layers.GetForegroundVolumeID() == overlay.GetID()
    assert layers.GetLabelVolumeID() == tissues
    left = segment_array(done.segmentation, "left_lung", done.volume)
    assert slicer.util.arrayFromVolume(overlay)[left > 0].any()
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        0 * left, done.segmentation, "left_lung", done.volume
    )
    wait(lambda: not slicer.util.arrayFromVolume(overlay)[left > 0].any(), seconds=5)
    done.ui.aerationCheckBox.click()
    assert not layers.GetForegroundVolumeID()


def test_another_scan_has_no_map_of_this_one(done, application):
    layers = application.layoutManager().red.mrmlSliceCompositeNode()
    done.ui.aerationCheckBox.click()
    done.ui.inputSelector.setCurrentNode(add_volume(done.chest.image, "Scan B"))
    assert not layers.GetForegroundVolumeID()
    assert not done.ui.aerationCheckBox.checked


def test_texts_are_copied(done, application):
    done.ui.copyReportButton.click()
    assert application.copied == done.panel.logic.reportText(done.segmentation)
    done.ui.copyMethodsButton.click()
    assert application.copied == done.panel.logic.methodsText(done.segmentation)


def test_without_lungs_nothing_can_be_asked_for(panel):
    names = ("numbers", "histogram", "copyReport", "copyMethods")
    assert not any(getattr(panel.ui, f"{name}Button").enabled for name in names)
    assert not panel.ui.aerationCheckBox.enabled

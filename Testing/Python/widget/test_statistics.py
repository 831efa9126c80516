"""Lung densitometry in Slicer's Segment Statistics, for any segmentation."""

import sys

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import small_chest
from host import statistics
from S3NetSegmentationLib.lung.densitometry import OWN_SCHEME, QUANTITIES, THIRDS
from slicer_scene import add_transform, add_volume, rigid

PLUGIN = "LungDensitometrySegmentStatisticsPlugin"
SLICERS_OWN = "ScalarVolumeSegmentStatisticsPlugin"


@pytest.fixture
def logic(panel, monkeypatch):
    """Makes the logic of Segment Statistics after Slicer has started."""
    statistics.install(monkeypatch)
    sys.modules["S3NetSegmentation"].registerStatistics()
    from SegmentStatistics import SegmentStatisticsLogic

    return SegmentStatisticsLogic


def segmentation_of(volume, masks):
    """Someone else's segmentation, with these segments on the voxels of a volume."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "lobes")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    for name, mask in masks.items():
        node.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, name, volume)
    return node


def measured(logic, segmentation, volume, request=()):
    """What Segment Statistics computes: the values, and what is known of them."""
    made = logic()
    node = made.getParameterNode()
    node.SetParameter("Segmentation", segmentation.GetID())
    node.SetParameter("ScalarVolume", volume.GetID())
    for key in request:
        node.SetParameter(f"{PLUGIN}.{key}.enabled", "True")
    made.computeStatistics()
    return made.getStatistics()


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed", "sagittal storage"])
@pytest.mark.parametrize("isMoved", [False, True])
def test_any_segment_is_measured_voxel_by_voxel(logic, geometry, isMoved):
    chest = small_chest(geometry)
    volume = add_volume(chest.image)
    if isMoved:
        transform = add_transform(rigid(0, 25, (10, -20, 30)))
        volume.SetAndObserveTransformNodeID(transform.GetID())
    lungs, hounsfield = map(sitk.GetArrayViewFromImage, (chest.lungs, chest.image))
    masks = {"mine": lungs == 2, "tissue": (hounsfield > 0) & (hounsfield < 100)}
    segmentation = segmentation_of(volume, masks)
    found = measured(logic, segmentation, volume)
    voxel_ml = np.prod(chest.image.GetSpacing()) / 1000
    for name, mask in masks.items():
        values = hounsfield[mask].astype(float)
        expected = {
            "volume_ml": values.size * voxel_ml,
            "mass_g": (1 + values / 1000).sum() * voxel_ml,
            "mean_hu": values.mean(),
            "sd_hu": values.std(),
            "laa856_percent": 100 * (values < -856).mean(),
            "nonaerated_volume_percent": 100 * ((values >= -100) & (values <= 100)).mean(),
        }
        for key, value in expected.items():
            assert found[name, f"{PLUGIN}.{key}"] == pytest.approx(value, rel=1e-9), key
        if statistics.IS_REAL:
            own = {key: found[name, f"{SLICERS_OWN}.{key}"] for key in ("volume_cm3", "mean")}
            assert own["volume_cm3"] == pytest.approx(expected["volume_ml"], rel=1e-6)
            assert own["mean"] == pytest.approx(expected["mean_hu"], rel=1e-9)
            deviation = found[name, f"{SLICERS_OWN}.stdev"]
            assert deviation == pytest.approx(expected["sd_hu"], rel=1e-3)


def test_thirds_are_measured_on_request(logic):
    chest = small_chest()
    volume = add_volume(chest.image)
    segmentation = segmentation_of(volume, {"lung": sitk.GetArrayViewFromImage(chest.lungs) == 1})
    found = measured(logic, segmentation, volume)
    assert ("lung", f"{PLUGIN}.upper_mass_g") not in found
    found = measured(logic, segmentation, volume, [f"{third}_mass_g" for third in THIRDS])
    thirds = [found["lung", f"{PLUGIN}.{third}_mass_g"] for third in THIRDS]
    assert sum(thirds) == pytest.approx(found["lung", f"{PLUGIN}.mass_g"])
    info = found["MeasurementInfo"][f"{PLUGIN}.upper_mass_g"]
    assert info["title"] == "Mass, upper third"
    assert f"CodingSchemeDesignator:{OWN_SCHEME}" in info["DICOM.QuantityCode"]


def test_a_segmentation_on_other_voxels_and_under_another_transform(logic):
    """As of TotalSegmentator, which may work on voxels of 1.5 mm."""
    chest = small_chest()
    volume = add_volume(chest.image)
    fine = sitk.Expand(chest.lungs, (2, 2, 2), sitk.sitkNearestNeighbor)
    other = add_volume(fine, "fine")
    segmentation = segmentation_of(other, {"lung": sitk.GetArrayViewFromImage(fine) == 1})
    matrix = rigid(0, 0, (200, 0, 0))
    volume.SetAndObserveTransformNodeID(add_transform(matrix).GetID())
    segmentation.SetAndObserveTransformNodeID(add_transform(matrix).GetID())
    found = measured(logic, segmentation, volume)
    inside = sitk.GetArrayViewFromImage(chest.lungs) == 1
    milliliters = inside.sum() * np.prod(chest.image.GetSpacing()) / 1000
    assert found["lung", f"{PLUGIN}.volume_ml"] == pytest.approx(milliliters)


def test_every_measurement_can_go_into_a_structured_report(logic):
    """QuantitativeReporting takes quantity and unit of each from its codes."""
    chest = small_chest()
    volume = add_volume(chest.image)
    segmentation = segmentation_of(volume, {"lung": sitk.GetArrayViewFromImage(chest.lungs) == 1})
    infos = measured(logic, segmentation, volume)["MeasurementInfo"]
    ours = {key: info for key, info in infos.items() if key.startswith(PLUGIN)}
    assert [key.split(".")[1] for key in ours] == [each.key for each in QUANTITIES]
    for info in ours.values():
        assert all(info[each] for each in ("name", "title", "description", "units"))
        for kind in ("Quantity", "Units"):
            entry = slicer.vtkCodedEntry()
            assert entry.SetFromString(info[f"DICOM.{kind}Code"])
            assert entry.GetCodeValue()
            assert entry.GetCodingSchemeDesignator()
    assert "CodeValue:373098007" in ours[f"{PLUGIN}.mean_hu"]["DICOM.DerivationCode"]


def test_what_is_no_ct_gets_no_numbers_and_what_is_empty_no_intensities(logic):
    chest = small_chest()
    volume = add_volume(chest.image)
    lungs = sitk.GetArrayViewFromImage(chest.lungs)
    segmentation = segmentation_of(volume, {"lung": lungs == 1, "empty": lungs == 3})
    found = measured(logic, segmentation, volume)
    empty = {key[1]: found[key] for key in found if key[0] == "empty" and PLUGIN in key[1]}
    assert empty == {f"{PLUGIN}.volume_ml": 0, f"{PLUGIN}.mass_g": 0}
    magnetic = add_volume(sitk.Abs(chest.image), "MR")
    found = measured(logic, segmentation, magnetic)
    assert not [key for key in found if PLUGIN in key[1]]


def test_slicer_without_segment_statistics_starts_all_the_same(panel, monkeypatch):
    for name in statistics.NAMES:
        monkeypatch.setitem(sys.modules, name, None)
    sys.modules["S3NetSegmentation"].registerStatistics()

"""The phantom is what the other tests take it for."""

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from scipy import ndimage


def volumes_ml(found):
    voxel = np.prod(found.lungs.GetSpacing()) / 1000
    return np.bincount(sitk.GetArrayFromImage(found.lungs).ravel(), minlength=3)[1:] * voxel


@pytest.mark.parametrize("name", phantom.GEOMETRIES)
def test_every_geometry_shows_the_same_anatomy(name):
    found = phantom.thorax(**phantom.GEOMETRIES[name])
    np.testing.assert_allclose(volumes_ml(found), 1990, rtol=0.01)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(found.lungs)
    right, left = (np.array(statistics.GetCentroid(label)) for label in (1, 2))
    np.testing.assert_allclose(right * (-1, 1, 1), left, atol=1.0)
    assert left[0] > 60


def test_geometries_include_a_left_handed_and_an_oblique_one():
    determinants = [
        np.linalg.det(np.reshape(geometry.get("direction", phantom.IDENTITY), (3, 3)))
        for geometry in phantom.GEOMETRIES.values()
    ]
    assert {round(value) for value in determinants} == {-1, 1}
    oblique = np.abs(phantom.GEOMETRIES["oblique"]["direction"])
    assert 0.1 < np.sort(oblique)[-4] < 0.9


def test_lungs_touch_only_when_asked_to():
    for touching, pieces in ((False, 2), (True, 1)):
        lungs = sitk.GetArrayFromImage(phantom.thorax(touching=touching).lungs) > 0
        assert ndimage.label(lungs)[1] == pieces


def test_a_missing_lung_is_tissue():
    found = phantom.thorax(lungs="right")
    assert volumes_ml(found)[1] == 0
    other = sitk.GetArrayFromImage(phantom.thorax().lungs) == 2
    assert np.median(sitk.GetArrayFromImage(found.image)[other]) == pytest.approx(40, abs=5)

"""The scene that the other tests stand on."""

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import slicer
from S3NetSegmentationLib.mrml import transaction
from S3NetSegmentationLib.mrml.volume import imageFromVolume, voxelBox
from slicer_scene import add_volume


@pytest.mark.parametrize("name", phantom.GEOMETRIES)
def test_an_image_goes_into_the_scene_and_back_unchanged(scene, name):
    image = phantom.thorax(**phantom.GEOMETRIES[name]).image
    node = add_volume(image)
    again = imageFromVolume(node, voxelBox(node))
    assert (sitk.GetArrayFromImage(again) == sitk.GetArrayFromImage(image)).all()
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(again, what)(), getattr(image, what)(), atol=1e-6)
    assert again.GetPixelID() == image.GetPixelID()


def test_a_fresh_scene_holds_nothing_of_the_last_one(application, scene):
    add_volume(phantom.thorax().image)
    first = slicer.mrmlScene
    application.close_scene()
    second = application.fresh_scene()
    assert second is not first
    assert second.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_the_copies_for_a_rollback_do_not_stay_in_memory(scene):
    copy = transaction._copy(add_volume(phantom.thorax().image))
    assert copy.GetImageData().GetNumberOfPoints()
    assert copy.GetReferenceCount() == 1, "Python's own"

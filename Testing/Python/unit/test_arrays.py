"""Arrays and tensors of each other, also where torch does not know this numpy."""

from dataclasses import replace

import numpy as np
import phantom
import pytest
import torch
from quick import QUICK, SMALL_NETWORK
from S3NetSegmentationLib import PictureSettings, segment_lungs, segment_picture
from S3NetSegmentationLib.s3net.hardware.arrays import to_array, to_tensor


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64])
def test_there_and_back_nothing_is_copied(kind):
    array = np.arange(24, dtype=kind).reshape(2, 3, 4).swapaxes(0, 1)
    tensor = to_tensor(array)
    assert tensor.tolist() == array.tolist()
    array[1, 0, 2] = 7
    assert tensor[1, 0, 2] == 7
    assert np.shares_memory(to_array(tensor), array)


def test_predictions_become_arrays():
    with torch.inference_mode():
        scores = torch.ones(2, 3)[:, [0, 2]].half()
    assert (to_array(scores) == 1).all()


@pytest.fixture
def old_torch(monkeypatch):
    """Torch 2.2, the newest for Intel Macs, beside numpy 2."""

    def refuse(*arguments, **options):
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch, "from_numpy", refuse)
    for name in ("numpy", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)


@pytest.mark.parametrize("mode", ["volume", "slice"])
def test_scans_need_no_numpy_of_torch(old_torch, mode):
    image = phantom.thorax(spacing=(8, 7, 40), size=(52, 40, 6)).image
    assert segment_lungs(image, replace(QUICK, mode=mode)).lungs_found


def test_pictures_need_no_numpy_of_torch(old_torch):
    picture = np.full((48, 48, 3), 200, np.uint8)
    picture[16:32, 16:32] = 40
    settings = PictureSettings(**SMALL_NETWORK, iterations=8, fits=1)
    assert segment_picture(picture, settings).mask.any()

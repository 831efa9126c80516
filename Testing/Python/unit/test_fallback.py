"""Where a GPU cannot do the work: it goes on, the result is right, and the user is told."""

from dataclasses import replace
from importlib import import_module

import phantom
import pytest
import SimpleITK as sitk
import torch
import torchvision
from quick import QUICK
from S3NetSegmentationLib import pipeline, segment_lungs
from S3NetSegmentationLib.s3net.hardware.device import Device
from S3NetSegmentationLib.s3net.hardware.fallback import (
    AFTER_A_FAILURE,
    NOT_ON_THIS_GPU,
    ON_THE_CPU,
    SMALLER_BATCHES,
)
from torch import nn

FEW_ITERATIONS = replace(QUICK, iterations=8)


FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

LACKING = NotImplementedError(
    "Could not run 'torchvision::deform_conv2d' with arguments from the 'CUDA' backend."
)

TOO_OLD = RuntimeError("CUDA error: no kernel image is available for execution on the device")
"""What torch raises on a GPU for which it was not built."""

MISTAKES = {
    "module of ours that is missing": lambda: import_module("S3NetSegmentationLib.s3net.nothing"),
    "unfinished layer": lambda: nn.Module()(torch.zeros(1)),
    "wrong argument of torchvision": lambda: torchvision.ops.deform_conv2d(
        *[torch.zeros(1, 18, 3, 3)] * 3, mask=0
    ),
}
"""Faults of the program that look like something that the GPU lacks."""

UNUSABLE = {
    "lacks an operator": (LACKING, NOT_ON_THIS_GPU),
    "too old for torch": (TOO_OLD, NOT_ON_THIS_GPU),
    "too old for cuDNN": (
        RuntimeError("GET was unable to find an engine to execute this computation"),
        NOT_ON_THIS_GPU,
    ),
    "without torchvision": (
        ModuleNotFoundError("No module named 'torchvision'", name="torchvision"),
        NOT_ON_THIS_GPU,
    ),
    "torchvision for another torch": (
        RuntimeError("operator torchvision::nms does not exist"),
        NOT_ON_THIS_GPU,
    ),
    "torchvision that cannot load its operators": (
        RuntimeError("Couldn't load custom C++ ops. This can happen if your PyTorch and ..."),
        NOT_ON_THIS_GPU,
    ),
    "torchvision for another CUDA": (
        RuntimeError(
            "Detected that PyTorch and torchvision were compiled with different CUDA versions."
        ),
        NOT_ON_THIS_GPU,
    ),
    "driver started anew by Windows": (
        RuntimeError("CUDA error: the launch timed out and was terminated"),
        AFTER_A_FAILURE,
    ),
    "taken": (
        RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
        AFTER_A_FAILURE,
    ),
    "driver too old": (
        RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
        AFTER_A_FAILURE,
    ),
}


class SmallGpu(Device):
    """The CPU in the role of a GPU that has room for some images, or for none."""

    def __init__(self, error=FULL, room=100, name="cuda"):
        super().__init__(name)
        self.room = room
        self.latest = 0
        self._error = error

    def place(self, tensor):
        if len(tensor) > self.room:
            raise self._error
        self.latest = len(tensor)
        return tensor

    def usable_bytes(self):
        return 2**33


@pytest.fixture
def use(monkeypatch):
    """Lets the work begin on a device."""

    def begin_on(device):
        monkeypatch.setattr(pipeline, "resolve_device", lambda *wanted: device)
        return device

    return begin_on


@pytest.fixture(scope="module")
def chest():
    image = phantom.thorax(spacing=(6, 5, 8), size=(70, 54, 38)).image
    return image, segment_lungs(image, FEW_ITERATIONS)


def check_same(result, expected):
    for name in ("lungs", "tissues"):
        found, right = (sitk.GetArrayFromImage(getattr(r, name)) for r in (result, expected))
        assert (found == right).mean() > 0.999
    assert result.lungs_found


def test_with_room_there_is_nothing_to_tell(chest, use):
    gpu = use(SmallGpu())
    result = segment_lungs(chest[0], FEW_ITERATIONS)
    assert gpu.latest == 2  # the 38 slices in fours, and the rest
    assert result.warnings == ()


@pytest.mark.parametrize("room", [3, 1])
def test_predictions_go_on_in_smaller_batches(chest, use, room):
    gpu = use(SmallGpu())

    def another_program_takes_memory(progress):
        if progress.stage == "Clustering":
            gpu.room = room

    result = segment_lungs(chest[0], FEW_ITERATIONS, on_progress=another_program_takes_memory)
    check_same(result, chest[1])
    assert gpu.latest <= room
    assert result.warnings == (SMALLER_BATCHES,)


@pytest.mark.parametrize("error", [FULL, RuntimeError(str(FULL))])
def test_predictions_go_on_on_the_cpu_where_no_slice_fits(chest, use, error):
    gpu = use(SmallGpu(error))

    def another_program_takes_all(progress):
        if progress.stage == "Clustering" and progress.done > 8:
            gpu.room = 0

    result = segment_lungs(chest[0], FEW_ITERATIONS, on_progress=another_program_takes_all)
    check_same(result, chest[1])
    assert result.warnings == (ON_THE_CPU,)


@pytest.fixture(scope="module", params=["volume", "slice"])
def six_slices(request):
    settings = replace(FEW_ITERATIONS, mode=request.param, fitted_slices=3)
    image = phantom.thorax(spacing=(6, 5, 40), size=(70, 54, 6)).image
    return image, settings, segment_lungs(image, settings)


def test_a_fit_goes_on_on_the_cpu_with_all_its_slices(six_slices, use):
    image, settings, expected = six_slices
    use(SmallGpu(room=0))
    result = segment_lungs(image, settings)
    check_same(result, expected)
    assert result.warnings == (ON_THE_CPU, *expected.warnings)


@pytest.mark.parametrize(("error", "warning"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_gpu_that_torch_cannot_use_leaves_the_work_to_the_cpu(six_slices, use, error, warning):
    image, settings, expected = six_slices
    use(SmallGpu(error, room=0))
    result = segment_lungs(image, settings)
    check_same(result, expected)
    assert result.warnings == (warning, *expected.warnings)


@pytest.mark.parametrize("error", [LACKING, TOO_OLD])
def test_only_predictions_fail_on_the_gpu(chest, use, error):
    gpu = use(SmallGpu(error))

    def from_now_on(progress):
        if progress.stage == "Clustering":
            gpu.room = 0

    result = segment_lungs(chest[0], FEW_ITERATIONS, on_progress=from_now_on)
    check_same(result, chest[1])
    assert result.warnings == (NOT_ON_THIS_GPU,)


def test_other_errors_are_not_taken_for_a_full_memory(chest, use):
    use(SmallGpu(RuntimeError("a kernel failed"), room=0))
    with pytest.raises(RuntimeError, match="a kernel failed"):
        segment_lungs(chest[0], FEW_ITERATIONS)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_fault_of_the_program_is_not_hidden_by_going_on_on_the_cpu(chest, use, mistake):
    with pytest.raises((ImportError, RuntimeError)) as made:
        mistake()
    use(SmallGpu(made.value, room=0))
    with pytest.raises(made.type) as surfaced:
        segment_lungs(chest[0], FEW_ITERATIONS)
    assert surfaced.value is made.value


def test_the_cpu_has_nothing_to_fall_back_to(chest, use):
    use(SmallGpu(room=0, name="cpu"))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        segment_lungs(chest[0], FEW_ITERATIONS)

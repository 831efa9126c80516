"""Where a GPU cannot do the work: it goes on, the result is right, and the user is told."""

from dataclasses import replace

import phantom
import pytest
import SimpleITK as sitk
import torch
from S3NetSegmentationLib import Settings, pipeline, segment_lungs
from S3NetSegmentationLib.s3net import many, processor
from S3NetSegmentationLib.s3net.network import AttentionBlock, S3Net
from S3NetSegmentationLib.s3net.processor import (
    AFTER_A_FAILURE,
    NOT_ON_THIS_GPU,
    ON_THE_CPU,
    SMALLER_BATCHES,
)

QUICK = Settings(
    device="cpu", working_size=64, channels=8, clusters=8, fitted_slices=4, iterations=8
)


FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

LACKING = NotImplementedError("The operator 'aten::grid_sampler_2d_backward' is not implemented.")

TOO_OLD = RuntimeError("CUDA error: no kernel image is available for execution on the device")
"""What torch raises on a GPU for which it was not built."""

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


class SmallGpu:
    """The CPU in the role of a GPU that has room for some slices, or for none."""

    def __init__(self, monkeypatch, error=FULL):
        self.room = 100
        self.most = 0
        self._in_use = False
        self._error = error
        monkeypatch.setattr(pipeline, "resolve_device", lambda name: torch.device("cuda"))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**33, 2**33))
        for module in (processor, many):
            monkeypatch.setattr(module, "to_device", self._send)
        monkeypatch.setattr(S3Net, "to", self._move(S3Net.to))
        monkeypatch.setattr(AttentionBlock, "forward", self._forward(AttentionBlock.forward))

    def _send(self, images, device):
        self._in_use = device.type == "cuda"
        return images

    def _move(self, to):
        def move(network, *arguments, **options):
            on_cpu = ["cpu" if isinstance(each, torch.device) else each for each in arguments]
            return to(network, *on_cpu, **options)

        return move

    def _forward(self, forward):
        def limited(block, features):
            if self._in_use:
                if len(features) > self.room:
                    raise self._error
                self.most = len(features)
            return forward(block, features)

        return limited


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine the threads of a tiny network wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def chest():
    image = phantom.thorax(spacing=(6, 5, 8), size=(70, 54, 38)).image
    return image, segment_lungs(image, QUICK)


def check_same(result, expected):
    for name in ("lungs", "clusters"):
        found, right = (sitk.GetArrayFromImage(getattr(r, name)) for r in (result, expected))
        assert (found == right).mean() > 0.999
    assert result.lungs_found


def test_with_room_there_is_nothing_to_tell(chest, monkeypatch):
    gpu = SmallGpu(monkeypatch)
    result = segment_lungs(chest[0], QUICK)
    assert gpu.most == 2  # the 38 slices in fours, and the rest
    assert result.warnings == ()


@pytest.mark.parametrize("room", [3, 1])
def test_predictions_go_on_in_smaller_batches(chest, monkeypatch, room):
    gpu = SmallGpu(monkeypatch)

    def another_program_takes_memory(progress):
        if progress.stage == "Clustering":
            gpu.room = room

    result = segment_lungs(chest[0], QUICK, on_progress=another_program_takes_memory)
    check_same(result, chest[1])
    assert gpu.most <= room
    assert result.warnings == (SMALLER_BATCHES,)


@pytest.mark.parametrize("error", [FULL, RuntimeError(str(FULL))])
def test_predictions_go_on_on_the_cpu_where_no_slice_fits(chest, monkeypatch, error):
    gpu = SmallGpu(monkeypatch, error)

    def another_program_takes_all(progress):
        if progress.stage == "Clustering" and progress.done > 8:
            gpu.room = 0

    result = segment_lungs(chest[0], QUICK, on_progress=another_program_takes_all)
    check_same(result, chest[1])
    assert result.warnings == (ON_THE_CPU,)


@pytest.mark.parametrize("mode", ["volume", "slice"])
def test_a_fit_goes_on_on_the_cpu_with_all_its_slices(monkeypatch, mode):
    settings = replace(QUICK, mode=mode, fitted_slices=3)
    image = phantom.thorax(spacing=(6, 5, 40), size=(70, 54, 6)).image
    expected = segment_lungs(image, settings)
    SmallGpu(monkeypatch).room = 0
    result = segment_lungs(image, settings)
    check_same(result, expected)
    assert result.warnings == (ON_THE_CPU, *expected.warnings)


@pytest.mark.parametrize("mode", ["volume", "slice"])
@pytest.mark.parametrize(("error", "warning"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_gpu_that_torch_cannot_use_leaves_the_work_to_the_cpu(monkeypatch, error, warning, mode):
    settings = replace(QUICK, mode=mode, fitted_slices=3)
    image = phantom.thorax(spacing=(6, 5, 40), size=(70, 54, 6)).image
    expected = segment_lungs(image, settings)
    SmallGpu(monkeypatch, error).room = 0
    result = segment_lungs(image, settings)
    check_same(result, expected)
    assert result.warnings == (warning, *expected.warnings)


@pytest.mark.parametrize("error", [LACKING, TOO_OLD])
def test_only_predictions_fail_on_the_gpu(chest, monkeypatch, error):
    gpu = SmallGpu(monkeypatch, error)

    def from_now_on(progress):
        if progress.stage == "Clustering":
            gpu.room = 0

    result = segment_lungs(chest[0], QUICK, on_progress=from_now_on)
    check_same(result, chest[1])
    assert result.warnings == (NOT_ON_THIS_GPU,)


def test_other_errors_are_not_taken_for_a_full_memory(chest, monkeypatch):
    gpu = SmallGpu(monkeypatch, RuntimeError("a kernel failed"))
    gpu.room = 0
    with pytest.raises(RuntimeError, match="a kernel failed"):
        segment_lungs(chest[0], QUICK)


def test_the_cpu_has_nothing_to_fall_back_to(chest, monkeypatch):
    def full(block, features):
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(AttentionBlock, "forward", full)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        segment_lungs(chest[0], QUICK)

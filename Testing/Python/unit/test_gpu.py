"""What runs on a GPU: without one, on tensors that have a device and a shape, but no values."""

from dataclasses import replace

import phantom
import pytest
import torch
import torchvision
from S3NetSegmentationLib import segment_lungs
from S3NetSegmentationLib.evaluation.overlap import dice
from S3NetSegmentationLib.s3net import losses
from S3NetSegmentationLib.s3net.ensemble import extract_network
from S3NetSegmentationLib.s3net.explained_variance import best_split_explains
from S3NetSegmentationLib.s3net.fast.cuda_graph import WARM_UP, graphed, operators_follow_streams
from S3NetSegmentationLib.s3net.fit import predict
from S3NetSegmentationLib.s3net.fit_step import FitState, settle_batch_statistics
from S3NetSegmentationLib.s3net.network import S3Net
from S3NetSegmentationLib.settings import Settings
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

TINY = Settings(channels=4, clusters=5)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")


@pytest.fixture
def gpu(monkeypatch):
    """Tensors of the device cuda; to ask for a value, or to mix devices, is an error."""
    # Modules move their parameters in place, which these can't.
    monkeypatch.setattr(S3Net, "to", _moved)
    losses._sobel_differences.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True):
        try:
            torch.ones(1).to("cuda:0")
        except RuntimeError as error:  # torch 2.2
            pytest.skip(f"this torch makes no value-less CUDA tensors without a GPU: {error}")
        yield torch.device("cuda:0")
    losses._sobel_differences.cache_clear()


def _moved(network: S3Net, *device_and_dtype, **memory_format) -> S3Net:
    for module in network.modules():
        for name, value in module._parameters.items():
            moved = value.detach().to(*device_and_dtype, **memory_format)
            module._parameters[name] = nn.Parameter(moved)
        for name, value in module._buffers.items():
            dtype = device_and_dtype[1:] if value.is_floating_point() else ()
            module._buffers[name] = value.to(*device_and_dtype[:1], *dtype)
    return network


@pytest.mark.parametrize("networks", [1, 3])
def test_an_iteration_stays_on_the_gpu_and_never_waits_for_it(gpu, monkeypatch, networks):
    # The engine of gradients asks for a driver.
    monkeypatch.setattr(FitState, "backward", lambda state, losses: None)
    stacks = torch.rand(networks, 2, 1, 40, 36, device=gpu)
    state = FitState(stacks, TINY, 0)
    for _ in range(3):
        state.iterate()
    labels, loss = state.forward(state.transform)
    best = state.best
    assert labels.device == loss.device == best.settled.device == best.iteration.device == gpu
    assert labels.shape == (networks, 2, 40, 36)
    assert loss.shape == best.settled.shape == (networks,)
    best.restore(state.network)


def test_what_precedes_and_follows_the_iterations_stays_on_the_gpu(gpu):
    stacks = torch.rand(3, 2, 1, 40, 36, device=gpu)
    assert best_split_explains(stacks).device == gpu
    state = FitState(stacks, TINY, 0)
    settle_batch_statistics(state.network, state.images)
    for index in range(3):
        network = extract_network(state.network, stacks, index, TINY)
        scores = predict(network, stacks[0])
        assert scores.device == gpu
        assert scores.shape == (2, TINY.clusters, 40, 36)


def test_a_mistake_would_be_seen(gpu):
    with pytest.raises(Exception, match="device"):
        torch.ones(2, device=gpu) + torch.ones(2)
    with pytest.raises(DataDependentOutputException):
        bool(torch.ones(2, device=gpu).all())


@pytest.mark.parametrize("version", ["0.17.2+cu121", "0.28.0"])
def test_nothing_is_recorded_that_torchvision_does_on_another_stream(monkeypatch, version):
    monkeypatch.setattr(torchvision, "__version__", version)
    done = []
    with graphed(lambda: done.append(1), torch.device("cuda:0")) as iterate:
        for _ in range(WARM_UP + 2):
            iterate()
    assert len(done) == WARM_UP + 2


@pytest.mark.parametrize("version", ["0.29.0", "0.29.1+cu130", "0.30.0a0+1234567", "1.0.0"])
def test_torchvision_from_0_29_on_may_be_recorded(monkeypatch, version):
    monkeypatch.setattr(torchvision, "__version__", version)
    assert operators_follow_streams()


@needs_gpu
@pytest.mark.parametrize("mode", ["volume", "slice"])
def test_the_lungs_are_those_of_the_cpu(mode):
    image = phantom.thorax(spacing=(4, 4, 12), size=(100, 80, 24)).image
    settings = Settings(mode=mode, channels=16, clusters=16)
    on_gpu, on_cpu = (
        segment_lungs(image, replace(settings, device=device)) for device in ("cuda", "cpu")
    )
    assert on_gpu.warnings == on_cpu.warnings
    assert dice(on_gpu.lung_array > 0, on_cpu.lung_array > 0) > 0.99


@needs_gpu
@pytest.mark.skipif(not operators_follow_streams(), reason="torchvision can't be recorded")
def test_an_iteration_that_the_gpu_repeats_by_itself_is_the_same():
    stacks = torch.rand(3, 2, 1, 40, 36, device="cuda")
    anew, repeating = (FitState(stacks, TINY, 0) for _ in range(2))
    by_hand = []
    with graphed(lambda: by_hand.append(repeating.iterate()), stacks.device) as iterate:
        for _ in range(WARM_UP + 2):
            anew.iterate()
            iterate()
            torch.cuda.synchronize()
    assert len(by_hand) == WARM_UP + 1, "the last one is for the record"
    for name, value in repeating.network.state_dict().items():
        torch.testing.assert_close(value, anew.network.state_dict()[name], rtol=1e-2, atol=1e-3)
    assert repeating.best.iteration == WARM_UP + 2

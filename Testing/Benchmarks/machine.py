"""What this machine can do, and what one iteration asks of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch
from plain import DeformableConvolution
from published import PublishedNet
from record import load_average, processor
from torch import nn


def describe(device: torch.device) -> str:
    """Processor, cores, PyTorch and load in one line."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    return (
        f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"PyTorch {torch.__version__}, load {load_average()}"
    )


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of a piece of work, once."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peaks(device: torch.device) -> dict[str, float]:
    """Measured arithmetic of a large matrix product, and memory traffic of a large copy."""
    matrix = torch.randn(2048, 2048, device=device)
    block = torch.randn(2**26, device=device)
    target = torch.empty_like(block)
    product = min(seconds(lambda: matrix @ matrix, device) for _ in range(5))
    copy = min(seconds(lambda: target.copy_(block), device) for _ in range(5))
    return {"gflop/s": 2 * 2048**3 / product / 1e9, "gb/s": 2 * block.nbytes / copy / 1e9}


def demand(network: PublishedNet, image: torch.Tensor) -> dict[str, float]:
    """Arithmetic and memory traffic of one iteration, counted layer by layer.

    Each layer multiplies once forward and twice backward. It reads its input and writes its
    output forward, and backward it reads both and the gradient and writes one; the losses and
    the warp are left out, so that this is the least.
    """
    total = {"gflop": 0.0, "gb": 0.0}

    def count(module: nn.Module, inputs, output) -> None:
        if isinstance(module, DeformableConvolution):
            kernel = module.convolution.weight[0].numel()
            products = output.numel() * kernel + inputs[0].numel() * 9 * 4
        elif isinstance(module, nn.Conv2d):
            products = output.numel() * module.weight[0].numel()
        else:
            products = 2 * output.numel()
        total["gflop"] += 3 * 2 * products / 1e9
        total["gb"] += 3 * (inputs[0].nbytes + output.nbytes) / 1e9

    layers = (nn.Conv2d, nn.BatchNorm2d, DeformableConvolution)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, layers)]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    return total

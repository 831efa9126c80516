"""Between numpy, torch and a GPU.

numpy and torch share the memory by DLPack, because the newest torch for Intel Macs, and so for a
Slicer that was built for them, is 2.2, which finds numpy 2 "not available".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_tensor(array: np.ndarray) -> Tensor:
    """An array, which must be writable, as a tensor on the CPU."""
    return torch.from_dlpack(array)


def to_array(tensor: Tensor) -> np.ndarray:
    """A tensor without gradient, on any device, as an array to read from."""
    if not tensor.is_cuda:
        return np.from_dlpack(tensor.cpu())
    fetched = tensor.to("cpu", non_blocking=True)  # which torch does into page-locked memory
    torch.cuda.current_stream(tensor.device).synchronize()
    return np.from_dlpack(fetched)

"""What a process that does nothing but our work asks of its system; never Slicer itself."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of mallopt, from malloc.h."""

SPINS = 2000
"""How often a thread of GNU OpenMP looks whether its wait is over before it sleeps: long enough
for the next layer of a network, and about a hundredth of what it does by default."""


def prepare_process() -> None:
    """Be quick without a cost to others; call it before torch is loaded.

    Torch's threads spin while they wait for one another. Where other programs keep the cores
    busy, that takes the time that the awaited thread needs, and a fit takes several times as
    long.

    The C library of Linux gives large arrays back to the system as soon as they are freed. Each
    iteration of a fit then gets its memory anew, cleared page by page, which takes a tenth of
    its time.

    GPUs multiply many times faster where they may round the factors to 11 bits (TF32). Lungs come
    out the same: with factors rounded so on a CPU, Dice scores moved by 1e-5 at most.
    """
    os.environ.setdefault("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # glibc
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)

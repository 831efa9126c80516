"""What a process that does nothing but our work asks of its system; never Slicer itself."""

from __future__ import annotations

import contextlib
import ctypes
import locale
import os
import sys
from types import ModuleType

from ..errors import out_of_memory
from ..openmp import limit_spinning

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of mallopt, from malloc.h."""


def prepare_process() -> None:
    """Be quick without a cost to others; call it before torch is loaded. See `limit_spinning`, too.

    The C library of Linux gives large arrays back to the system as soon as they are freed. Each
    iteration of a fit then gets its memory anew, cleared page by page, which takes a tenth of
    its time.

    GPUs multiply many times faster where they may round the factors to 11 bits (TF32). Lungs come
    out the same: with factors rounded so on a CPU, Dice scores moved by 1e-5 at most.

    SimpleITK hands names of files to ITK in UTF-8, and ITK to the C library, which on Windows takes
    them for the local code page unless it is told: no file with an accent would be found.
    """
    if sys.platform == "win32":
        with contextlib.suppress(locale.Error):  # Windows before 2018
            locale.setlocale(locale.LC_CTYPE, ".UTF-8")
    os.environ.setdefault("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")
    limit_spinning()
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # glibc
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def load_torch() -> ModuleType:
    """Import torch, which takes seconds.

    Raises
    ------
    ImportError
        If it is not there or damaged.
    """
    try:
        import torch
    except (OSError, ImportError) as error:
        if out_of_memory(error):
            raise MemoryError from error
        if isinstance(error, ImportError):
            raise
        # A library of torch's; other errors of the system have to do with files of ours.
        raise ImportError(str(error), name="torch") from error
    return torch

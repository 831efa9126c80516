"""System settings for a process that only does our work; never used in Slicer itself."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import locale
import os
import sys
from collections.abc import Callable
from types import ModuleType

from ..errors import out_of_memory
from ..openmp import limit_spinning

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of mallopt, from malloc.h."""


def prepare_process() -> None:
    """Tune this process; call it before torch is loaded. See also `limit_spinning`.

    The C library of Linux returns large arrays to the system as soon as they are freed. Each
    iteration of a fit would then get new memory, cleared page by page, which takes a tenth of its
    time.

    GPUs multiply many times faster if they may round the factors to 11 bits (TF32). The lungs are
    the same: with such rounding on a CPU, Dice scores changed by 1e-5 at most.

    SimpleITK passes file names in UTF-8 through ITK to the C library. On Windows, the C library
    would read them in the local code page, and files with accents in their names would not be
    found.
    """
    if sys.platform == "win32":
        with contextlib.suppress(locale.Error):  # Windows before 2018
            locale.setlocale(locale.LC_CTYPE, ".UTF-8")
    os.environ.setdefault("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")
    limit_spinning()
    mallopt = _from_glibc("mallopt")
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_memory_back() -> None:
    """Return to the system what nobody uses any more, before this process waits for a task."""
    gc.collect()
    malloc_trim = _from_glibc("malloc_trim")
    if malloc_trim:
        malloc_trim(0)


def _from_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def load_torch() -> ModuleType:
    """Import torch, which takes seconds.

    Raises
    ------
    ImportError
        If it is missing or damaged.
    """
    try:
        import torch
    except (OSError, ImportError) as error:
        if out_of_memory(error):
            raise MemoryError from error
        if isinstance(error, ImportError):
            raise
        # A library of torch; other OSErrors concern our own files.
        raise ImportError(str(error), name="torch") from error
    return torch

"""What can go wrong for a user, each with one sentence that says what is wrong and what to do."""

import errno

PAGING_FILE_TOO_SMALL = 1455
"""How Windows says that memory ran out, for instance when torch loads its libraries."""


class S3NetError(Exception):
    """Base of every error whose message is meant for the user as it stands."""


class InputError(S3NetError):
    """The image, a path or a setting can't be used; nothing has been written."""


class LabelMapError(InputError):
    """The image is a label map, not a scan."""


class SeriesError(InputError):
    """Which series of a folder is wanted has to be said."""


class FitError(S3NetError):
    """The network could not be fitted to this image, also not with other seeds."""


class Cancelled(S3NetError):
    """The user asked to stop; nothing has been written."""

    def __init__(self, message: str = "Cancelled; nothing was written."):
        super().__init__(message)


NO_MEMORY = (
    "There is not enough memory for this scan; close other programs and volumes, limit the work to "
    "a box, or use a computer or a graphics card with more."
)

GPU_FAILED = "The GPU failed; update its driver, or choose the device cpu."


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, torch or ITK means that memory ran out, of CPU or GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, (OSError, ImportError)):
        code, winerror = getattr(error, "errno", None), getattr(error, "winerror", None)
        said = str(error).lower()  # of a library that can't be loaded, glibc only says
        return (
            code == errno.ENOMEM
            or winerror == PAGING_FILE_TOO_SMALL
            or "cannot allocate memory" in said
            or "failed to map segment" in said
        )
    return _message_contains(
        error,
        "out of memory",
        "not enough memory",
        "allocate memory",
        "bad_alloc",
        "bad alloc",
        "alloc_failed",
        "allocation_failed",
        "nvml_success",  # which torch takes for granted when it tells that memory ran out
    )


def failed_on_gpu(error: BaseException) -> bool:
    """Whether torch says that CUDA or one of its libraries failed."""
    return _message_contains(
        error,
        "cuda error",
        "cuda driver",
        "cuda unknown error",
        "cuda gpu",
        "nvidia driver",
        "hip error",
        "cudnn",
        "cublas",
    )


def lacks_support(error: BaseException) -> bool:
    """Whether torch or torchvision was not built for this GPU, or not for each other.

    Where the GPU is older or newer than those that this torch was built for, say.
    """
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] == "torchvision"
    return _message_contains(
        error,
        "kernel image",
        "arch_mismatch",
        "unable to find an engine",
        "from the 'cuda' backend",  # which an operator was not built for
        "operator torchvision::",  # does not exist
        "custom c++ ops",
        "compiled with different cuda",
    )


def fault_of_the_machine(error: BaseException) -> str | None:
    """What to tell the user of an error that is none of the program; None of any other."""
    if out_of_memory(error):
        return NO_MEMORY
    return GPU_FAILED if failed_on_gpu(error) else None


def _message_contains(error: BaseException, *signs: str) -> bool:
    """Whether it is of the type that torch and ITK raise for all that happens, and says one."""
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in said for sign in signs)

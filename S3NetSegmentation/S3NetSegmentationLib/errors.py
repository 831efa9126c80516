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


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, torch or ITK means that memory ran out, of CPU or GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        winerror = getattr(error, "winerror", None)
        return error.errno == errno.ENOMEM or winerror == PAGING_FILE_TOO_SMALL
    said = str(error).lower()
    signs = (
        "out of memory",
        "not enough memory",
        "allocate memory",
        "bad_alloc",
        "bad alloc",
        "alloc_failed",
    )
    return isinstance(error, RuntimeError) and any(sign in said for sign in signs)


def failed_on_gpu(error: RuntimeError) -> bool:
    """Whether torch says that CUDA or one of its libraries failed.

    Where the GPU is older or newer than those that this torch was built for, say.
    """
    signs = ("cuda error", "hip error", "cudnn", "cublas", "no kernel image")
    return any(sign in str(error).lower() for sign in signs)

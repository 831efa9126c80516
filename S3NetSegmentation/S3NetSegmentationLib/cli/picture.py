"""Pictures for the command ``s3net segment``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import InputError
from ..settings import PICTURE_PRESETS
from .common import (
    EXIT_NO_LUNGS,
    Writers,
    check_outputs,
    fail,
    interruptible,
    picture_settings,
    progress_bar,
    say,
    scan_settings,
    write_all,
    written,
)

if TYPE_CHECKING:
    import numpy as np

    from ..picture.result import PictureResult


def is_picture(arguments: argparse.Namespace) -> bool:
    """Whether the input is a picture, according to its name, the output's name, or the options."""
    from ..io.formats import MASK_SUFFIXES, PICTURE_SUFFIXES

    return (
        looks_for_region(arguments)
        or arguments.input.name.lower().endswith(PICTURE_SUFFIXES)
        or arguments.output.name.lower().endswith(MASK_SUFFIXES)
    )


def looks_for_region(arguments: argparse.Namespace) -> bool:
    """Whether to look for a region of a picture, such as a lesion, rather than lungs."""
    return arguments.choice is not None or arguments.preset in PICTURE_PRESETS


def segment_a_picture(arguments: argparse.Namespace) -> int:
    """Run ``s3net segment`` for a picture."""
    from ..io.formats import MASK_SUFFIXES
    from ..io.picture import read_picture
    from ..summary import picture_as_lines

    if arguments.series:
        raise InputError("Only a DICOM folder has several series; leave out --series.")
    check_outputs(arguments, MASK_SUFFIXES, MASK_SUFFIXES)
    with interruptible() as cancelled:
        picture = read_picture(arguments.input)
        result = _run(arguments, picture, cancelled)
        if not result.mask.any() and not arguments.allow_empty:
            return fail(
                "Nothing was found in this picture; nothing was written (--allow-empty writes an "
                "empty mask).",
                EXIT_NO_LUNGS,
            )
        write_all(_picture_writers(arguments, picture, result), cancelled)
    say(*picture_as_lines(result), *written(arguments))
    return 0 if result.mask.any() else EXIT_NO_LUNGS


def _run(
    arguments: argparse.Namespace, picture: np.ndarray, cancelled: Callable[[], bool]
) -> PictureResult:
    """Segment with a progress bar."""
    from ..picture.ct_slice import segment_ct_picture
    from ..picture.segment import segment_picture

    segment = (
        partial(segment_picture, settings=picture_settings(arguments))
        if looks_for_region(arguments)
        else partial(segment_ct_picture, settings=scan_settings(arguments))
    )
    with progress_bar() as on_progress:
        return segment(picture, at=arguments.at, on_progress=on_progress, is_cancelled=cancelled)


def _picture_writers(
    arguments: argparse.Namespace, picture: np.ndarray, result: PictureResult
) -> Writers:
    from ..io.picture import INSIDE, write_gray, write_outlined
    from ..io.write import write_json
    from ..summary import picture_as_dict

    return (
        (arguments.output, lambda path: write_gray(path, INSIDE * result.mask)),
        (arguments.clusters, lambda path: write_gray(path, result.clusters)),
        (arguments.overview, lambda path: write_outlined(path, picture, result.mask)),
        (arguments.json, lambda path: write_json(path, picture_as_dict(result))),
    )

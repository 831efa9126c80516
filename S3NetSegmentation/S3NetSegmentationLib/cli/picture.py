"""Pictures for the command ``s3net segment``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import InputError
from ..settings import Settings
from .common import (
    NO_LUNGS,
    Writers,
    check_outputs,
    fail,
    interruptible,
    progress_bar,
    write_all,
    written,
)

if TYPE_CHECKING:
    import numpy as np

    from ..picture.result import PictureResult


def is_picture(arguments: argparse.Namespace, settings: Settings) -> bool:
    """Whether the input is a single picture, by its name, the output's or what is looked for."""
    from ..io.picture import MASK_SUFFIXES, PICTURE_SUFFIXES

    return (
        settings.choice != "lung"
        or arguments.input.name.lower().endswith(PICTURE_SUFFIXES)
        or arguments.output.name.lower().endswith(MASK_SUFFIXES)
    )


def segment_a_picture(arguments: argparse.Namespace, settings: Settings) -> int:
    """``s3net segment`` of a picture."""
    from ..io.picture import MASK_SUFFIXES, read_picture
    from ..report import picture_as_lines

    if arguments.series:
        raise InputError("Only a DICOM folder has several series; leave out --series.")
    check_outputs(arguments, MASK_SUFFIXES, MASK_SUFFIXES)
    with interruptible() as cancelled:
        picture = read_picture(arguments.input)
        from ..picture.pipeline import segment_picture

        with progress_bar() as progress:
            result = segment_picture(
                picture, settings, at=arguments.at, on_progress=progress, is_cancelled=cancelled
            )
        if not result.mask.any() and not arguments.allow_empty:
            return fail(
                "Nothing was found in this picture; nothing was written (--allow-empty writes an "
                "empty mask).",
                NO_LUNGS,
            )
        write_all(_picture_writers(arguments, picture, result), cancelled)
    print(*picture_as_lines(result), *written(arguments), sep="\n")
    return 0 if result.mask.any() else NO_LUNGS


def _picture_writers(
    arguments: argparse.Namespace, picture: np.ndarray, result: PictureResult
) -> Writers:
    from ..io.picture import write_clusters, write_mask, write_outlined
    from ..io.write import write_json
    from ..report import picture_as_dict

    return (
        (arguments.output, lambda path: write_mask(path, result.mask)),
        (arguments.clusters, lambda path: write_clusters(path, result.clusters)),
        (arguments.overview, lambda path: write_outlined(path, picture, result.mask)),
        (arguments.json, lambda path: write_json(path, picture_as_dict(result))),
    )

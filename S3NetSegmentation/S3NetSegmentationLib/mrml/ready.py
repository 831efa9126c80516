"""Lungs that are ready to be written into the scene, with what is known of them. No node."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from ..lung.densitometry import Numbers, numbers_of
from ..lung.scan import packed
from ..result import LungResult
from .edits import Shapes, shapesIn, withEdits
from .measuring import regionsOf
from .volume import Frame, VoxelBox


@dataclass(frozen=True, eq=False)  # arrays can neither be compared nor hashed as a whole
class ReadyLungs:
    """Lungs on the voxels of a volume, and what costs time to know of them.

    Attributes
    ----------
    labels : ndarray of uint8, (k, j, i)
        1 right lung, 2 left lung.
    edits : ndarray of uint8, (k, j, i), or None
        What was changed by hand, from `editsSince`.
    decided, shapes : dict
        The shapes of the lungs before and after these changes.
    numbers : dict
        From `numbers_of`.
    picks : str
        The picks of the result as text.
    """

    labels: np.ndarray
    edits: np.ndarray | None
    decided: Shapes
    shapes: Shapes
    numbers: Numbers
    picks: str


def readyLungs(
    result: LungResult, box: VoxelBox, frame: Frame, edits: np.ndarray | None = None
) -> ReadyLungs:
    """Make the lungs of a result ready.

    Parameters
    ----------
    result : LungResult
        Of a part of a volume.
    box : VoxelBox
        That part.
    frame : Frame
        Of the volume.
    edits : ndarray of uint8, (k, j, i), optional
        From `editsSince`.
    """
    whole = box.paste(result.lung_array, frame.hounsfield.shape)
    labels = withEdits(whole, edits)
    decided = shapesIn(whole, frame)
    return ReadyLungs(
        labels=labels,
        edits=edits,
        decided=decided,
        shapes=decided if edits is None else shapesIn(labels, frame),
        numbers=numbers_of(regionsOf(labels, frame)),
        picks=json.dumps(packed(result.picks)),
    )

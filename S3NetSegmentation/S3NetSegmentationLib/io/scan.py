"""A scan as it was read: the volume and its warnings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk


@dataclass(frozen=True)
class ReadScan:
    """A volume read from files.

    Attributes
    ----------
    image : SimpleITK.Image
        Scalar, 3D, in Hounsfield units, in the files' storage order.
    warnings : tuple of str
        Sentences for the user about what was corrected or left out; shown with every result.
    files : tuple of Path
        The DICOM files it was read from; empty for other formats.
    """

    image: sitk.Image
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

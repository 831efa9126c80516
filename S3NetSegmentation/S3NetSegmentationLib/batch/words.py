"""Terms shared by the records, options, and reports of a batch."""

from ..io.formats import DICOM, NIFTI_GZ, SEG_NRRD

DONE, NO_LUNGS, FAILED, SKIPPED = "done", "no lungs", "failed", "skipped"
STATUSES = (DONE, NO_LUNGS, FAILED, SKIPPED)
"""Possible outcomes for a scan."""

SEGMENTATION, NIFTI, DICOM_SEG = SEG_NRRD, NIFTI_GZ, f".seg{DICOM}"
FORMATS = (SEGMENTATION, NIFTI, DICOM_SEG)
"""Formats of the lungs, by extension."""

NAME_BY = ("hash", "path", "series")
"""Ways to name the outputs of a scan."""

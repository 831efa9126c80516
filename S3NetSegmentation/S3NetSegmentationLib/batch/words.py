"""What records, options and reports of a batch call things."""

from ..io.formats import DICOM, NIFTI_GZ, SEG_NRRD

DONE, NO_LUNGS, FAILED, SKIPPED = "done", "no lungs", "failed", "skipped"
STATUSES = (DONE, NO_LUNGS, FAILED, SKIPPED)
"""How the work on a scan has ended."""

SEGMENTATION, NIFTI, DICOM_SEG = SEG_NRRD, NIFTI_GZ, f".seg{DICOM}"
FORMATS = (SEGMENTATION, NIFTI, DICOM_SEG)
"""Formats of the lungs, by the ends of their files' names."""

NAME_BY = ("hash", "path", "series")
"""What the outputs of a scan can be named by."""

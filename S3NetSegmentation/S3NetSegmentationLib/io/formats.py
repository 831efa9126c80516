"""File formats by the extensions of file names."""

SEG_NRRD = ".seg.nrrd"
"""Segmentation of 3D Slicer."""

NIFTI_GZ = ".nii.gz"

NRRD = ".nrrd"

MHA = ".mha"

DICOM = ".dcm"

NIFTI_SUFFIXES = (".nii", NIFTI_GZ)

NRRD_SUFFIXES = (NRRD, ".nhdr")

METAIMAGE_SUFFIXES = (MHA, ".mhd")

VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *NRRD_SUFFIXES, *METAIMAGE_SUFFIXES)

LABEL_MAP_SUFFIXES = (*NIFTI_SUFFIXES, NRRD, MHA)

SEGMENTATION_SUFFIXES = (SEG_NRRD, *LABEL_MAP_SUFFIXES)

PNG = ".png"

JPEG = ".jpg"

MASK_SUFFIXES = (PNG, ".tif", ".tiff")
"""Formats of pictures without lossy compression."""

PICTURE_SUFFIXES = (*MASK_SUFFIXES, JPEG, ".jpeg", ".bmp")

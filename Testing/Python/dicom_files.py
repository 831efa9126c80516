"""DICOM files as scanners and archives write them, made from known voxels; SEG read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

UPRIGHT = ((1, 0, 0), (0, 1, 0))
OBLIQUE = ((0.8, 0.6, 0), (-0.48, 0.64, -0.6))
PATIENT = "Doe^Jane"


def hounsfield(depth=6, rows=20, columns=24) -> np.ndarray:
    """Voxels that are all different, from -1000 HU."""
    values = np.arange(depth * rows * columns, dtype=np.int16) - 1000
    return values.reshape(depth, rows, columns)


def dataset(pixels: np.ndarray, series: str, number: int = 1) -> FileDataset:
    """A CT image of one or several frames without any geometry, stored as HU + 1000."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID = series
    image.StudyInstanceUID = generate_uid()
    image.SeriesNumber = number
    image.Modality = "CT"
    image.PatientName = PATIENT
    image.PatientID = "4711-secret"
    image.SeriesDescription = "of Jane Doe"
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape[-2:]
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1000
    image.PixelData = (pixels + 1000).astype("<u2").tobytes()
    return image


def save_dicom(image: Dataset, path: Path) -> None:
    """Write a file, with all that the standard asks of one, in its transfer syntax."""
    syntax = image.file_meta.TransferSyntaxUID
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    if pydicom.__version_info__[0] == "2":
        image.is_implicit_VR, image.is_little_endian = implicit, little
        image.save_as(path, write_like_original=False)
    elif little:
        image.save_as(path, enforce_file_format=True)
    else:
        pydicom.dcmwrite(
            path, image, implicit_vr=implicit, little_endian=False, force_encoding=True
        )


def write_series(
    folder: Path,
    voxels: np.ndarray,
    axes=UPRIGHT,
    step=None,
    series: str = "",
    number: int = 1,
    change=lambda index, image: None,
) -> list[Path]:
    """One file a slice, 0.5 x 0.7 mm (column, row) and 2.5 mm apart unless `step` says else."""
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid()
    step = 2.5 * np.cross(*axes) if step is None else np.array(step)
    paths = []
    for index, plane in enumerate(voxels):
        image = dataset(plane, series, number)
        image.PixelSpacing = [0.7, 0.5]
        image.SliceThickness = 2.5
        image.ImageOrientationPatient = [*axes[0], *axes[1]]
        image.ImagePositionPatient = [round(v, 6) for v in np.array([10, -20, 30]) + index * step]
        change(index, image)
        # Names in the opposite order of the positions: only the headers count.
        paths.append(folder / f"{series[-6:]}-{100 - index}")
        save_dicom(image, paths[-1])
    return paths


def enhanced(
    voxels: np.ndarray, order=None, axes=UPRIGHT, rescale=lambda index: (1, -1000)
) -> FileDataset:
    """All slices in one file, in any order, each with its slope and intercept."""
    order = list(range(len(voxels))) if order is None else order
    image = dataset(voxels[order], generate_uid())
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    image.NumberOfFrames = len(order)
    del image.RescaleSlope, image.RescaleIntercept
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.5], 2.5
    plane.ImageOrientationPatient = [*axes[0], *axes[1]]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [plane]
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        frame, position, scale = Dataset(), Dataset(), Dataset()
        place = np.array([10, -20, 30]) + 2.5 * index * np.cross(*axes)
        position.ImagePositionPatient = [round(v, 6) for v in place]
        frame.PlanePositionSequence = [position]
        scale.RescaleSlope, scale.RescaleIntercept = rescale(index)
        scale.RescaleType = "HU"
        frame.PixelValueTransformationSequence = [scale]
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    return image


def write_scan(folder: Path, image: sitk.Image, series: str = "", number: int = 1) -> list[Path]:
    """A volume as a series with all that a scanner writes; nothing is darker than -1000 HU."""
    voxels = np.maximum(sitk.GetArrayFromImage(image), -1000)
    axes = np.reshape(image.GetDirection(), (3, 3)).T
    spacing = image.GetSpacing()
    study, frame = generate_uid(), generate_uid()

    def change(index, slice_):
        slice_.PixelSpacing = [round(spacing[1], 6), round(spacing[0], 6)]
        slice_.SliceThickness = round(spacing[2], 6)
        place = np.array(image.GetOrigin()) + index * spacing[2] * axes[2]
        slice_.ImagePositionPatient = [round(v, 6) for v in place]
        slice_.StudyInstanceUID, slice_.FrameOfReferenceUID = study, frame
        slice_.InstanceNumber = index + 1
        slice_.StudyID = slice_.AccessionNumber = "1"
        slice_.StudyDate, slice_.StudyTime = "20260101", "120000"
        slice_.PatientBirthDate, slice_.PatientSex = "19500101", "O"
        slice_.ReferringPhysicianName = slice_.PositionReferenceIndicator = ""
        slice_.Manufacturer = "none"

    return write_series(folder, voxels, tuple(map(tuple, axes[:2])), None, series, number, change)


def read_dicom_seg(path: Path) -> sitk.Image:
    """The label map in a DICOM SEG, as highdicom reads it."""
    import highdicom

    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    image = sitk.GetImageFromArray(volume.array.astype(np.uint8))
    axes = volume.affine[:3, :3][:, ::-1]
    spacing = np.linalg.norm(axes, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes / spacing).ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image


def at_same_places(image: sitk.Image, other: sitk.Image) -> bool:
    """Whether every voxel of `other` that is not 0 is the same at its place in `image`."""
    grid = sitk.Resample(image, other, sitk.Transform(), sitk.sitkNearestNeighbor)
    return np.array_equal(sitk.GetArrayFromImage(grid), sitk.GetArrayFromImage(other))

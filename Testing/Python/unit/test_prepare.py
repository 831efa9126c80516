"""Public downloads become images that the benchmarks read, each voxel at its place.

The layouts are those of the publishers: Kaggle's kmader/finding-lungs-in-ct-data, PH2Dataset, the
archives rp_*.zip of MedSeg, and folders of patients as The Cancer Imaging Archive delivers them.
"""

from __future__ import annotations

import numpy as np
import prepare
import pytest
import SimpleITK as sitk
from cases import cases, chests
from dicom_files import save_dicom, write_scan
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

SIZE, SPACING = (48, 40, 6), (1.5, 2.0, 3.0)
MARKED_HU = -777
DIRECTIONS = {
    "upright": np.eye(3),
    "prone, feet first": np.diag([-1.0, -1.0, 1.0]),
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "oblique": np.array([[0.8, -0.48, -0.36], [0.6, 0.64, 0.48], [0, -0.6, 0.8]]),
}


def scan(direction=DIRECTIONS["upright"], marked=None) -> sitk.Image:
    """Soft tissue, and another value where it is marked."""
    voxels = np.full(SIZE[::-1], 40, np.int16)
    if marked is not None:
        voxels[marked] = MARKED_HU
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    image.SetOrigin((-30.0, 12.0, 7.0))
    image.SetDirection(np.ravel(direction).tolist())
    return image


def box() -> np.ndarray:
    """Voxels of a box, at even places so that averaging does not mix them with others."""
    marked = np.zeros(SIZE[::-1], bool)
    marked[1:4, 6:20, 10:30] = True
    return marked


def like(image: sitk.Image, marked: np.ndarray) -> sitk.Image:
    mask = sitk.GetImageFromArray(marked.astype(np.uint8))
    mask.CopyInformation(image)
    return mask


def halved(marked: np.ndarray) -> np.ndarray:
    depth, height, width = marked.shape
    return marked.reshape(depth, height // 2, 2, width // 2, 2).mean((2, 4)) >= 0.5


def structures(image: sitk.Image, contours: dict[str, list]) -> FileDataset:
    """An RTSTRUCT whose contours are given as lists of (x, y, z) in voxels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality = "RTSTRUCT"
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, lines) in enumerate(contours.items(), 1):
        region, drawn = Dataset(), Dataset()
        region.ROINumber = drawn.ReferencedROINumber = number
        region.ROIName = name
        drawn.ContourSequence = []
        for line in lines:
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(line)
            places = [image.TransformContinuousIndexToPhysicalPoint(point) for point in line]
            contour.ContourData = [f"{value:.4f}" for place in places for value in place]
            drawn.ContourSequence.append(contour)
        made.StructureSetROISequence.append(region)
        made.ROIContourSequence.append(drawn)
    return made


def rectangle(z: int, left: float, right: float, top: float, bottom: float) -> list:
    return [(left, top, z), (right, top, z), (right, bottom, z), (left, bottom, z)]


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_contours_of_lctsc_become_lungs_at_their_places(tmp_path, direction):
    marked = np.zeros(SIZE[::-1], bool)
    marked[1:4, 6:20, 4:16] = marked[2:5, 8:30, 28:44] = True
    marked[2, 12:20, 32:40] = False
    image = scan(direction, marked)
    patient = tmp_path / "LCTSC" / "LCTSC-Train-S1-001" / "11-16-2003-NA-RTRCCTTHORAX-40056"
    write_scan(patient / "0.000000-NA-29290", image)
    contours = {
        "Lung_L": [rectangle(z, 27.5, 43.5, 7.5, 29.5) for z in (2, 3, 4)],
        "Lung_R": [rectangle(z, 3.5, 15.5, 5.5, 19.5) for z in (1, 2, 3)],
        "Heart": [rectangle(2, 0, 47, 0, 39)],
    }
    contours["Lung_L"].append(rectangle(2, 31.5, 39.5, 11.5, 19.5))
    (patient / "1.000000-.simplified-62948").mkdir()
    file = structures(image, contours)
    save_dicom(file, patient / "1.000000-.simplified-62948" / "1-1.dcm")

    assert prepare.main(["lctsc", str(tmp_path), "--data", str(tmp_path / "data")]) == 0

    (case,) = chests(tmp_path / "data" / "diseased")
    assert case.name == "LCTSC-Train-S1-001"
    voxels = sitk.GetArrayFromImage(case.image)
    assert np.array_equal(case.truth, voxels == MARKED_HU)
    assert np.count_nonzero(case.truth) == np.count_nonzero(halved(marked))
    index = [int(i) for i in np.argwhere(case.truth)[0][::-1]]
    before = image.TransformPhysicalPointToContinuousIndex(
        case.image.TransformIndexToPhysicalPoint(index)
    )
    assert marked[tuple(int(round(i + 0.01)) for i in before[::-1])]


def test_pixels_are_in_a_contour_by_their_centers():
    triangle = np.array([(1.0, 1.0), (9.0, 1.0), (1.0, 9.0)])
    y, x = np.mgrid[:12, :12]
    inside = prepare.polygon(triangle + 0.25, (12, 12))
    assert np.array_equal(inside, (x > 1.25) & (y > 1.25) & (x + y < 10.5))


def test_masks_of_medseg_lie_where_their_own_headers_say(tmp_path):
    marked = box()
    infected = marked.copy()
    infected[:, :, :20] = False
    image = scan(marked=marked)
    for folder, volume in (
        ("rp_im", sitk.Cast(image, sitk.sitkFloat64)),
        ("rp_lung_msk", sitk.DICOMOrient(like(image, marked & ~infected), "RAS")),
        ("rp_msk", like(image, 2 * infected)),
    ):
        (tmp_path / folder).mkdir()
        sitk.WriteImage(volume, str(tmp_path / folder / "1.nii.gz"))

    assert prepare.main(["medseg", str(tmp_path), "--data", str(tmp_path / "data")]) == 0

    found = {case.name: case for case in chests(tmp_path / "data" / "diseased")}
    assert set(found) == {"medseg_1", "medseg_1full"}
    assert np.array_equal(found["medseg_1full"].truth, marked)
    assert np.array_equal(found["medseg_1full"].infection, infected)
    assert np.array_equal(found["medseg_1"].truth, halved(marked))
    voxels = sitk.GetArrayFromImage(found["medseg_1"].image)
    assert np.array_equal(voxels == MARKED_HU, halved(marked))


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_fluid_of_plethora_lies_in_the_scan_of_its_patient(tmp_path, direction, capsys):
    marked = box()
    for name in ("LUNG1-001", "LUNG1-005"):
        image = scan(direction, marked if name == "LUNG1-005" else None)
        write_scan(tmp_path / "NSCLC-Radiomics" / name / "study" / "ct", image)
    mask = sitk.DICOMOrient(like(image, marked), "LAS")
    for name in ("LUNG1-004", "LUNG1-005"):
        effusions = tmp_path / "Effusions" / name
        effusions.mkdir(parents=True)
        sitk.WriteImage(mask, str(effusions / f"{name}_effusion_first_reviewer.nii.gz"))

    assert prepare.main(["plethora", str(tmp_path), "--data", str(tmp_path / "data")]) == 0

    folder = tmp_path / "data" / "diseased" / "effusion"
    volume, fluid = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"LUNG1-005{kind}.nii.gz")))
        for kind in ("", "_effusion")
    )
    assert np.array_equal(fluid > 0, volume == MARKED_HU)
    assert len(list(folder.iterdir())) == 2
    assert "LUNG1-004 is left out" in capsys.readouterr().err


def test_slices_of_kaggle_are_reduced_and_scaled(tmp_path):
    marked = np.zeros((512, 512), bool)
    marked[128:256, 64:192] = True
    for folder, values in (
        ("2d_images", np.where(marked, -800, 200).astype(np.int32)),
        ("2d_masks", np.where(marked, 255, 0).astype(np.uint8)),
    ):
        (tmp_path / folder).mkdir()
        Image.fromarray(values).save(tmp_path / folder / "ID_0000_Z_0142.tif")

    assert prepare.main(["kaggle", str(tmp_path), "--data", str(tmp_path / "data")]) == 0

    (case,) = cases(tmp_path / "data", None, False)
    assert (case.group, case.name) == ("Kaggle slices", "kaggle_ID_0000_Z_0142")
    assert np.array_equal(case.truth, marked[::8, ::8])
    assert np.array_equal(case.image, np.where(case.truth, 0, 1))


def test_pictures_of_ph2_keep_their_colors(tmp_path):
    lesion = np.zeros((560, 768), bool)
    lesion[140:420, 192:576] = True
    picture = np.where(lesion[..., None], (90, 50, 20), (220, 180, 160)).astype(np.uint8)
    folder = tmp_path / "PH2Dataset" / "PH2 Dataset images" / "IMD002"
    for name, values in (("Dermoscopic_Image", picture), ("lesion", lesion)):
        (folder / f"IMD002_{name}").mkdir(parents=True)
        file = "IMD002.bmp" if name == "Dermoscopic_Image" else "IMD002_lesion.bmp"
        Image.fromarray(values).save(folder / f"IMD002_{name}" / file)

    assert prepare.main(["ph2", str(tmp_path), "--data", str(tmp_path / "data")]) == 0

    (case,) = cases(tmp_path / "data", None, False)
    assert (case.group, case.kind) == ("PH2 skin", "skin")
    assert case.image.shape == (256, 256, 3)
    assert np.array_equal(case.truth[64:192, 64:192], np.ones((128, 128), bool))
    assert case.truth.sum() == 128 * 128
    assert case.image[128, 128].tolist() == [90, 50, 20]


def test_what_is_missing_is_named(tmp_path, capsys):
    assert prepare.main(["medseg", str(tmp_path), "--data", str(tmp_path / "data")]) == 2
    assert "rp_im" in capsys.readouterr().err

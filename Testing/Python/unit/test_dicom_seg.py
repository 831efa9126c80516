"""DICOM SEG: the lungs where they are, with their codes, referring to their source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import phantom
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import (
    at_same_places,
    enhanced,
    hounsfield,
    read_dicom_seg,
    save_dicom,
    write_scan,
    write_series,
)
from pydicom.config import disable_value_validation
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.read import read_scan

highdicom = pytest.importorskip("highdicom", reason="DICOM SEG needs highdicom")

from S3NetSegmentationLib.io.dicom_seg import make_dicom_seg, write_dicom_seg  # noqa: E402

OBLIQUE = phantom.GEOMETRIES["oblique"]["direction"]
GEOMETRIES = {
    "axial": phantom.IDENTITY,
    "oblique": OBLIQUE,
    "sagittal": (0, 0, 1, 1, 0, 0, 0, -1, 0),
}


def chest(direction=phantom.IDENTITY, **more) -> phantom.Phantom:
    return phantom.thorax((8, 7, 8), (52, 40, 38), direction, **more)


def source_of(folder: Path, found: phantom.Phantom):
    """The phantom read back from DICOM, and its lungs on the same grid."""
    write_scan(folder, found.image)
    scan = read_scan(folder)
    lungs = sitk.GetImageFromArray(sitk.GetArrayFromImage(found.lungs))
    lungs.CopyInformation(scan.image)
    return scan, lungs


@pytest.mark.parametrize("name", GEOMETRIES)
def test_lungs_come_back_where_they_were(tmp_path, name):
    scan, lungs = source_of(tmp_path / "in", chest(GEOMETRIES[name]))
    path = tmp_path / "lungs.dcm"
    write_dicom_seg(path, make_dicom_seg(lungs, scan.files))
    assert at_same_places(read_dicom_seg(path), lungs)


def test_segments_and_references(tmp_path):
    scan, lungs = source_of(tmp_path, chest())
    made = make_dicom_seg(lungs, scan.files)
    source = pydicom.dcmread(scan.files[0])
    right, left = made.SegmentSequence
    assert (right.SegmentLabel, left.SegmentLabel) == ("right lung", "left lung")
    assert right.SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"
    side = right.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (side.CodeValue, side.CodingSchemeDesignator) == ("24028007", "SCT")
    assert made.StudyInstanceUID == source.StudyInstanceUID
    assert made.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert made.PatientID == source.PatientID
    (series,) = made.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    referred = {each.ReferencedSOPInstanceUID for each in series.ReferencedInstanceSequence}
    assert referred == {pydicom.dcmread(path).SOPInstanceUID for path in scan.files}
    # Each frame names the very slice it was drawn on.
    frame = made.PerFrameFunctionalGroupsSequence[0]
    slice_ = frame.DerivationImageSequence[0].SourceImageSequence[0]
    position = {
        pydicom.dcmread(path).SOPInstanceUID: pydicom.dcmread(path).ImagePositionPatient
        for path in scan.files
    }[slice_.ReferencedSOPInstanceUID]
    placed = frame.PlanePositionSequence[0].ImagePositionPatient
    assert [float(v) for v in placed] == pytest.approx([float(v) for v in position], abs=1e-4)


def test_one_lung_is_one_segment(tmp_path):
    scan, lungs = source_of(tmp_path, chest(lungs="left"))
    (segment,) = make_dicom_seg(lungs, scan.files).SegmentSequence
    assert segment.SegmentLabel == "left lung"


def test_no_lung_is_no_dicom_seg(tmp_path):
    scan, lungs = source_of(tmp_path, chest())
    with pytest.raises(InputError, match=r"can't be empty.*\.$"):
        make_dicom_seg(lungs * 0, scan.files)


def test_tilted_gantry(tmp_path):
    """The result's grid is not the source's; the segmentation has the result's."""
    frame, study = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()

    def change(index, image):
        image.FrameOfReferenceUID, image.StudyInstanceUID = frame, study

    write_series(tmp_path, hounsfield(), step=(0, 0.6, 2.5), change=change)
    scan = read_scan(tmp_path)
    lungs = sitk.Image(scan.image.GetSize(), sitk.sitkUInt8)
    lungs.CopyInformation(scan.image)
    lungs[5, 6, 2] = 1
    made = make_dicom_seg(lungs, scan.files)
    assert (made.Rows, made.Columns) == lungs.GetSize()[1::-1]
    position = made.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    expected = lungs.TransformIndexToPhysicalPoint((0, 0, 2))
    assert [float(v) for v in position.ImagePositionPatient] == pytest.approx(expected, abs=1e-4)
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 6


def test_enhanced_source(tmp_path):
    image = enhanced(hounsfield(), order=[3, 0, 5, 1, 4, 2])
    image.FrameOfReferenceUID = pydicom.uid.generate_uid()
    save_dicom(image, tmp_path / "enhanced.dcm")
    scan = read_scan(tmp_path / "enhanced.dcm")
    lungs = sitk.Image(scan.image.GetSize(), sitk.sitkUInt8)
    lungs.CopyInformation(scan.image)
    lungs[5, 6, 4] = 2
    made = make_dicom_seg(lungs, scan.files)
    assert made.NumberOfFrames == 1
    position = made.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    assert [float(v) for v in position.ImagePositionPatient] == pytest.approx([10, -20, 40])


def test_source_that_lacks_what_it_needs_is_one_sentence(tmp_path):
    write_series(tmp_path, hounsfield())
    scan = read_scan(tmp_path)
    with pytest.raises(InputError, match=r"headers lack required attributes .*\.$"):
        make_dicom_seg(scan.image > 0, scan.files)


AWKWARD = {
    "no set of characters": {"SpecificCharacterSet": ""},
    "ASCII by its name": {"SpecificCharacterSet": "ISO_IR 6"},
    "unknown characters": {"SpecificCharacterSet": "NONSENSE"},
    "Latin": {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jörg"},
    "Japanese": {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎",
    },
    "Korean": {
        "SpecificCharacterSet": ["", "ISO 2022 IR 149"],
        "PatientName": "Hong^Gildong=洪^吉洞",
    },
    "wrong dates": {"PatientBirthDate": "XXXXXXXX", "StudyDate": "0000", "StudyTime": "noon"},
    "empty": {"PatientBirthDate": "", "StudyDate": "", "StudyTime": "", "PatientName": ""},
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_headers_of_the_source(tmp_path, name):
    write_scan(tmp_path / "in", chest().image)
    with disable_value_validation():
        for path in (tmp_path / "in").iterdir():
            image = pydicom.dcmread(path)
            for keyword, value in AWKWARD[name].items():
                setattr(image, keyword, value)
            image.save_as(path)
    scan = read_scan(tmp_path / "in")
    lungs = scan.image < -500
    write_dicom_seg(tmp_path / "lungs.dcm", make_dicom_seg(lungs, scan.files))
    written = pydicom.dcmread(tmp_path / "lungs.dcm")
    assert str(written.PatientName) == AWKWARD[name].get("PatientName", "Doe^Jane")
    assert at_same_places(read_dicom_seg(tmp_path / "lungs.dcm"), lungs)


def test_a_source_without_preamble(tmp_path):
    paths = write_scan(tmp_path, chest().image)
    for path in paths:
        path.write_bytes(path.read_bytes()[132:])
    scan = read_scan(tmp_path)
    assert len(make_dicom_seg(scan.image < -500, scan.files).SegmentSequence) == 1


def test_a_source_whose_slices_have_frames_of_their_own(tmp_path):
    for path in write_scan(tmp_path, chest().image):
        image = pydicom.dcmread(path)
        image.FrameOfReferenceUID = pydicom.uid.generate_uid()
        image.save_as(path)
    scan = read_scan(tmp_path)
    made = make_dicom_seg(scan.image < -500, scan.files)
    assert made.FrameOfReferenceUID == pydicom.dcmread(scan.files[0]).FrameOfReferenceUID


def test_a_source_that_is_gone_costs_only_the_dicom_seg(tmp_path):
    scan, lungs = source_of(tmp_path, chest())
    scan.files[3].unlink()
    with pytest.raises(InputError, match=r"\.$"):
        make_dicom_seg(lungs, scan.files)


READER = shutil.which("segimage2itkimage", path=os.path.dirname(sys.executable))


@pytest.mark.skipif(not READER, reason="dcmqi is not installed")
@pytest.mark.parametrize("name", GEOMETRIES)
def test_dcmqi_reads_it(tmp_path, name):
    scan, lungs = source_of(tmp_path / "in", chest(GEOMETRIES[name]))
    write_dicom_seg(tmp_path / "lungs.dcm", make_dicom_seg(lungs, scan.files))
    run = subprocess.run(
        [READER, "--inputDICOM", tmp_path / "lungs.dcm", "--outputDirectory", tmp_path]
        + ["-p", "read", "-t", "nrrd", "--mergeSegments"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert at_same_places(sitk.ReadImage(str(next(tmp_path.glob("read*.nrrd")))), lungs)
    described = json.loads((tmp_path / "read-meta.json").read_text())["segmentAttributes"]
    right, left = (each for group in described for each in group)
    assert right["SegmentedPropertyTypeCodeSequence"]["CodeMeaning"] == "Lung"
    assert right["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Right"
    assert left["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"


def test_identifiers_that_break_rules_are_in_no_warning_and_no_log(tmp_path, recwarn, caplog):
    write_scan(tmp_path, chest().image)
    with disable_value_validation():
        for path in tmp_path.iterdir():
            image = pydicom.dcmread(path)
            image.SeriesInstanceUID = image.StudyInstanceUID = "1.2.004711"
            image.PatientID = "004711" * 20
            image.save_as(path)
    recwarn.clear()
    scan = read_scan(tmp_path)
    made = make_dicom_seg(scan.image < -500, scan.files)
    write_dicom_seg(tmp_path / "lungs.dcm", made)
    assert made.PatientID == "004711" * 20
    assert "4711" not in "".join(str(each.message) for each in recwarn) + caplog.text

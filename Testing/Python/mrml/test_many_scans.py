"""Many volumes, one after the other, from Slicer's Python console."""

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
import slicer
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import Cancelled, InputError, S3NetError
from S3NetSegmentationLib.mrml.many_scans import ManyScansLogic, volumesUnder
from S3NetSegmentationLib.mrml.nodes import segmentationOf, segmentationsOf
from slicer_scene import add_sequence, add_volume, lungs_array, segment_array, table_rows


def engine_lungs(image):
    return sitk.GetArrayFromImage(segmented(image).lungs)


@pytest.fixture
def images():
    return [small_chest().image, small_chest(lungs="right").image]


def test_each_volume_gets_its_own_lungs_and_a_row(logic, images):
    volumes = [add_volume(image, f"scan {n}") for n, image in enumerate(images)]
    rows = table_rows(logic.segmentVolumes(volumes, QUICK))
    assert [row["Scan"] for row in rows] == ["scan 0", "scan 1"]
    for volume, image, row in zip(volumes, images, rows, strict=True):
        lungs, values = engine_lungs(image), sitk.GetArrayFromImage(image)
        (segmentation,) = segmentationsOf(volume)
        assert (lungs_array(segmentation, volume) == lungs).all()
        voxel = np.prod(image.GetSpacing()) / 1000
        right, left = (f"{(lungs == label).sum() * voxel:.0f}" for label in (1, 2))
        assert (row["Right (mL)"], row["Left (mL)"]) == (right, left)
        assert row["Both (mL)"] == f"{(lungs > 0).sum() * voxel:.0f}"
        assert row["Mean (HU)"] == f"{values[lungs > 0].mean():.0f}"
        for limit in (-950, -856):
            assert row[f"< {limit} HU (%)"] == f"{100 * (values[lungs > 0] < limit).mean():.1f}"
        assert row["Note"] == " ".join(segmented(image).figures.hints)


def mr():
    return sitk.Cast(
        sitk.Clamp(small_chest().image + 1000, sitk.sitkInt16, 0, 1400), sitk.sitkInt16
    )


def test_what_is_refused_or_without_lungs_is_a_row_with_a_sentence_and_stops_nothing(logic):
    images = {"MR": mr(), "abdomen": phantom.abdomen(), "CT": small_chest().image}
    volumes = [add_volume(image, name) for name, image in images.items()]
    first, second, third = table_rows(logic.segmentVolumes(volumes, QUICK))
    assert "not CT in Hounsfield units" in first["Note"]
    assert {first[name] for name in first if name not in ("Scan", "Note")} == {""}
    assert second["Note"].startswith("No lungs were found")
    assert second["Both (mL)"] == "0"
    assert third["Note"] == ""
    assert segmentationOf(volumes[0]) is None
    assert lungs_array(segmentationOf(volumes[2]), volumes[2]).any()


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (S3NetError("The fit failed; try another seed."), "The fit failed; try another seed."),
        (RuntimeError("secret"), "Something unexpected went wrong"),
        (MemoryError(), "There is not enough memory for this scan"),
    ],
)
def test_a_failure_is_a_row_and_the_next_scan_goes_on(scene, images, failure, sentence):
    class FailsOnce(JobHere):
        failures = [failure]

        def result(self):
            if FailsOnce.failures:
                raise FailsOnce.failures.pop()
            return super().result()

    volumes, said = [add_volume(image) for image in images], []
    table = ManyScansLogic(FailsOnce).segmentVolumes(volumes, QUICK, onLog=said.append)
    failed, done = table_rows(table)
    assert failed["Note"].startswith(sentence)
    assert "\n" not in failed["Note"]
    assert ("Traceback" in "".join(said)) == (not isinstance(failure, S3NetError))
    assert int(done["Both (mL)"]) > 0
    assert not done["Note"].startswith(sentence)
    assert [segmentationOf(volume) is not None for volume in volumes] == [False, True]


def test_never_two_at_once_and_the_progress_is_that_of_all(scene, images):
    class Watched(JobHere):
        running = 0

        def __init__(self, *arguments):
            super().__init__(*arguments)
            Watched.running += 1
            assert Watched.running == 1
            self.polls = 0

        def poll(self, on_progress=None, on_log=None):
            from S3NetSegmentationLib.progress import Progress

            self.polls += 1
            on_progress(Progress("Fitting", self.polls, 2, self.polls / 2))
            if self.polls == 2:
                Watched.running -= 1
            return self.polls < 2

    seen = []
    volumes = [add_volume(image) for image in images]
    ManyScansLogic(Watched).segmentVolumes(volumes, QUICK, onProgress=seen.append)
    assert [(each.done, each.total, each.fraction) for each in seen] == [
        (1, 2, 0.25),
        (1, 2, 0.5),
        (2, 2, 0.75),
        (2, 2, 1.0),
    ]


def test_cancel_keeps_what_was_finished_and_begins_nothing_else(logic, images):
    volumes = [add_volume(image) for image in images]
    with pytest.raises(Cancelled, match="finished before is kept"):
        logic.segmentVolumes(
            volumes, QUICK, isCancelled=lambda: segmentationOf(volumes[0]) is not None
        )
    assert segmentationOf(volumes[1]) is None


def test_a_volume_removed_meanwhile_is_a_row(scene, images):
    volumes = [add_volume(image, f"scan {n}") for n, image in enumerate(images)]

    class Removes(JobHere):
        def result(self):
            if volumes[1].GetScene():
                scene.RemoveNode(volumes[1])
            return super().result()

    done, gone = table_rows(ManyScansLogic(Removes).segmentVolumes(volumes, QUICK))
    assert done["Note"] == ""
    assert gone["Scan"] == "scan 1"
    assert "removed" in gone["Note"]


def test_lungs_that_were_edited_are_left_alone_and_others_are_updated(logic, images):
    volume = add_volume(images[0])
    logic.segmentVolumes([volume], QUICK)
    edited = segmentationOf(volume)
    array = segment_array(edited, "right_lung", volume)
    array[:] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, edited, "right_lung", volume)
    before = lungs_array(edited, volume)
    logic.segmentVolumes([volume], QUICK)
    logic.segmentVolumes([volume], QUICK)
    assert (lungs_array(edited, volume) == before).all()
    first, second = segmentationsOf(volume)
    assert first is edited
    assert (lungs_array(second, volume) == engine_lungs(images[0])).all()


def test_lungs_of_scans_that_no_view_shows_do_not_lie_over_the_one_that_is_shown(
    logic, scene, images
):
    shown, other = (add_volume(image) for image in images)
    view = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    view.SetBackgroundVolumeID(shown.GetID())
    logic.segmentVolumes([other, shown], QUICK)
    assert segmentationOf(shown).GetDisplayNode().GetVisibility()
    assert not segmentationOf(other).GetDisplayNode().GetVisibility()


def test_without_a_volume_there_is_a_sentence(logic):
    with pytest.raises(InputError, match="No volume is selected"):
        logic.segmentVolumes([])


def test_volumes_under_an_item_of_the_data_module(scene, images):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    volumes = [add_volume(image, folder=None) for image in images]
    hidden, elsewhere = add_volume(images[0], folder=None), add_volume(images[0])
    hidden.SetHideFromEditors(True)
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    for node in (*volumes, hidden, labels):
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), study)
    assert volumesUnder(patient) == volumesUnder(study) == volumes
    assert volumesUnder(hierarchy.GetItemByDataNode(elsewhere)) == [elsewhere]
    assert volumesUnder(hierarchy.GetItemByDataNode(labels)) == []


def test_a_queue_of_volumes_and_sequences_has_a_table_for_each_kind(logic, images):
    volume = add_volume(images[0])
    sequence, browser = add_sequence(images)
    queue = logic.queue([browser.GetProxyNode(sequence), volume], QUICK)
    assert queue.count == 3
    while queue.poll():
        pass
    volumes, frames = queue.result()
    assert [row["Scan"] for row in table_rows(volumes)] == [volume.GetName()]
    assert [row["Frame"] for row in table_rows(frames)] == ["1", "2"]

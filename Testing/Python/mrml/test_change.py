"""Changes that are worked out in a thread: what they take from the scene, and what they leave."""

import time

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from engine_here import JobHere, segmented, small_chest
from quick import QUICK
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.jobs.job import wait_for
from S3NetSegmentationLib.manual_choice import choose_tissues
from S3NetSegmentationLib.mrml.change import ChangeJob
from S3NetSegmentationLib.mrml.logic import SegmentationLogic
from S3NetSegmentationLib.mrml.nodes import volumeOf
from slicer_scene import add_volume, lungs_array, save_and_load, segment_array, state


def ended(job):
    while job.poll():
        time.sleep(0.01)


def test_working_out_a_change_leaves_the_scene_as_it_is(logic):
    image = small_chest().image
    segmentation = logic.segment(add_volume(image), QUICK)
    before = state()
    job = ChangeJob(lambda: logic.choosing(segmentation, []))
    ended(job)
    job.cancel()
    assert state() == before
    job.result()
    assert not lungs_array(segmentation, volumeOf(segmentation)).any()


@pytest.mark.parametrize("later", ["lungs", "choice"])
def test_a_change_is_made_from_the_scene_as_it_is_in_the_end(logic, later):
    image = small_chest().image
    volume, chosen = add_volume(image), segmented(image).chosen_tissues
    segmentation = logic.segment(volume, QUICK)
    fat = next(each.number for each in logic.tissues(segmentation) if each.name == "fat")

    def prepare():
        numbers = {each.number for each in logic.tissues(segmentation) if each.is_lung}
        return logic.choosing(segmentation, numbers | {fat})

    job = ChangeJob(prepare)
    if later == "lungs":
        array = segment_array(segmentation, "left_lung", volume)
        array[:, :3, :3] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, "left_lung", volume)
        expected = choose_tissues(
            segmented(image), sitk.GetArrayViewFromImage(image), [*chosen, fat]
        ).lung_array.copy()
        expected[:, :3, :3] = 2
    else:
        logic.chooseTissues(segmentation, [])
        expected = choose_tissues(
            choose_tissues(segmented(image), sitk.GetArrayViewFromImage(image), []),
            sitk.GetArrayViewFromImage(image),
            [fat],
        ).lung_array
    wait_for(job)
    assert (lungs_array(segmentation, volume) == expected).all()


def test_what_speaks_against_a_change_is_said_in_the_end(logic, scene):
    volume = add_volume(small_chest().image)
    segmentation = logic.segment(volume, QUICK)
    with pytest.raises(InputError, match="no tissue 99"):
        wait_for(ChangeJob(lambda: logic.choosing(segmentation, [99])))
    job = ChangeJob(lambda: logic.choosing(segmentation, []))
    scene.RemoveNode(volume)
    with pytest.raises(InputError, match="gone; apply again"):
        wait_for(job)


def test_a_loaded_result_is_at_hand_only_after_it_was_prepared(logic, scene, application, tmp_path):
    logic.segment(add_volume(small_chest().image), QUICK)
    _, segmentation = save_and_load(application, tmp_path)
    logic = SegmentationLogic(JobHere)
    assert not logic.isAtHand(segmentation)
    before = state()
    wait_for(ChangeJob(lambda: logic.preparing(segmentation)))
    assert logic.isAtHand(segmentation)
    assert state() == before


@pytest.mark.parametrize("geometry", ["axial", "oblique", "left-handed"])
def test_the_lungs_take_no_more_room_than_they_need(logic, geometry):
    image = small_chest(geometry).image
    volume = add_volume(image)
    segmentation = logic.segment(volume, QUICK)
    segment = segmentation.GetSegmentation().GetSegment("right_lung")
    stored = segment.GetRepresentation("Binary labelmap").GetNumberOfPoints()
    lungs = np.nonzero(lungs_array(segmentation, volume))
    assert stored == np.prod([np.ptp(each) + 1 for each in lungs])

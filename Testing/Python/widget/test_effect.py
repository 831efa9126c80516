"""The effect of Segment Editor: clicks, wheel, keys, preview, what ends it."""

from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from host.segment_editor import SEGMENT, SegmentEditor, load_effect
from S3NetSegmentationLib.click.regions import regions_at
from S3NetSegmentationLib.errors import S3NetError
from S3NetSegmentationLib.mrml.clicking import Clicks
from slicer_scene import add_transform, add_volume, nodes, rigid, segment_array

CENTER = (12.0, -8.0, 20.0)
"""Of a ball of fluid, in RAS."""


class ProcessHere:
    """Answers in this process, as soon as the test lets it."""

    def __init__(self, temporary=None):
        self.question = None
        self.isHeld = False
        self.closed = False

    def ask(self, box, spacing, index):
        self.question = (box.copy(), spacing, index)

    def poll(self):
        if self.question is None or self.isHeld:
            return None
        question, self.question = self.question, None
        regions = regions_at(*question)
        return regions.joins, regions.level

    def close(self):
        self.closed = True


def fluid():
    """A ball of 12 mm of fluid in muscle, 2 mm voxels."""
    shape = (30, 40, 40)
    k, j, i = np.ogrid[tuple(slice(0, n) for n in shape)]
    middle = (15, 20, 20)
    truth = (k - middle[0]) ** 2 + (j - middle[1]) ** 2 + (i - middle[2]) ** 2 <= 6**2
    noise = np.random.default_rng(3).normal(0, 8, shape)
    image = sitk.GetImageFromArray((np.where(truth, 10, 60) + noise).astype(np.int16))
    image.SetSpacing((2, 2, 2))
    origin = np.array([-CENTER[0], -CENTER[1], CENTER[2]]) - 2.0 * np.array(middle[::-1])
    image.SetOrigin(origin.tolist())
    return image


@pytest.fixture
def editor(panel, application):
    made = SegmentEditor(add_volume(fluid()), application.layoutManager().red)
    made.effect.clicks = Clicks(ProcessHere)
    made.effect.activate()
    yield made
    made.effect.deactivate()


def count(editor) -> int:
    return int(segment_array(editor.segmentation, SEGMENT, editor.volume).sum())


def outlined(editor, wait):
    wait(lambda: editor.effect.takeButton.enabled, 60)


def previews() -> list:
    return [node for node in nodes().values() if node.GetName() == "S3NetPreview"]


def test_a_click_outlines_and_a_second_one_takes(editor, wait):
    assert editor.click(CENTER)
    outlined(editor, wait)
    assert count(editor) == 0
    assert len(previews()) == 1
    size = int(editor.effect.clicks.regions.mask(editor.effect.clicks.level).sum())
    editor.click(CENTER)
    assert count(editor) == size > 0
    assert not previews()
    assert not editor.effect.takeButton.enabled


def test_wheel_and_slider_change_the_size_at_once(editor, wait):
    assert not editor.turn_wheel(1)  # which scrolls as long as nothing is outlined
    editor.click(CENTER)
    outlined(editor, wait)
    level = editor.effect.sizeSlider.value
    start = time.perf_counter()
    assert editor.turn_wheel(2)
    assert (time.perf_counter() - start) / 2 < 0.1
    assert editor.effect.sizeSlider.value == level + 4
    editor.effect.sizeSlider.value = 50
    assert editor.effect.clicks.level == 50
    size = int(editor.effect.clicks.regions.mask(50).sum())
    assert editor.press("Return")
    assert count(editor) == size


def test_control_click_takes_away(editor, wait):
    editor.click(CENTER)
    outlined(editor, wait)
    editor.effect.sizeSlider.value = 60
    editor.press("Return")
    whole = count(editor)
    editor.click(CENTER, control=True)
    outlined(editor, wait)
    region = int(editor.effect.clicks.regions.mask(editor.effect.clicks.level).sum())
    editor.effect.takeButton.click()
    assert count(editor) == whole - region


def test_the_editor_can_undo(editor, wait):
    editor.click(CENTER)
    outlined(editor, wait)
    editor.press("Return")
    assert count(editor)
    editor.logic.Undo()
    assert count(editor) == 0


@pytest.mark.parametrize("is_answered", [False, True])
def test_escape_forgets_the_click(editor, wait, is_answered):
    process = ProcessHere()
    process.isHeld = not is_answered
    editor.effect.clicks = Clicks(lambda folder: process)
    editor.click(CENTER)
    if is_answered:
        outlined(editor, wait)
    assert editor.press("Escape")
    assert not previews()
    assert not editor.effect.takeButton.enabled
    assert count(editor) == 0
    assert not editor.press("Escape")  # which is somebody else's now


def test_a_click_elsewhere_moves_the_outline(editor, wait):
    editor.click(CENTER)
    outlined(editor, wait)
    editor.effect.sizeSlider.value = 20
    elsewhere = (CENTER[0] + 30, CENTER[1], CENTER[2])
    editor.click(elsewhere)
    assert not editor.effect.takeButton.enabled
    outlined(editor, wait)
    assert count(editor) == 0
    assert len(previews()) == 1


def test_a_click_outside_of_the_volume_says_so(editor):
    editor.click((CENTER[0] + 150, CENTER[1], CENTER[2]))
    assert "outside the volume" in editor.effect.statusLabel.text
    assert not editor.effect.clicks.isWaiting


def test_a_volume_that_is_removed_meanwhile_does_no_harm(editor, wait):
    editor.click(CENTER)
    slicer.mrmlScene.RemoveNode(editor.volume)
    editor.logic.SetSourceVolumeNode(None)
    editor.effect.sourceVolumeNodeChanged()
    editor.click(CENTER)
    assert "No source volume" in editor.effect.statusLabel.text
    assert not previews()


def test_a_process_that_fails_says_so_and_the_next_click_starts_another(editor, wait):
    class Failing(ProcessHere):
        def poll(self):
            raise S3NetError("The process for clicks ended.")

    editor.effect.clicks = Clicks(Failing)
    editor.click(CENTER)
    wait(lambda: "ended" in editor.effect.statusLabel.text, 30)
    assert not editor.effect.takeButton.enabled


def test_the_process_lives_as_long_as_the_effect(panel, application):
    made = []
    editor = SegmentEditor(add_volume(fluid()), application.layoutManager().red)
    editor.effect.clicks = Clicks(lambda folder: made.append(ProcessHere()) or made[-1])
    editor.effect.activate()
    assert len(made) == 1 and not made[0].closed
    editor.effect.deactivate()
    assert made[0].closed


def test_volumes_under_transforms(panel, application, wait):
    volume = add_volume(fluid())
    transform = add_transform(rigid(0, 25, (5, 9, -4)))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    editor = SegmentEditor(volume, application.layoutManager().red)
    editor.effect.clicks = Clicks(ProcessHere)
    moved = (rigid(0, 25, (5, 9, -4)) @ [*CENTER, 1])[:3]
    editor.click(moved)
    outlined(editor, wait)
    editor.press("Return")
    taken = segment_array(editor.segmentation, SEGMENT, volume) > 0
    array = slicer.util.arrayFromVolume(volume)
    assert taken.any() and array[taken].mean() < 25
    editor.effect.deactivate()


def test_parameters_stay_in_the_scene(editor):
    editor.effect.stepBox.value = 5
    assert editor.node.GetAttribute("S3-Net.Step") == "5"


def test_it_has_an_icon_a_help_and_a_clone(editor, monkeypatch):
    assert not editor.effect.icon().isNull()
    assert "Ctrl+click" in editor.effect.helpText()
    sources = []
    effects = ModuleType("qSlicerSegmentationsEditorEffectsPythonQt")
    effects.qSlicerSegmentEditorScriptedEffect = lambda parent: SimpleNamespace(
        setPythonSource=sources.append
    )
    monkeypatch.setitem(sys.modules, effects.__name__, effects)
    editor.effect.clone()
    assert sources == [load_effect().__file__.replace("\\", "/")]

"""The process that stays warm for clicks: answers, refusals, its end."""

from __future__ import annotations

import time

import numpy as np
import pytest
from S3NetSegmentationLib.click.regions import regions_at
from S3NetSegmentationLib.errors import InputError, S3NetError
from S3NetSegmentationLib.jobs.clicks import ClickProcess

SPACING = (3.0, 2.0, 2.0)
INDEX = (8, 12, 12)


@pytest.fixture(scope="module")
def box():
    return np.random.default_rng(0).normal(40, 10, (16, 24, 24)).astype(np.int16)


@pytest.fixture
def process(tmp_path):
    made = ClickProcess(str(tmp_path))
    yield made
    made.close()


def answer(process: ClickProcess, seconds: float = 120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = process.poll()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("it took too long")


def test_clicks_are_answered_in_turn_as_in_this_process(process, box, tmp_path):
    expected = regions_at(box, SPACING, INDEX)
    for _ in range(2):
        process.ask(box, SPACING, INDEX)
        joins, level = answer(process)
        assert level == expected.level
        assert np.array_equal(joins, expected.joins)
        assert process.poll() is None  # an answer is given once
    process.close()
    assert not list(tmp_path.iterdir())


def test_a_refusal_does_not_end_it(process, box):
    unknown = box.astype(np.float32)
    unknown[INDEX] = np.nan
    process.ask(unknown, SPACING, INDEX)
    with pytest.raises(InputError, match="not all numbers"):
        answer(process)
    process.ask(box, SPACING, INDEX)
    assert answer(process)[0].shape == box.shape


def test_only_the_latest_click_is_answered(process, box):
    process.ask(box[:4], SPACING, (2, 12, 12))
    process.ask(box, SPACING, INDEX)
    assert answer(process)[0].shape == box.shape
    assert process.poll() is None


def test_a_process_that_was_closed_says_so(process, box):
    process.close()
    process.close()  # harmless
    with pytest.raises(S3NetError):
        process.poll()


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(S3NetError, match="temporary files"):
        ClickProcess(str(tmp_path / "missing"))

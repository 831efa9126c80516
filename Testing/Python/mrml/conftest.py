"""The scene of each test."""

import pytest
from engine_here import JobHere
from S3NetSegmentationLib.mrml.many_scans import ManyScansLogic
from slicer_scene import Application


@pytest.fixture(scope="session")
def application():
    made = Application()
    made.install()
    return made


@pytest.fixture
def scene(application):
    """A fresh scene."""
    application.install()  # the panel's tests have another one
    yield application.fresh_scene()
    application.close_scene()


@pytest.fixture
def logic(scene):
    """The logic with the engine in this process."""
    return ManyScansLogic(JobHere)

"""The scene of each test."""

import pytest
from slicer_scene import Application


@pytest.fixture(scope="session")
def application():
    made = Application()
    made.install()
    return made


@pytest.fixture
def scene(application):
    """A fresh scene."""
    return application.fresh_scene()

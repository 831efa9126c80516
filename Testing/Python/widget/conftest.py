"""The application with the module's panel open."""

import pytest
from host.application import start


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    return start(str(tmp_path_factory.mktemp("settings") / "Slicer.ini"))


@pytest.fixture
def panel(application):
    """The Python object of the panel, on a fresh scene."""
    opened = application.open_module()
    yield opened.self()
    opened.self().cleanup()

"""The real evaluation images, which are no part of the project."""

import os
from pathlib import Path

import pytest

DATA = Path(
    os.environ.get("S3NET_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
)
needs_data = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the evaluation images are not here; set S3NET_TEST_DATA to their folder",
)

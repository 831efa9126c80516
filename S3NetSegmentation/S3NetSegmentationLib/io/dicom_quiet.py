"""pydicom without warnings that reveal the content of a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Suppress warnings and log messages while files are read and their values parsed.

    pydicom quotes values that violate DICOM, which may be patient identifiers.
    """
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield

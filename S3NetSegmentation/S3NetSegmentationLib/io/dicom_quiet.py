"""pydicom, which says nothing of what is in a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """No warnings while files are read and their values parsed, and nothing logged.

    pydicom quotes values that break a rule of DICOM, such as identifiers of a patient.
    """
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield

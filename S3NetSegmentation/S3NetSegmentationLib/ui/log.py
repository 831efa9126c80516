"""The log that the user can copy, and errors in one sentence instead of a traceback."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, S3NetError


class Log:
    """Lines with their time; no node names in them, which often are those of patients.

    Parameters
    ----------
    ui
        The panel's widgets: `logText`, `copyLogButton`.
    """

    def __init__(self, ui: SimpleNamespace):
        self._text = ui.logText
        ui.copyLogButton.connect("clicked(bool)", self._copy)

    def add(self, text: str) -> None:
        """Append a line, or several."""
        self._text.appendPlainText(f"{time.strftime('%H:%M:%S')}  {text}")

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn what goes wrong inside into a message for the user; the log holds the details."""
        try:
            yield
        except Cancelled as notice:
            self.add(str(notice))
        except S3NetError as error:
            self.add(str(error))
            slicer.util.errorDisplay(str(error))
        except Exception:  # the user gets a sentence, the log the rest
            self.add(traceback.format_exc())
            slicer.util.errorDisplay(
                _("Something unexpected went wrong; please report it with the module's log.")
            )

    def _copy(self, checked: bool = False) -> None:
        slicer.app.clipboard().setText(self._text.plainText)


@contextmanager
def waiting() -> Iterator[None]:
    """Show the wait cursor meanwhile."""
    slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
    try:
        yield
    finally:
        slicer.app.restoreOverrideCursor()

"""The figures of the lungs, and what to do with them next."""

from __future__ import annotations

from types import SimpleNamespace

import qt
import slicer

from ..mrml.nodes import resultsTableOf, volumeOf
from ..mrml.segmentation import isShown3D, show3D
from .log import Log, waiting


class ResultsPanel:
    """Shows the figures of a segmentation, its surfaces, and opens the Segment Editor on it.

    Parameters
    ----------
    ui
        The panel's widgets: `resultsTable`, `show3DButton`, `editButton`.
    log : Log
    """

    def __init__(self, ui: SimpleNamespace, log: Log):
        self._ui, self._log = ui, log
        self._segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
        self._table = ui.resultsTable
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)
        ui.show3DButton.connect("toggled(bool)", self._onShow3D)
        ui.editButton.connect("clicked(bool)", self._onEdit)
        self.show(None)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show the figures of a segmentation; None empties the table."""
        self._segmentationNode = segmentationNode
        titles, rows = _texts(resultsTableOf(segmentationNode))
        self._table.setRowCount(len(rows))
        self._table.setColumnCount(len(titles))
        self._table.setHorizontalHeaderLabels(titles)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, item)
        for widget in (self._table, self._ui.show3DButton, self._ui.editButton):
            widget.enabled = bool(rows)
        wasBlocked = self._ui.show3DButton.blockSignals(True)
        self._ui.show3DButton.checked = bool(rows) and isShown3D(segmentationNode)
        self._ui.show3DButton.blockSignals(wasBlocked)

    def _onShow3D(self, isOn: bool) -> None:
        with self._log.reporting(), waiting():
            show3D(self._segmentationNode, isOn)

    def _onEdit(self, checked: bool = False) -> None:
        with self._log.reporting():
            slicer.util.selectModule("SegmentEditor")
            editor = slicer.modules.SegmentEditorWidget.editor
            editor.setSegmentationNode(self._segmentationNode)
            editor.setSourceVolumeNode(volumeOf(self._segmentationNode))


def _texts(tableNode: slicer.vtkMRMLTableNode | None) -> tuple[list[str], list[list[str]]]:
    """Titles of the columns of a table and the texts of its rows; neither without a table."""
    if not tableNode:
        return [], []
    rows, columns = range(tableNode.GetNumberOfRows()), range(tableNode.GetNumberOfColumns())
    titles = [tableNode.GetColumnName(column) for column in columns]
    return titles, [[tableNode.GetCellText(row, column) for column in columns] for row in rows]

"""The figures of the lungs, and what to do with them next."""

from __future__ import annotations

import qt
import slicer

from ..mrml.logic import resultsTableOf, volumeOf
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

    def __init__(self, ui, log: Log):
        self._ui, self._log = ui, log
        self._segmentationNode = None
        self._table = ui.resultsTable
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)
        ui.show3DButton.connect("toggled(bool)", self._onShow3D)
        ui.editButton.connect("clicked(bool)", self._onEdit)
        self.show(None)

    def show(self, segmentationNode) -> None:
        """Show the figures of a segmentation; None empties the table."""
        self._segmentationNode = segmentationNode
        tableNode = resultsTableOf(segmentationNode)
        rows = tableNode.GetNumberOfRows() if tableNode else 0
        columns = tableNode.GetNumberOfColumns() if tableNode else 0
        self._table.setRowCount(rows)
        self._table.setColumnCount(columns)
        self._table.setHorizontalHeaderLabels([tableNode.GetColumnName(i) for i in range(columns)])
        for row in range(rows):
            for column in range(columns):
                item = qt.QTableWidgetItem(tableNode.GetCellText(row, column))
                item.setFlags(qt.Qt.ItemIsEnabled)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, item)
        for widget in (self._table, self._ui.show3DButton, self._ui.editButton):
            widget.enabled = rows > 0
        wasBlocked = self._ui.show3DButton.blockSignals(True)
        self._ui.show3DButton.checked = rows > 0 and isShown3D(segmentationNode)
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

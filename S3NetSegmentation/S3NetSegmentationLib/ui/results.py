"""The lungs in figures and in 3D, and where to look."""

from __future__ import annotations

from types import SimpleNamespace

import qt
import slicer

from ..mrml.display import jumpTo, positionOfSlice
from ..mrml.logic import SegmentationLogic
from ..mrml.nodes import resultsTableOf, volumeOf
from .log import Log
from .status import asLinks


class ResultsPanel:
    """Shows what is known of a segmentation, its surfaces, and opens the Segment Editor on it.

    Parameters
    ----------
    ui
        The panel's widgets: `resultsTable`, `hintsLabel`, `show3DButton`, `editButton`.
    logic : SegmentationLogic
    log : Log
    """

    def __init__(self, ui: SimpleNamespace, logic: SegmentationLogic, log: Log):
        self._ui, self._logic, self._log = ui, logic, log
        self._segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
        self._table = ui.resultsTable
        self._table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        ui.show3DButton.connect("toggled(bool)", self._onShow3D)
        ui.hintsLabel.connect("linkActivated(QString)", self._onLink)
        ui.editButton.connect("clicked(bool)", self._onEdit)
        self.show(None)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show what is known of a segmentation; of None that is nothing."""
        self._segmentationNode = segmentationNode
        self._ui.show3DButton.setSegmentationNode(segmentationNode)
        self._ui.editButton.enabled = segmentationNode is not None
        self._showTable()
        self._showHints()

    def _showTable(self) -> None:
        titles, rows = _texts(resultsTableOf(self._segmentationNode))
        self._table.setRowCount(len(rows))
        self._table.setColumnCount(len(titles))
        self._table.setHorizontalHeaderLabels([title.replace(" (", "\n(") for title in titles])
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, item)
        self._table.visible = bool(rows)

    def _showHints(self) -> None:
        node = self._segmentationNode
        hints = list(self._logic.warnings(node))
        if volumeOf(node):
            hints = [asLinks(hint, lambda n: positionOfSlice(node, n)[2]) for hint in hints]
        self._ui.hintsLabel.text = "<br>".join(hints)
        self._ui.hintsLabel.visible = bool(hints)

    def _onShow3D(self, isOn: bool) -> None:
        if isOn:
            frame3DViews()

    def _onLink(self, number: str) -> None:
        with self._log.reporting():
            jumpTo(positionOfSlice(self._segmentationNode, int(number)))

    def _onEdit(self, checked: bool = False) -> None:
        with self._log.reporting():
            slicer.util.selectModule("SegmentEditor")
            editor = slicer.modules.SegmentEditorWidget.editor
            editor.setSegmentationNode(self._segmentationNode)
            editor.setSourceVolumeNode(volumeOf(self._segmentationNode))


def frame3DViews() -> None:
    """Let each 3D view show all that is in it, from the side from which it is seen."""
    layoutManager = slicer.app.layoutManager()
    for index in range(layoutManager.threeDViewCount if layoutManager else 0):
        view = layoutManager.threeDWidget(index).threeDView()
        view.resetFocalPoint()
        view.resetCamera(False, True, True)  # not the rotation


def _texts(tableNode: slicer.vtkMRMLTableNode | None) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of a table, without columns that are empty; neither without a table."""
    if not tableNode:
        return [], []
    rows = range(tableNode.GetNumberOfRows())
    columns = [
        column
        for column in range(tableNode.GetNumberOfColumns())
        if any(tableNode.GetCellText(row, column) for row in rows)
    ]
    titles = [tableNode.GetColumnName(column) for column in columns]
    return titles, [[tableNode.GetCellText(row, column) for column in columns] for row in rows]

"""The lungs in figures and in 3D, and where to look."""

from __future__ import annotations

from types import SimpleNamespace

import qt
import slicer

from ..lung.densitometry import BRIEF, WHOLE
from ..mrml.display import jumpTo, positionOfSlice, showChart, showTable
from ..mrml.logic import SegmentationLogic
from ..mrml.nodes import resultsTableOf, volumeOf
from ..mrml.tables import EDITED, LUNG
from .log import Log, waiting
from .status import asLinks

COLUMNS = (LUNG, *(quantity.title for quantity in BRIEF), EDITED)
"""Those of the table node that the panel has room for."""

OPACITY = 0.5
"""Of the map of aeration over the scan."""

EFFECT = "S3-Net"
"""The effect of Segment Editor that corrects with a click."""


class ResultsPanel:
    """Shows what is known of a segmentation, its surfaces, and opens the Segment Editor on it.

    Parameters
    ----------
    ui
        The panel's widgets: `resultsTable`, `hintsLabel`, `show3DButton`, `editButton`,
        `numbersButton`, `histogramButton`, `aerationCheckBox`, `copyReportButton`,
        `copyMethodsButton`.
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
        ui.numbersButton.connect("clicked(bool)", self._onNumbers)
        ui.histogramButton.connect("clicked(bool)", self._onHistogram)
        ui.aerationCheckBox.connect("toggled(bool)", self._onAeration)
        ui.copyReportButton.connect("clicked(bool)", self._onCopyReport)
        ui.copyMethodsButton.connect("clicked(bool)", self._onCopyMethods)
        self.show(None)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show what is known of a segmentation; of None that is nothing."""
        self._segmentationNode = segmentationNode
        self._ui.show3DButton.setSegmentationNode(segmentationNode)
        self._ui.editButton.enabled = segmentationNode is not None
        isMeasured = bool(resultsTableOf(segmentationNode) and volumeOf(segmentationNode))
        for widget in (
            self._ui.numbersButton,
            self._ui.histogramButton,
            self._ui.aerationCheckBox,
            self._ui.copyReportButton,
            self._ui.copyMethodsButton,
        ):
            widget.enabled = isMeasured
        if not isMeasured:
            self.release()
        elif self._ui.aerationCheckBox.checked:
            self._onAeration(True)
        self._showTable()
        self._showHints()

    def release(self) -> None:
        """Leave the slice views alone: no map over the scan."""
        self._ui.aerationCheckBox.checked = False

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

    def _onNumbers(self, checked: bool = False) -> None:
        with self._log.reporting():
            showTable(resultsTableOf(self._segmentationNode))

    def _onHistogram(self, checked: bool = False) -> None:
        with self._log.reporting(), waiting():
            showChart(self._logic.histogram(self._segmentationNode))

    def _onAeration(self, isOn: bool) -> None:
        with self._log.reporting(), waiting():
            overlay = self._logic.aerationMap(self._segmentationNode) if isOn else None
            slicer.util.setSliceViewerLayers(foreground=overlay, foregroundOpacity=OPACITY)

    def _onCopyReport(self, checked: bool = False) -> None:
        with self._log.reporting():
            slicer.app.clipboard().setText(self._logic.reportText(self._segmentationNode))

    def _onCopyMethods(self, checked: bool = False) -> None:
        with self._log.reporting():
            slicer.app.clipboard().setText(self._logic.methodsText(self._segmentationNode))

    def _onLink(self, number: str) -> None:
        with self._log.reporting():
            jumpTo(positionOfSlice(self._segmentationNode, int(number)))

    def _onEdit(self, checked: bool = False) -> None:
        with self._log.reporting():
            slicer.util.selectModule("SegmentEditor")
            editor = slicer.modules.SegmentEditorWidget.editor
            editor.setSegmentationNode(self._segmentationNode)
            editor.setSourceVolumeNode(volumeOf(self._segmentationNode))
            editor.setActiveEffectByName(EFFECT)


def frame3DViews() -> None:
    """Let each 3D view show all surfaces that are in it, from the side from which it is seen."""
    layoutManager = slicer.app.layoutManager()
    for index in range(layoutManager.threeDViewCount if layoutManager else 0):
        view = layoutManager.threeDWidget(index).threeDView()
        view.resetFocalPoint()  # the box around the view's contents gets their size, too
        node = view.mrmlViewNode()
        shown = node.GetBoxVisible(), node.GetAxisLabelsVisible()
        _showBox(node, False, False)  # it also holds scans, which may lie elsewhere
        view.resetCamera(False, True, True)  # not the rotation
        _showBox(node, *shown)


def _showBox(node: slicer.vtkMRMLViewNode, box: bool, labels: bool) -> None:
    with slicer.util.NodeModify(node):
        node.SetBoxVisible(box)
        node.SetAxisLabelsVisible(labels)


def _texts(tableNode: slicer.vtkMRMLTableNode | None) -> tuple[list[str], list[list[str]]]:
    """Titles and rows for the whole lungs, without columns that are empty; none without a table."""
    if not tableNode:
        return [], []
    rows = range(len(WHOLE))
    columns = [
        column
        for column in range(tableNode.GetNumberOfColumns())
        if tableNode.GetColumnName(column) in COLUMNS
        and any(tableNode.GetCellText(row, column) for row in rows)
    ]
    titles = [tableNode.GetColumnName(column) for column in columns]
    return titles, [[tableNode.GetCellText(row, column) for column in columns] for row in rows]

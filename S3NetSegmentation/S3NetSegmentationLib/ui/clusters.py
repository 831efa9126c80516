"""The table of tissues: see what each is, take it as lung or not, pick a part in a slice view."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from ..errors import S3NetError
from ..lung.tissues import Tissue, colors_of
from ..mrml.change import Change
from ..mrml.logic import SegmentationLogic
from ..mrml.nodes import tissueMapOf, volumeOf
from ..result import Part
from .changes import Changes
from .outline import Outline
from .picking import SliceViewPicker

OPACITY = 0.5
"""Of the tissues over the scan."""


class TissuePanel:
    """Shows the tissues of a segmentation; the lungs follow every choice at once.

    Parameters
    ----------
    ui
        The panel's widgets: `tissueTable`, `tissueSpinBox`, `pickButton`, `showTissuesCheckBox`.
    logic : SegmentationLogic
    changes : Changes
        Make what is chosen.
    """

    def __init__(self, ui: SimpleNamespace, logic: SegmentationLogic, changes: Changes):
        self._ui, self._logic, self._changes = ui, logic, changes
        self._segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
        self._outline = Outline()
        self._picker = SliceViewPicker(self._onPicked, self._onHovered, self._outline.hide)
        self._table = ui.tissueTable
        self._table.setColumnCount(4)
        self._table.setHorizontalHeaderLabels(
            [_("Tissue"), _("Mean\n(HU)"), _("Volume\n(mL)"), _("In lungs\n(%)")]
        )
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        self._table.connect("itemChanged(QTableWidgetItem*)", self._onItemChanged)
        ui.tissueSpinBox.connect("valueChanged(int)", self._onCountChanged)
        ui.pickButton.connect("toggled(bool)", self._onPickToggled)
        ui.showTissuesCheckBox.connect("toggled(bool)", self._onShowToggled)
        self.show(None)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show the tissues of a segmentation; None, or one without tissues, empties the table."""
        if self._changes.isBusy and segmentationNode is self._segmentationNode:
            return  # the table shows what was chosen, which is not in the scene yet
        self._segmentationNode = segmentationNode
        self._outline.hide()
        tissues = self._logic.tissues(segmentationNode)
        if not tissueMapOf(segmentationNode) or not volumeOf(segmentationNode):
            tissues = ()  # without them nothing can be chosen
        wasBlocked = self._table.blockSignals(True)
        self._table.setRowCount(len(tissues))
        for row, (tissue, color) in enumerate(zip(tissues, colors_of(tissues), strict=True)):
            self._fillRow(row, tissue, color)
        self._table.blockSignals(wasBlocked)
        self._table.visible = self._table.enabled = bool(tissues)
        for widget in (self._ui.pickButton, self._ui.showTissuesCheckBox):
            widget.enabled = bool(tissues)
        if not tissues:
            self.release()
        elif self._ui.showTissuesCheckBox.checked:
            self._onShowToggled(True)

    def release(self) -> None:
        """Leave the slice views alone: no picking, no tissues over the scan."""
        self._ui.pickButton.checked = False
        self._ui.showTissuesCheckBox.checked = False

    def _fillRow(self, row: int, tissue: Tissue, color: tuple[float, float, float]) -> None:
        name = qt.QTableWidgetItem(tissue.name)
        name.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
        name.setCheckState(qt.Qt.Checked if tissue.is_lung else qt.Qt.Unchecked)
        red, green, blue = (round(255 * part) for part in color)
        name.setData(qt.Qt.DecorationRole, qt.QColor(red, green, blue))
        name.setData(qt.Qt.UserRole, tissue.number)
        self._table.setItem(row, 0, name)
        figures = (tissue.mean_hu, tissue.volume_ml, 100 * tissue.lung_fraction)
        for column, figure in enumerate(figures, 1):
            item = qt.QTableWidgetItem(f"{figure:.0f}")
            item.setFlags(qt.Qt.ItemIsEnabled)
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self._table.setItem(row, column, item)

    def _onItemChanged(self, item: qt.QTableWidgetItem) -> None:
        node, number = self._segmentationNode, item.data(qt.Qt.UserRole)
        isTaken = item.checkState() == qt.Qt.Checked

        def prepare() -> Change:
            numbers = {each.number for each in self._logic.tissues(node) if each.is_lung}
            return self._logic.choosing(node, numbers | {number} if isTaken else numbers - {number})

        self._changes.ask(node, prepare)

    def _onCountChanged(self, count: int) -> None:
        node = self._segmentationNode
        if self._table.rowCount:
            self._table.enabled = False  # its rows will be others
            self._changes.ask(node, lambda: self._logic.merging(node, count), "merge")

    def _onPicked(self, ras: Sequence[float], whole: bool) -> None:
        node = self._segmentationNode
        self._changes.ask(node, lambda: self._logic.picking(ras, node, whole))

    def _onHovered(
        self,
        sliceView: slicer.qMRMLSliceView,
        sliceNode: slicer.vtkMRMLSliceNode,
        ras: Sequence[float],
        whole: bool,
    ) -> None:
        try:
            found = self._partAt(ras, whole)
        except S3NetError:  # a click will say so
            found = None
        if found is None:
            self._outline.hide()
        else:
            self._outline.show(sliceView, sliceNode, *found)

    def _partAt(
        self, ras: Sequence[float], whole: bool
    ) -> tuple[Part, np.ndarray, np.ndarray] | None:
        """As of `SegmentationLogic.partAt`; nothing as long as that would take seconds."""
        node = self._segmentationNode
        if self._logic.isAtHand(node):
            return self._logic.partAt(ras, node, whole)
        if not self._changes.isBusy:
            self._logic.preparing(node)  # may refuse
            self._changes.ask(node, lambda: self._logic.preparing(node))
        return None

    def _onPickToggled(self, isOn: bool) -> None:
        if isOn:
            self._ui.showTissuesCheckBox.checked = True
            self._picker.start()
        else:
            self._picker.stop()
            self._outline.hide()

    def _onShowToggled(self, isOn: bool) -> None:
        tissues = tissueMapOf(self._segmentationNode) if isOn else None
        slicer.util.setSliceViewerLayers(label=tissues, labelOpacity=OPACITY)

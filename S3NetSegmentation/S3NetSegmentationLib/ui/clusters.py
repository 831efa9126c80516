"""The table of clusters: see what each is, take it as lung or not, pick it in a slice view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace

import qt
import slicer
from slicer.i18n import tr as _

from ..lung.clusters import ClusterStatistics
from ..mrml.logic import SegmentationLogic
from ..mrml.nodes import clusterMapOf, volumeOf
from ..mrml.segmentation import clusterColor
from .log import Log, waiting
from .picking import SliceViewPicker

OPACITY = 0.5
"""Of the clusters over the scan."""


class ClusterPanel:
    """Shows the clusters of a segmentation; the lungs follow every choice at once.

    Parameters
    ----------
    ui
        The panel's widgets: `clusterTable`, `pickButton`, `showClustersCheckBox`.
    logic : SegmentationLogic
    log : Log
    onChosen : callable
        Called after the lungs have changed, or could not.
    """

    def __init__(
        self,
        ui: SimpleNamespace,
        logic: SegmentationLogic,
        log: Log,
        onChosen: Callable[[], None],
    ):
        self._ui, self._logic, self._log = ui, logic, log
        self._onChosen = onChosen
        self._segmentationNode: slicer.vtkMRMLSegmentationNode | None = None
        self._picker = SliceViewPicker(self._onPicked)
        self._table = ui.clusterTable
        self._table.setColumnCount(3)
        self._table.setHorizontalHeaderLabels([_("Lung"), _("Mean (HU)"), _("Volume (mL)")])
        self._table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self._table.connect("itemChanged(QTableWidgetItem*)", self._onItemChanged)
        ui.pickButton.connect("toggled(bool)", self._onPickToggled)
        ui.showClustersCheckBox.connect("toggled(bool)", self._onShowToggled)
        self.show(None)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show the clusters of a segmentation; None, or one without clusters, empties the table."""
        self._segmentationNode = segmentationNode
        clusters, chosen = self._logic.clusters(segmentationNode)
        if not clusterMapOf(segmentationNode) or not volumeOf(segmentationNode):
            clusters = ()  # without them nothing can be chosen
        wasBlocked = self._table.blockSignals(True)
        self._table.setRowCount(len(clusters))
        for row, cluster in enumerate(clusters):
            self._fillRow(row, cluster, cluster.number in chosen)
        self._table.blockSignals(wasBlocked)
        self._table.visible = bool(clusters)
        for widget in (self._ui.pickButton, self._ui.showClustersCheckBox):
            widget.enabled = bool(clusters)
        if not clusters:
            self.release()
        elif self._ui.showClustersCheckBox.checked:
            self._onShowToggled(True)

    def release(self) -> None:
        """Leave the slice views alone: no picking, no clusters over the scan."""
        self._ui.pickButton.checked = False
        self._ui.showClustersCheckBox.checked = False

    def _fillRow(self, row: int, cluster: ClusterStatistics, isChosen: bool) -> None:
        name = qt.QTableWidgetItem(_("cluster {number}").format(number=cluster.number))
        name.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
        name.setCheckState(qt.Qt.Checked if isChosen else qt.Qt.Unchecked)
        red, green, blue = (round(255 * part) for part in clusterColor(cluster.number))
        name.setData(qt.Qt.DecorationRole, qt.QColor(red, green, blue))
        name.setData(qt.Qt.UserRole, cluster.number)
        self._table.setItem(row, 0, name)
        for column, figure in ((1, cluster.mean_hu), (2, cluster.volume_ml)):
            item = qt.QTableWidgetItem(f"{figure:.0f}")
            item.setFlags(qt.Qt.ItemIsEnabled)
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self._table.setItem(row, column, item)

    def _onItemChanged(self, item: qt.QTableWidgetItem) -> None:
        rows = range(self._table.rowCount)
        names = [self._table.item(row, 0) for row in rows]
        self._choose(
            name.data(qt.Qt.UserRole) for name in names if name.checkState() == qt.Qt.Checked
        )

    def _onPicked(self, ras: Sequence[float]) -> None:
        with self._log.reporting():
            number = self._logic.clusterAt(ras, self._segmentationNode)
        if number:
            chosen = set(self._logic.clusters(self._segmentationNode)[1])
            self._choose(chosen ^ {number})

    def _choose(self, numbers: Iterable[int]) -> None:
        with self._log.reporting(), waiting():
            self._logic.chooseClusters(self._segmentationNode, numbers)
        self._onChosen()

    def _onPickToggled(self, isOn: bool) -> None:
        if isOn:
            self._ui.showClustersCheckBox.checked = True
            self._picker.start()
        else:
            self._picker.stop()

    def _onShowToggled(self, isOn: bool) -> None:
        clusters = clusterMapOf(self._segmentationNode) if isOn else None
        slicer.util.setSliceViewerLayers(label=clusters, labelOpacity=OPACITY)

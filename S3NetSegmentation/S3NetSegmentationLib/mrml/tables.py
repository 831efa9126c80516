"""Table nodes: the clusters and the figures of the lungs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import slicer
import vtk

from ..lung.clusters import ClusterStatistics
from ..lung.levels import EMPHYSEMA_HU
from ..lung.measure import LungMeasurements

CHOSEN, CLUSTER, MEAN, MEDIAN, VOLUME = (
    "Chosen",
    "Cluster",
    "Mean (HU)",
    "Median (HU)",
    "Volume (mL)",
)
INSIDE, AT_BORDER = "Inside the body", "At the border"
EDITED = "Edited"


def writeClusterTable(
    tableNode: slicer.vtkMRMLTableNode, table: Iterable[ClusterStatistics], chosen: Iterable[int]
) -> None:
    """Fill a table node: a row for each cluster, and whether it is taken as lung."""
    table, chosen = list(table), set(chosen)
    _fill(
        tableNode,
        {
            CHOSEN: [int(row.number in chosen) for row in table],
            CLUSTER: [row.number for row in table],
            MEAN: [row.mean_hu for row in table],
            MEDIAN: [row.median_hu for row in table],
            VOLUME: [row.volume_ml for row in table],
            INSIDE: [row.body_fraction for row in table],
            AT_BORDER: [int(row.touches_border) for row in table],
        },
    )


def readClusterTable(
    tableNode: slicer.vtkMRMLTableNode,
) -> tuple[tuple[ClusterStatistics, ...], tuple[int, ...]]:
    """The clusters of a table node, and which of them are chosen."""
    columns = tableNode.GetTable()

    def values(name: str) -> list[float]:
        column = columns.GetColumnByName(name)
        return [column.GetVariantValue(row).ToDouble() for row in range(columns.GetNumberOfRows())]

    table = tuple(
        ClusterStatistics(int(number), mean, median, volume, inside, bool(border))
        for number, mean, median, volume, inside, border in zip(
            *map(values, (CLUSTER, MEAN, MEDIAN, VOLUME, INSIDE, AT_BORDER)), strict=True
        )
    )
    chosen = tuple(row.number for row, taken in zip(table, values(CHOSEN), strict=True) if taken)
    return table, chosen


def writeResultsTable(
    tableNode: slicer.vtkMRMLTableNode,
    lungs: Iterable[LungMeasurements],
    edited: Collection[str] = (),
) -> None:
    """Fill a table node: a row for each lung; what an empty lung lacks is left out.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode
    lungs : iterable of LungMeasurements
    edited : collection of str
        Names of the lungs that were edited by hand.
    """
    lungs = list(lungs)
    _fill(
        tableNode,
        {
            "Lung": [lung.name for lung in lungs],
            "Volume (mL)": [f"{lung.volume_ml:.0f}" for lung in lungs],
            "Mean (HU)": [f"{lung.mean_hu:.0f}" if lung.volume_ml else "" for lung in lungs],
            f"< {EMPHYSEMA_HU} HU (%)": [
                f"{lung.emphysema_fraction:.1%}".rstrip("%") if lung.volume_ml else ""
                for lung in lungs
            ],
            EDITED: ["by hand" if lung.name in edited else "" for lung in lungs],
        },
    )


def _fill(tableNode: slicer.vtkMRMLTableNode, columns: dict[str, list]) -> None:
    """Replace what the table holds, in one change of the node."""
    table = vtk.vtkTable()
    for name, values in columns.items():
        column = _column(values)
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    tableNode.SetLocked(True)
    tableNode.SetAndObserveTable(table)


def _column(values: list) -> vtk.vtkAbstractArray:
    if values and isinstance(values[0], str):
        return vtk.vtkStringArray()
    return vtk.vtkIntArray() if values and isinstance(values[0], int) else vtk.vtkDoubleArray()

"""Table nodes: the tissues and the figures of the lungs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import slicer
import vtk

from ..lung.levels import EMPHYSEMA_HU
from ..lung.measure import LungMeasurements
from ..lung.tissues import Tissue

NUMBER, NAME, MEAN, VOLUME, IN_LUNGS = (
    "Number",
    "Tissue",
    "Mean (HU)",
    "Volume (mL)",
    "Share in the lungs",
)
EDITED = "Edited"


def writeTissueTable(tableNode: slicer.vtkMRMLTableNode, table: Iterable[Tissue]) -> None:
    """Fill a table node: a row for each tissue."""
    table = list(table)
    _fill(
        tableNode,
        {
            NUMBER: [row.number for row in table],
            NAME: [row.name for row in table],
            MEAN: [row.mean_hu for row in table],
            VOLUME: [row.volume_ml for row in table],
            IN_LUNGS: [row.lung_fraction for row in table],
        },
    )


def readTissueTable(tableNode: slicer.vtkMRMLTableNode) -> tuple[Tissue, ...]:
    """The tissues of a table node."""
    columns = tableNode.GetTable()

    def values(name: str) -> list[vtk.vtkVariant]:
        column = columns.GetColumnByName(name)
        return [column.GetVariantValue(row) for row in range(columns.GetNumberOfRows())]

    return tuple(
        Tissue(
            number.ToInt(), name.ToString(), mean.ToDouble(), volume.ToDouble(), share.ToDouble()
        )
        for number, name, mean, volume, share in zip(
            *map(values, (NUMBER, NAME, MEAN, VOLUME, IN_LUNGS)), strict=True
        )
    )


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

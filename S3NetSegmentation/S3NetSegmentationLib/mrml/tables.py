"""Table nodes: the tissues and the figures of the lungs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import slicer
import vtk

from ..lung.densitometry import QUANTITIES, REGIONS, Numbers
from ..lung.tissues import Tissue

NUMBER, NAME, MEAN, VOLUME, IN_LUNGS = (
    "Number",
    "Tissue",
    "Mean (HU)",
    "Volume (mL)",
    "Share in the lungs",
)
LUNG, EDITED = "Lung", "Edited"


def writeTissueTable(tableNode: slicer.vtkMRMLTableNode, table: Iterable[Tissue]) -> None:
    """Fill a table node: a row for each tissue."""
    table = list(table)
    fillTable(
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
    tableNode: slicer.vtkMRMLTableNode, numbers: Numbers, edited: Collection[str] = ()
) -> None:
    """Fill a table node: a row for each region, first the right, the left and both lungs.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode
    numbers : dict
        From `numbers_of`.
    edited : collection of str
        Names of the lungs that were edited by hand.
    """
    fillTable(
        tableNode,
        {
            LUNG: list(REGIONS.values()),
            **{
                each.title: [each.text(numbers[region][each.key]) for region in REGIONS]
                for each in QUANTITIES
            },
            EDITED: ["by hand" if name in edited else "" for name in REGIONS.values()],
        },
    )


def fillTable(tableNode: slicer.vtkMRMLTableNode, columns: dict[str, list]) -> None:
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

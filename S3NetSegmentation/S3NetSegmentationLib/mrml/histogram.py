"""The histogram of the lungs as a plot of Slicer, with the thresholds of the quantities."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from ..io.segments import LUNG_SEGMENTS
from ..lung.densitometry import HISTOGRAM_HU, THRESHOLDS, Distribution, histogram
from .nodes import CHART, HISTOGRAM, LEFT_SERIES, MARK_SERIES, MARKS, RIGHT_SERIES
from .tables import fillTable

HU, MILLILITERS, WHAT = "HU", "mL", "Threshold"

DARKER = 0.7
"""Of the colors of the lungs, which are too pale on a white ground."""


def writeHistogram(
    segmentationNode: slicer.vtkMRMLSegmentationNode, regions: Mapping[str, Distribution]
) -> None:
    """Fill the nodes of the histogram of a segmentation.

    Parameters
    ----------
    segmentationNode : vtkMRMLSegmentationNode
        Refers to the nodes.
    regions : mapping of str to Distribution
        From `distributions`.
    """
    node = segmentationNode.GetNodeReference
    right, left = (histogram(regions[side]) for side in ("right", "left"))
    names = [lung.name for lung in LUNG_SEGMENTS]
    centers = (HISTOGRAM_HU[:-1] + HISTOGRAM_HU[1:]) / 2
    columns = (centers.tolist(), right.tolist(), left.tolist())
    fillTable(node(HISTOGRAM), dict(zip((HU, *names), columns, strict=True)))
    # One line that goes up and down at each threshold.
    levels = [float(level) for level in sorted(THRESHOLDS) for _ in range(3)]
    top = float(max(right.max(), left.max()))
    heights = [0.0, top, 0.0] * len(THRESHOLDS)
    titles = [f"{THRESHOLDS[round(level)]}: {level:.0f} HU" for level in levels]
    fillTable(node(MARKS), {HU: levels, MILLILITERS: heights, WHAT: titles})


def makeChart(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Let the chart of a segmentation show the tables of its histogram."""
    node = segmentationNode.GetNodeReference
    chart = node(CHART)
    chart.RemoveAllPlotSeriesNodeIDs()
    for role, lung in zip((RIGHT_SERIES, LEFT_SERIES), LUNG_SEGMENTS, strict=True):
        series = _line(node(role), node(HISTOGRAM), lung.name, lung.name)
        series.SetColor(*(DARKER * part for part in lung.color))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    marks = _line(node(MARK_SERIES), node(MARKS), MILLILITERS, "thresholds")
    marks.SetColor(0.5, 0.5, 0.5)
    marks.SetLineStyle(marks.LineStyleDot)
    marks.SetLabelColumnName(WHAT)
    chart.AddAndObservePlotSeriesNodeID(marks.GetID())
    chart.SetTitle(chart.GetName())
    chart.SetXAxisTitle(HU)
    width = int(HISTOGRAM_HU[1] - HISTOGRAM_HU[0])
    chart.SetYAxisTitle(f"{MILLILITERS} per {width} {HU}")


def _line(
    series: slicer.vtkMRMLPlotSeriesNode, table: slicer.vtkMRMLTableNode, column: str, name: str
) -> slicer.vtkMRMLPlotSeriesNode:
    """Let a series draw a column of a table over its HU; a name is what the legend says."""
    series.SetName(name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName(HU)
    series.SetYColumnName(column)
    series.SetMarkerStyle(series.MarkerStyleNone)
    series.SetLineStyle(series.LineStyleSolid)
    return series

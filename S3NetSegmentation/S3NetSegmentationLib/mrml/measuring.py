"""The table of the lungs' figures, kept in step with the segments."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
import slicer

from ..io.segments import LUNG_SEGMENTS
from ..lung.measure import measure_lungs
from .edits import Shapes, differing, shapesOf, writtenShapes
from .nodes import resultsTableOf, volumeOf
from .segmentation import readLungs
from .tables import writeResultsTable
from .volume import geometryOf, voxelBox

MEASURED = "S3Net.measured"
"""Attribute of a results table: the shapes of the lungs that it is about."""


def updateFigures(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Measure the lungs anew where they are no longer those that the table is about."""
    tableNode, volumeNode = resultsTableOf(segmentationNode), volumeOf(segmentationNode)
    if not tableNode or not volumeNode or not volumeNode.GetImageData():
        return
    now = shapesOf(segmentationNode)
    if differing(now, json.loads(tableNode.GetAttribute(MEASURED) or "{}")):
        lungs = readLungs(segmentationNode, volumeNode)
        edited = differing(now, writtenShapes(segmentationNode))
        writeFigures(tableNode, lungs, volumeNode, now, edited)


def writeFigures(
    tableNode: slicer.vtkMRMLTableNode,
    lungs: np.ndarray,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    shapes: Shapes,
    edited: Collection[str],
) -> None:
    """Write the figures of lungs into a table.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode
    lungs : ndarray of uint8, (k, j, i)
        On the voxels of the volume: 1 right lung, 2 left lung.
    volumeNode : vtkMRMLScalarVolumeNode
    shapes : dict
        Those of the lungs.
    edited : collection of str
        Ids of those that were edited by hand.
    """
    voxel_ml = geometryOf(volumeNode, voxelBox(volumeNode)).voxel_ml
    writeResultsTable(
        tableNode,
        measure_lungs(lungs, slicer.util.arrayFromVolume(volumeNode), voxel_ml),
        [lung.name for lung in LUNG_SEGMENTS if lung.segment_id in edited],
    )
    tableNode.SetAttribute(MEASURED, json.dumps(shapes))

"""The outline of a part of a tissue, drawn over a slice view."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from scipy import ndimage
from vtk.util import numpy_support

from ..result import Part

STEP = 2
"""Pixels of the view between two places at which a mask is looked up; it is coarser than that."""

COLOR, WIDTH = (1.0, 1.0, 0.0), 2
"""Red, green, blue; pixels of the line."""


class Outline:
    """Shows where a mask is in one slice view at a time."""

    def __init__(self) -> None:
        mapper = vtk.vtkPolyDataMapper2D()
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetColor(*COLOR)
        self._actor.GetProperty().SetLineWidth(WIDTH)
        self._mapper = mapper
        self._view: slicer.qMRMLSliceView | None = None
        self._shown: tuple | None = None

    def show(
        self,
        sliceView: slicer.qMRMLSliceView,
        sliceNode: slicer.vtkMRMLSliceNode,
        part: Part,
        mask: np.ndarray,
        toMask: np.ndarray,
    ) -> None:
        """Outline a part, as of `SegmentationLogic.partAt`, in a slice view."""
        place = slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS()).tobytes()
        if self._shown == (sliceView, place, part):
            return
        if self._view is not sliceView:
            self.hide()
            self._view = sliceView
            _renderer(sliceView).AddViewProp(self._actor)
        self._mapper.SetInputData(outlineOf(sliceNode, mask, toMask))
        self._shown = sliceView, place, part
        sliceView.scheduleRender()

    def hide(self) -> None:
        """Outline nothing any more."""
        if self._view is not None:
            _renderer(self._view).RemoveViewProp(self._actor)
            self._view.scheduleRender()
        self._view = self._shown = None


def outlineOf(
    sliceNode: slicer.vtkMRMLSliceNode, mask: np.ndarray, toMask: np.ndarray
) -> vtk.vtkPolyData:
    """Lines, in pixels of a slice view, around what the view shows of a mask."""
    width, height, _ = sliceNode.GetDimensions()
    # One place beyond each side, so lines end at the border of the view.
    columns, rows = np.arange(-STEP, width + STEP, STEP), np.arange(-STEP, height + STEP, STEP)
    x, y = np.meshgrid(columns, rows)
    toView = toMask @ slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS())
    places = np.tensordot(toView[:3, [0, 1, 3]], np.stack([x, y, np.ones_like(x)]), 1)
    places[0] = np.rint(places[0])  # a pixel of the mask is one slice thick
    inside = ndimage.map_coordinates(mask.astype(np.float32), places, order=1, mode="constant")
    image = vtk.vtkImageData()
    image.SetDimensions(len(columns), len(rows), 1)
    image.SetOrigin(-STEP, -STEP, 0)
    image.SetSpacing(STEP, STEP, 1)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(inside.ravel(), deep=True))
    contour = vtk.vtkMarchingSquares()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.Update()
    return contour.GetOutput()


def _renderer(sliceView: slicer.qMRMLSliceView) -> vtk.vtkRenderer:
    return sliceView.renderWindow().GetRenderers().GetFirstRenderer()

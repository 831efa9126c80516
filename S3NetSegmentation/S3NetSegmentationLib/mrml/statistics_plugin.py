"""Lung densitometry in Slicer's Segment Statistics, for the segments of any segmentation on a CT.

Slicer's module is imported here, so this one is loaded when Slicer has started.
"""

from __future__ import annotations

import numpy as np
import slicer
from SegmentStatisticsPlugins import SegmentStatisticsPluginBase
from slicer.i18n import tr as _

from ..errors import InputError
from ..lung.densitometry import (
    OWN_SCHEME,
    QUANTITIES,
    THIRDS,
    UNITS,
    Code,
    Distribution,
    by_thirds,
    quantities_of,
)
from ..orientation import AxialOrientation
from .segmentation import voxelsOfSegment
from .volume import geometryOf, isCt, voxelBox

WHOLE = ""
"""Prefix of the keys of the whole segment; those of a third begin with its name."""

MEASUREMENTS = {
    f"{part}{quantity.key}": (part, quantity)
    for part in (WHOLE, *(f"{third}_" for third in reversed(THIRDS)))
    for quantity in QUANTITIES
}


class LungDensitometrySegmentStatisticsPlugin(SegmentStatisticsPluginBase):
    """Volume, mass, intensities, and shares of low and high attenuation and of aeration."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "Lung Densitometry"
        self.title = _("Lung Densitometry")
        self.keys = list(MEASUREMENTS)
        self.defaultKeys = [key for key, (part, _quantity) in MEASUREMENTS.items() if part == WHOLE]

    def computeStatistics(self, segmentID: str) -> dict[str, float]:
        """The requested measurements of a segment; none where the volume is not CT."""
        requested = self.getRequestedKeys()
        node = slicer.mrmlScene.GetNodeByID
        segmentationNode, volumeNode = (
            node(self.getParameterNode().GetParameter(name) or "")
            for name in ("Segmentation", "ScalarVolume")
        )
        if not requested or not volumeNode or not isCt(volumeNode):
            return {}
        inside = voxelsOfSegment(segmentationNode, segmentID, volumeNode)
        if inside is None:
            return {}
        try:
            geometry = geometryOf(volumeNode, voxelBox(volumeNode))
        except (
            InputError
        ):  # under a transform that bends: Slicer's own plugins see no voxels either
            return {}
        apply = AxialOrientation(geometry).apply
        hounsfield = slicer.util.arrayFromVolume(volumeNode)
        thirds = by_thirds(apply(inside), apply(hounsfield), geometry.voxel_ml)
        parts = {WHOLE: Distribution.together(thirds.values())}
        parts |= {f"{third}_": part for third, part in thirds.items()}
        values = {
            f"{part}{name}": value
            for part, region in parts.items()
            for name, value in quantities_of(region).items()
        }
        return {key: values[key] for key in requested if not np.isnan(values[key])}

    def getMeasurementInfo(self, key: str) -> dict[str, str] | None:
        """Name, definition, unit and codes of a measurement."""
        if key not in MEASUREMENTS:
            return None
        part, quantity = MEASUREMENTS[key]
        third = f", {part.rstrip('_')} third" if part else ""
        code = (key, OWN_SCHEME, f"{quantity.name}{third}") if part else quantity.code
        return self.createMeasurementInfo(
            name=f"{quantity.title}{third}",
            title=f"{quantity.name}{third}",
            description=f"{quantity.definition}{third}. {quantity.source}".rstrip(". ") + ".",
            units=quantity.unit,
            quantityDicomCode=self._coded(code),
            unitsDicomCode=self._coded(UNITS[quantity.unit]),
            measurementMethodDicomCode=self._coded(quantity.method),
            derivationDicomCode=self._coded(quantity.derivation),
        )

    def _coded(self, code: Code | None) -> str | None:
        return self.createCodedEntry(*code, True) if code else None

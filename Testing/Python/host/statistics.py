"""Segment Statistics: Slicer's own from a checkout of Slicer, else stand-ins for its classes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import slicer

from .scripted import SOURCES

FOLDER = Path(SOURCES or "") / "Modules" / "Scripted" / "SegmentStatistics"
IS_REAL = bool(SOURCES) and FOLDER.is_dir()
NAMES = ("SegmentStatistics", "SegmentStatisticsPlugins")


def install(monkeypatch) -> None:
    """Make Segment Statistics importable, as it is where Slicer has started, for one test."""
    for name in [*sys.modules]:
        if name.split(".")[0] in NAMES or name.endswith(".statistics_plugin"):
            monkeypatch.delitem(sys.modules, name)
    if IS_REAL:
        monkeypatch.syspath_prepend(str(FOLDER))
        monkeypatch.setitem(sys.modules, "vtkSegmentationCorePython", slicer)
        for name in ("qt", "ctk", "vtkITK"):  # for its own panel and shapes, which no test looks at
            monkeypatch.setitem(sys.modules, name, MagicMock(QDialog=object))
        return
    plugins, statistics = (ModuleType(name) for name in reversed(NAMES))
    plugins.SegmentStatisticsPluginBase = SegmentStatisticsPluginBase
    statistics.SegmentStatisticsLogic = type(
        "SegmentStatisticsLogic", (SegmentStatisticsLogic,), {"registeredPlugins": []}
    )
    for module in (plugins, statistics):
        monkeypatch.setitem(sys.modules, module.__name__, module)


class SegmentStatisticsPluginBase:
    """Base of a plugin, without its widgets."""

    def __init__(self):
        self.name, self.title, self.keys, self.defaultKeys = "", "", [], []
        self._parameterNode = None

    @staticmethod
    def createCodedEntry(codeValue, codingScheme, codeMeaning, returnAsString=False):
        """A coded entry of Slicer, or its text."""
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(codeValue, codingScheme, codeMeaning)
        return entry.GetAsString() if returnAsString else entry

    @staticmethod
    def createMeasurementInfo(
        name,
        title,
        description,
        units,
        quantityDicomCode=None,
        unitsDicomCode=None,
        measurementMethodDicomCode=None,
        derivationDicomCode=None,
    ):
        """What is known of a measurement."""
        codes = {
            "Quantity": quantityDicomCode,
            "Units": unitsDicomCode,
            "MeasurementMethod": measurementMethodDicomCode,
            "Derivation": derivationDicomCode,
        }
        info = {"name": name, "title": title, "description": description, "units": units}
        return info | {f"DICOM.{kind}Code": code for kind, code in codes.items() if code}

    def setParameterNode(self, node):
        """Where the requests and the nodes to measure are named."""
        self._parameterNode = node
        for key in self.keys:
            name = f"{type(self).__name__}.{key}.enabled"
            if not node.GetParameter(name):
                node.SetParameter(name, str(key in self.defaultKeys))

    def getParameterNode(self):
        """The same."""
        return self._parameterNode

    def getRequestedKeys(self):
        """Those that are switched on."""
        value = self._parameterNode.GetParameter
        plugin = type(self).__name__
        return [key for key in self.keys if value(f"{plugin}.{key}.enabled") == "True"]


class SegmentStatisticsLogic:
    """Calls the plugins that are registered for each segment."""

    registeredPlugins: list[type] = []

    @classmethod
    def registerPlugin(cls, plugin):
        """Remember the class of a plugin."""
        if type(plugin) not in cls.registeredPlugins:
            cls.registeredPlugins.append(type(plugin))

    def __init__(self):
        self.plugins = [kind() for kind in self.registeredPlugins]
        self._node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        self._statistics = {"SegmentIDs": [], "MeasurementInfo": {}}
        for plugin in self.plugins:
            plugin.setParameterNode(self._node)

    def getParameterNode(self):
        """Names the segmentation and the volume."""
        return self._node

    def getStatistics(self):
        """By segment and measurement."""
        return self._statistics

    def computeStatistics(self):
        """Measure all segments."""
        segmentation = slicer.mrmlScene.GetNodeByID(self._node.GetParameter("Segmentation"))
        for segmentId in segmentation.GetSegmentation().GetSegmentIDs():
            self._statistics["SegmentIDs"].append(segmentId)
            for plugin in self.plugins:
                for key, value in plugin.computeStatistics(segmentId).items():
                    name = f"{type(plugin).__name__}.{key}"
                    self._statistics[segmentId, name] = value
                    self._statistics["MeasurementInfo"][name] = plugin.getMeasurementInfo(key)

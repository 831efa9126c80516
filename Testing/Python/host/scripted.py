"""Stand-ins for `slicer.i18n`, `slicer.ScriptedLoadableModule` and `slicer.parameterNodeWrapper`.

No package has them. Where ``SLICER_SOURCE_DIR`` names a checkout of Slicer, its own ones are used:
see the package's docstring.
"""

from __future__ import annotations

import enum
import os
import sys
import typing
import unittest
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import slicer
import vtk

SOURCES = os.environ.get("SLICER_SOURCE_DIR")


def install() -> None:
    """Make the three modules importable."""
    if SOURCES:
        folder = Path(SOURCES) / "Base" / "Python" / "slicer"
        if not (folder / "ScriptedLoadableModule.py").is_file():
            raise FileNotFoundError(f"SLICER_SOURCE_DIR is no checkout of Slicer: {SOURCES}")
        slicer.__path__.append(str(folder))
        return
    _module("i18n", tr=lambda text: text, translate=lambda context, text: text)
    _module(
        "ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=unittest.TestCase,
    )
    _module(
        "parameterNodeWrapper",
        parameterNodeWrapper=parameterNodeWrapper,
        WithinRange=WithinRange,
    )


def _module(name: str, **content) -> None:
    made = ModuleType(f"slicer.{name}")
    made.__dict__.update(content)
    sys.modules[f"slicer.{name}"] = made
    setattr(slicer, name, made)


class ScriptedLoadableModule:
    """Base of a module's description, of which no test makes one."""


class ScriptedLoadableModuleWidget:
    """Base of a module's panel."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, name: str) -> str:
        """A file in the module's folder Resources."""
        return os.path.join(
            os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", name
        )

    def setup(self):
        """Nothing to add outside the developer mode."""

    def onReload(self):
        """Read the module's file again and make its panel anew."""
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Base of a module's logic."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        """The scene's only node with the module's parameters, made where it is missing."""
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetName(self.moduleName)
            node = scene.AddNode(node)
        node.SetAttribute("ModuleName", self.moduleName)
        return node


@dataclass
class WithinRange:
    """Annotation: least and largest value."""

    minimum: float
    maximum: float


@dataclass
class _Default:
    value: object


class _Parameter:
    """One typed parameter of a node."""

    def __init__(self, name: str, hint, default):
        self.name = name
        self.kind, *self.annotations = (
            typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else [hint]
        )
        self.isNode = issubclass(self.kind, slicer.vtkMRMLNode)
        self.default = _Default(default)

    def read(self, node):
        if self.isNode:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node, value) -> None:
        if self.isNode:
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
            return
        for limit in self.annotations:
            if isinstance(limit, WithinRange) and not limit.minimum <= value <= limit.maximum:
                raise ValueError(f"{self.name} = {value} is outside its range")
        isEnum = issubclass(self.kind, enum.Enum)
        node.SetParameter(self.name, value.name if isEnum else str(self.kind(value)))

    def exists(self, node) -> bool:
        return self.isNode or node.GetParameter(self.name) != ""


class _Wrapper:
    """What the decorator makes of a class with typed fields."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connected: dict[int, tuple] = {}
        self._showing = False
        for parameter in self.allParameters.values():
            if not parameter.exists(parameterNode):
                parameter.write(parameterNode, parameter.default.value)

    def getValue(self, name):
        return self.allParameters[name].read(self.parameterNode)

    def setValue(self, name, value):
        self.allParameters[name].write(self.parameterNode, value)

    def default(self, name):
        return self.allParameters[name].default

    def connectGui(self, ui) -> int:
        """Keep every widget with a SlicerParameterName and its parameter the same."""
        bound = []
        for widget in vars(ui).values():
            name = widget.property("SlicerParameterName")
            if name:
                bound.append(self._bind(name, widget))
        show = lambda *_: self._show(bound)  # noqa: E731
        show()
        tag = len(self._connected)
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, show)
        self._connected[tag] = (observer, bound)
        return tag

    def disconnectGui(self, tag) -> None:
        observer, bound = self._connected.pop(tag)
        self.RemoveObserver(observer)
        for _name, access, changed in bound:
            access.signal.disconnect(changed)

    def _bind(self, name, widget):
        access = _access(widget, self.allParameters[name])

        def changed(*_):
            if not self._showing:
                self.setValue(name, access.read())

        access.write(self.getValue(name))
        access.signal.connect(changed)
        return name, access, changed

    def _show(self, bound) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            for name, access, _changed in bound:
                access.write(self.getValue(name))
        finally:
            self._showing = False

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)


@dataclass
class _Access:
    """How a widget's value is read, written, and when it changes."""

    read: typing.Callable
    write: typing.Callable
    signal: object


def _access(widget, parameter: _Parameter) -> _Access:
    import qt

    if parameter.isNode:
        return _Access(widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged)
    if isinstance(widget, qt.QComboBox):
        members = list(parameter.kind)
        widget.clear()
        widget.addItems([member.label() for member in members])
        return _Access(
            lambda: members[widget.currentIndex],
            lambda value: widget.setCurrentIndex(members.index(value)),
            widget.currentIndexChanged,
        )
    name = "checked" if parameter.kind is bool else "value"
    for annotation in parameter.annotations:
        if isinstance(annotation, WithinRange):
            widget.setRange(annotation.minimum, annotation.maximum)
    return _Access(
        lambda: getattr(widget, name),
        lambda value: setattr(widget, name, value),
        widget.toggled if name == "checked" else widget.valueChanged,
    )


def parameterNodeWrapper(described):
    """Turn a class with typed fields into access to a node's parameters."""
    hints = typing.get_type_hints(described, include_extras=True)
    parameters = {
        name: _Parameter(name, hint, getattr(described, name, None)) for name, hint in hints.items()
    }
    fields = {
        name: property(
            lambda self, name=name: self.getValue(name),
            lambda self, value, name=name: self.setValue(name, value),
        )
        for name in parameters
    }
    made = type(described.__name__, (_Wrapper,), {**fields, "allParameters": parameters})
    made.__doc__ = described.__doc__
    made.__module__ = described.__module__
    return made

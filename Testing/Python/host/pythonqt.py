"""Qt as Slicer's Python sees it, PythonQt, made of PySide6.

PythonQt differs from PySide6 in its manners: properties are attributes
(``checkBox.checked = True``), signals are named by their C++ signature
(``button.connect("clicked(bool)", f)``), and a new attribute on a Qt object is an error.
"""

from __future__ import annotations

import enum
import functools
import sys
from types import ModuleType
from xml.etree import ElementTree

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

ALIASES = {"name": "objectName"}
"""Names that PythonQt knows a property by, beside its own."""

_reading: set[tuple[int, str]] = set()
"""Properties being read: where one is a virtual method, too, Qt asks for the method meanwhile."""


class PythonQtWays:
    """Mixed into a class of Qt: its properties become attributes, signals go by signature."""

    def __getattribute__(self, name):
        get = super().__getattribute__
        if name.startswith("_"):
            return get(name)
        if name in ("connect", "disconnect"):
            # PySide6 finds its own static functions of these names before any override.
            return get(f"_{name}")
        name = ALIASES.get(name, name)
        if name not in _properties(type(self)) or (id(self), name) in _reading:
            return get(name)
        _reading.add((id(self), name))
        try:
            return get("property")(name)
        finally:
            _reading.discard((id(self), name))

    def __setattr__(self, name, value):
        get = super().__getattribute__
        name = ALIASES.get(name, name)
        if name in _properties(type(self)):
            # PySide6 6.9 takes enumerations by their numbers alone.
            number = value.value if isinstance(value, enum.Enum) else value
            if not get("setProperty")(name, number):
                raise TypeError(f"the property {name} does not take {value!r}")
        elif (
            name.startswith("_")
            or hasattr(type(self), name)
            or isinstance(value, QtWidgets.QWidget)  # PySide6's loader does so with children
        ):
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"{type(self).__name__} has no property {name!r}")

    def _connect(self, signature, callback):
        """Call a function whenever the signal is emitted."""
        return self._signal(signature).connect(callback)

    def _disconnect(self, signature, callback):
        """The inverse."""
        return self._signal(signature).disconnect(callback)

    def _signal(self, signature):
        normalized = QtCore.QMetaObject.normalizedSignature(signature).data().decode()
        name = normalized.split("(")[0]
        signal = super().__getattribute__(name)
        known = type(self).staticMetaObject.indexOfSignal(normalized) >= 0
        if not known and "vtk" not in normalized:
            raise ValueError(f"{type(self).__name__} has no signal {signature!r}")
        return signal


@functools.cache
def _properties(kind: type) -> frozenset[str]:
    """Names of the properties that Qt's own classes have; those made in Python are attributes."""
    meta = next(base for base in kind.__mro__ if base.__module__.startswith("PySide6"))
    meta = meta.staticMetaObject
    return frozenset(meta.property(index).name() for index in range(meta.propertyCount()))


WIDGETS = [
    "QAction",
    "QCheckBox",
    "QComboBox",
    "QDoubleSpinBox",
    "QLabel",
    "QLineEdit",
    "QPlainTextEdit",
    "QProgressBar",
    "QPushButton",
    "QSlider",
    "QSpinBox",
    "QStackedWidget",
    "QTableWidget",
    "QTextEdit",
    "QWidget",
    "QShortcut",
    "QTimer",
]
"""Classes of Qt whose instances Slicer's Python gets to see."""

PLAIN = [
    "QApplication",
    "QColor",
    "QCursor",
    "QFile",
    "QHeaderView",
    "QIcon",
    "QKeySequence",
    "QTableWidgetItem",
    "Qt",
]
"""Classes that behave alike in both."""


NAMED_ONLY = [
    "CheckBox",
    "CheckablePushButton",
    "ColorPickerButton",
    "ComboBox",
    "DirectoryButton",
    "DoubleRangeSlider",
    "DoubleSlider",
    "DoubleSpinBox",
    "PathLineEdit",
    "RangeWidget",
    "SliderWidget",
]
"""Widgets of CTK that Slicer's parameterNodeWrapper names; this panel has none of them."""


def _find(name: str):
    return next(
        getattr(module, name) for module in (QtWidgets, QtGui, QtCore) if hasattr(module, name)
    )


class QUiLoader(QtUiTools.QUiLoader):
    """Loads a .ui file into widgets with PythonQt's ways.

    The connections between MRML widgets have C++ signatures that only Slicer knows; they are
    read from the file and made here.
    """

    classes: dict[str, type] = {}
    """What makes a widget of a class that the file names."""

    def load(self, file):
        """The file's top-level widget."""
        tree = ElementTree.fromstring(bytes(file.readAll().data()))
        connections = tree.find("connections")
        wanted = [
            tuple(each.findtext(part) for part in ("sender", "signal", "receiver", "slot"))
            for each in (connections if connections is not None else ())
        ]
        if connections is not None:
            tree.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        self._made = []
        widget = super().load(buffer)
        widget._kept = self._made
        by_name = {each.objectName: each for each in self._made}
        for sender, signal, receiver, slot in wanted:
            target = getattr(by_name[receiver], slot.split("(")[0])
            by_name[sender].connect(signal, target)
        return widget

    def createWidget(self, class_name, parent=None, name=""):
        """A widget of the class that the file names."""
        made = self.classes[class_name](parent)
        made.setObjectName(name)
        self._made.append(made)
        return made


class _QSettings(QtCore.QSettings):
    """Settings in a file of their own, given by `settings_file`."""

    settings_file = ""

    def __init__(self):
        super().__init__(self.settings_file, QtCore.QSettings.IniFormat)


def install(settings_file: str) -> ModuleType:
    """Make ``import qt`` and ``import ctk`` work; `qt` is returned."""
    qt, ctk = ModuleType("qt"), ModuleType("ctk")
    for name in WIDGETS:
        setattr(qt, name, type(name, (PythonQtWays, _find(name)), {}))
    for name in PLAIN:
        setattr(qt, name, _find(name))
    _QSettings.settings_file = settings_file
    qt.QSettings = _QSettings
    qt.QUiLoader = QUiLoader
    from . import widgets

    qt.QMessageBox = widgets.QMessageBox
    for name in ("ctkCollapsibleButton", "ctkMessageBox"):
        setattr(ctk, name, getattr(widgets, name))
    for name in NAMED_ONLY:
        setattr(ctk, f"ctk{name}", type(f"ctk{name}", (PythonQtWays, QtWidgets.QWidget), {}))
    QUiLoader.classes = {name: getattr(qt, name) for name in WIDGETS} | {
        name: getattr(widgets, name)
        for name in (
            *("ctkCollapsibleButton", "ctkCollapsibleGroupBox"),
            *("qMRMLNodeComboBox", "qMRMLSegmentationShow3DButton", "qMRMLWidget"),
        )
    }
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    return qt

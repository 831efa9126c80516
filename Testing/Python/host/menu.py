"""The menu of the Data module, for which Slicer asks scripted plugins."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6 import QtCore

from .pythonqt import PythonQtWays


class qSlicerSubjectHierarchyScriptedPlugin(PythonQtWays, QtCore.QObject):
    """Makes the class that is named like its file."""

    def setPythonSource(self, path):
        """The file that holds the class, which Slicer has loaded before."""
        name = Path(path).name.split(".")[0]
        self._python = getattr(sys.modules[name], f"{name}SubjectHierarchyPlugin")(self)
        return True

    def show(self, item):
        """Actions for an item by their texts; whatever was shown before is hidden."""
        actions = self._python.itemContextMenuActions()
        for action in actions:
            action.visible = False
        self._python.showContextMenuActionsForItem(item)
        return {action.text: action for action in actions if action.visible}


class qSlicerSubjectHierarchyPluginHandler:
    """Knows the plugins, and the item that was clicked."""

    _instance = None

    def __init__(self):
        self._plugins, self._item = {}, 0

    @classmethod
    def instance(cls):
        """The only one."""
        cls._instance = cls._instance or cls()
        return cls._instance

    def registerPlugin(self, plugin):
        """Ask a plugin from now on; a name is taken once."""
        return self._plugins.setdefault(plugin.name, plugin) is plugin

    def currentItem(self):
        """The item that was clicked."""
        return self._item

    def rightClick(self, item):
        """The menu of an item: its actions by their texts."""
        self._item = item
        return {
            text: action
            for plugin in self._plugins.values()
            for text, action in plugin.show(item).items()
        }

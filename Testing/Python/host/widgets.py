"""Slicer's and CTK's own widgets, as far as the panel and its tests need them."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

from .pythonqt import PythonQtWays


class ctkCollapsibleButton(PythonQtWays, QtWidgets.QGroupBox):
    """A section with a title that folds."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False
        self._folded = []

    def _get_text(self):
        return self.title  # the text of a button, the title of a group box

    def _set_text(self, text):
        self.setTitle(text)

    def _get_collapsed(self):
        return self._collapsed

    def _set_collapsed(self, collapsed):
        self._collapsed = collapsed
        if collapsed:
            self._fold()
        else:
            for child in self._folded:
                child.setVisible(True)
            self._folded = []

    def childEvent(self, event):
        """Fold what is added later, too, as the .ui file sets properties first."""
        super().childEvent(event)
        if event.type() == QtCore.QEvent.ChildPolished and self._collapsed:
            self._fold()

    def _fold(self):
        """Hide the children, and remember those that were not hidden before."""
        children = [each for each in self.children() if isinstance(each, QtWidgets.QWidget)]
        for child in children:
            if not child.isHidden():
                self._folded.append(child)
                child.setVisible(False)

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)


class ctkCollapsibleGroupBox(ctkCollapsibleButton):
    """A smaller section with a title that folds."""


class qMRMLSegmentationShow3DButton(PythonQtWays, QtWidgets.QPushButton):
    """Makes the surfaces of a segmentation, or removes them."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setCheckable(True)
        self._node, self._tag = None, None
        self.toggled.connect(self._on_toggled)
        self._update()

    def setSegmentationNode(self, node):
        """The segmentation to show."""
        if self._tag is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        self._tag = None if node is None else node.AddObserver("AnyEvent", self._update)
        self._update()

    def _on_toggled(self, on):
        segmentation = self._node.GetSegmentation()
        if on:
            segmentation.CreateRepresentation("Closed surface")
        else:
            segmentation.RemoveRepresentation("Closed surface")

    def _update(self, caller=None, event=None):
        segmentation = self._node.GetSegmentation() if self._node else None
        self.setEnabled(bool(segmentation and segmentation.GetNumberOfSegments()))
        blocked = self.blockSignals(True)
        self.setChecked(
            bool(segmentation and segmentation.ContainsRepresentation("Closed surface"))
        )
        self.blockSignals(blocked)


class ctkMessageBox:
    """A dialog that nobody sees: its text is kept, and the answer is given beforehand."""

    shown: list[str] = []
    answer = QtWidgets.QMessageBox.Ok

    def __init__(self, parent=None):
        self.text = self.windowTitle = self.detailedText = ""
        self.icon = self.standardButtons = None

    def exec_(self):
        """Show it, in the real one."""
        ctkMessageBox.shown.append(self.text)
        return ctkMessageBox.answer

    def deleteLater(self):
        """Nothing to delete."""


class QMessageBox(PythonQtWays, QtWidgets.QMessageBox):
    """A question that nobody sees: it is kept, and the button to press is named beforehand."""

    asked: list[str] = []
    answer = ""

    def exec_(self):
        """Show it, in the real one."""
        QMessageBox.asked.append(self.text)

    def clickedButton(self):
        """The button with the answer's text."""
        return next(each for each in self.buttons() if each.text() == QMessageBox.answer)


class qMRMLWidget(PythonQtWays, QtWidgets.QWidget):
    """A widget that knows the scene."""

    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene):
        """Give the scene to whoever is connected."""
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(PythonQtWays, QtWidgets.QWidget):
    """Chooses one of the scene's nodes of some class."""

    currentNodeChanged = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box = QtWidgets.QComboBox(self)
        # A long node name makes the panel no wider.
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._box.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._properties = {
            "nodeTypes": [],
            "noneDisplay": "None",
            "noneEnabled": False,
            "addEnabled": True,
            "removeEnabled": True,
            "renameEnabled": False,
            "showChildNodeTypes": True,
        }
        self._scene, self._node, self._tags = None, None, []
        self._box.activated.connect(self._choose)

    def setMRMLScene(self, scene):
        """Offer the nodes of a scene, now and later."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        self._tags = [
            scene.AddObserver(scene.NodeAddedEvent, self._add),
            scene.AddObserver(scene.NodeRemovedEvent, self._refresh),
            scene.AddObserver(scene.EndCloseEvent, self._rebuild),
            scene.AddObserver(scene.EndImportEvent, self._rebuild),
        ]
        self._refresh()

    def currentNode(self):
        """The chosen node, or None."""
        return self._node

    def setCurrentNode(self, node):
        """Choose a node, or None; one that is not offered is None, too."""
        node = node if node in self._nodes() else None
        if node is not self._node:
            self._node = node
            self._refresh()
            self.currentNodeChanged.emit(node)

    def addNode(self):
        """What the menu's "Create new" does."""
        node = self._scene.AddNewNodeByClass(self._properties["nodeTypes"][0])
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def _nodes(self):
        nodes = []
        for kind in self._properties["nodeTypes"]:
            count = self._scene.GetNumberOfNodesByClass(kind) if self._scene else 0
            found = [self._scene.GetNthNodeByClass(i, kind) for i in range(count)]
            children = self._properties["showChildNodeTypes"]
            shown = (node for node in found if not node.GetHideFromEditors())
            nodes += [node for node in shown if children or node.GetClassName() == kind]
        return nodes

    def _add(self, caller=None, event=None):
        if not self._scene.IsImporting():
            self._refresh()

    def _rebuild(self, caller=None, event=None):
        # As qMRMLSceneModel does: all rows go, and the choice with them, before they come anew.
        self.setCurrentNode(None)
        self._refresh()

    def _refresh(self, caller=None, event=None):
        nodes = self._nodes()
        if self._node is not None and self._node not in nodes:
            self.setCurrentNode(None)
        self._box.clear()
        self._box.addItem(self._properties["noneDisplay"])
        self._box.addItems([node.GetName() for node in nodes])
        self._box.setCurrentIndex(1 + nodes.index(self._node) if self._node in nodes else 0)

    def _choose(self, index):
        self.setCurrentNode(self._nodes()[index - 1] if index else None)

    def _property(name, kind):
        def get(self):
            return self._properties[name]

        def put(self, value):
            self._properties[name] = value
            self._refresh()

        return QtCore.Property(kind, get, put)

    nodeTypes = _property("nodeTypes", "QStringList")
    noneDisplay = _property("noneDisplay", str)
    noneEnabled = _property("noneEnabled", bool)
    addEnabled = _property("addEnabled", bool)
    removeEnabled = _property("removeEnabled", bool)
    renameEnabled = _property("renameEnabled", bool)
    showChildNodeTypes = _property("showChildNodeTypes", bool)

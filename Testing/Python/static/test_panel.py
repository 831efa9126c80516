"""The panel's .ui file fits the parameter node, the code that uses it, and Slicer's ways."""

from __future__ import annotations

import ast
from collections import Counter
from xml.etree import ElementTree

import pytest
from extension_files import PANEL, decorated_classes, names, panel_scripts, parse, where

SCENE_SIGNAL, SCENE_SLOT = "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"

WITHOUT_SCENE = {"qMRMLSegmentationShow3DButton"}
"""MRML widgets that have no slot for the scene; they get a node from the code."""

WITH_SCENE = {"qSlicerMarkupsPlaceWidget", "qSlicerSimpleMarkupsWidget"}
"""Widgets outside qMRML that need the scene."""

PASSIVE = {
    *("QWidget", "QFrame", "Line", "QLabel", "QGroupBox", "QScrollArea", "QSplitter"),
    *("QStackedWidget", "QTabWidget", "QProgressBar", "QTextBrowser", "ctkFittedTextBrowser"),
    *("qMRMLWidget", "qMRMLTableView", "ctkCollapsibleButton", "ctkCollapsibleGroupBox"),
}
"""Widgets that show or hold something; every other one can be set and says what it does."""

VISIBLE = {
    *("text", "title", "toolTip", "statusTip", "whatsThis", "windowTitle"),
    *("placeholderText", "prefix", "suffix", "specialValueText", "format", "plainText"),
}


@pytest.fixture(scope="module")
def panel() -> ElementTree.Element:
    return ElementTree.parse(PANEL).getroot()


def value(widget: ElementTree.Element, name: str) -> str:
    """The text of a property, "" where it isn't set."""
    found = widget.find(f"property[@name='{name}']")
    return "" if found is None else (found[0].text or "")


def parameters(panel: ElementTree.Element) -> dict[str, str]:
    """Names of the widgets that are connected to the parameter node, and to what."""
    found = {each.get("name"): value(each, "SlicerParameterName") for each in panel.iter("widget")}
    return {name: parameter for name, parameter in found.items() if parameter}


def fields_of_parameter_node() -> set[str]:
    """Fields of the parameter node; those of a parameter pack as ``pack.field``."""
    packs = {each.name: each for each in decorated_classes("parameterPack")}
    nodes = list(decorated_classes("parameterNodeWrapper"))
    assert len(nodes) == 1, "there is to be one parameter node class"

    def fields(node: ast.ClassDef, prefix: str = "") -> set[str]:
        found = set()
        for each in node.body:
            if isinstance(each, ast.AnnAssign):
                found.add(prefix + each.target.id)
                for pack in names(each.annotation) & set(packs):
                    found |= fields(packs[pack], f"{prefix}{each.target.id}.")
        return found

    return fields(nodes[0])


def test_root_passes_the_scene_on(panel):
    assert panel.find("widget").get("class") == "qMRMLWidget"


def test_names_are_unique(panel):
    tags = ("widget", "layout", "action", "buttongroup")
    count = Counter(each.get("name") for tag in tags for each in panel.iter(tag))
    assert [name for name, times in count.items() if times > 1] == []


def test_each_mrml_widget_gets_the_scene(panel):
    root = panel.find("widget")
    needing = {
        each.get("name")
        for each in root.iter("widget")
        if each is not root
        and each.get("class") not in WITHOUT_SCENE
        and (each.get("class").startswith("qMRML") or each.get("class") in WITH_SCENE)
    }
    connected = {
        each.findtext("receiver")
        for each in panel.iter("connection")
        if each.findtext("sender") == root.get("name")
        and each.findtext("signal") == SCENE_SIGNAL
        and each.findtext("slot") == SCENE_SLOT
    }
    assert needing, "a panel without a node selector?"
    assert sorted(needing - connected) == []


def test_connections_are_between_widgets_that_exist(panel):
    existing = {each.get("name") for each in panel.iter("widget")}
    for end in ("sender", "receiver"):
        connected = {each.findtext(end) for each in panel.iter("connection")}
        assert sorted(connected - existing) == []


def test_each_parameter_is_a_field_of_the_parameter_node(panel):
    wanted = parameters(panel)
    assert wanted, "no widget is connected to the parameter node"
    assert sorted(set(wanted.values()) - fields_of_parameter_node()) == []


def test_no_two_widgets_share_a_parameter(panel):
    """Slicer connects the last one only, without a word."""
    count = Counter(parameters(panel).values())
    assert [name for name, times in count.items() if times > 1] == []


def test_each_widget_that_the_code_uses_exists(panel):
    tags = ("widget", "layout", "action", "buttongroup")
    existing = {each.get("name") for tag in tags for each in panel.iter(tag)}
    used = {
        f"{where(path, node)} ui.{node.attr}": node.attr
        for path in panel_scripts()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and is_ui(node.value) and node.attr[:2] != "__"
    }
    assert used, "no script uses a widget of the panel"
    assert [place for place, name in used.items() if name not in existing] == []


def is_ui(node: ast.expr) -> bool:
    """Whether an expression is the object that holds the panel's widgets: ``ui``, ``self.ui``."""
    name = getattr(node, "id", getattr(node, "attr", ""))
    return name.lstrip("_") == "ui"


def test_each_widget_that_a_user_can_set_has_a_tooltip(panel):
    settable = [
        each
        for each in panel.iter("widget")
        if each.get("class") not in PASSIVE and value(each, "readOnly") != "true"
    ]
    assert settable
    assert [each.get("name") for each in settable if not value(each, "toolTip")] == []


def test_each_visible_text_can_be_translated(panel):
    texts = [
        each[0]
        for each in panel.iter("property")
        if each.get("name") in VISIBLE and each[0].tag == "string"
    ]
    assert texts
    assert [each.text for each in texts if each.get("notr") == "true" and each.text] == []

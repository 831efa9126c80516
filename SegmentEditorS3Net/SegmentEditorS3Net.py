"""The hidden module that registers the effect "S3-Net" of Segment Editor."""

from __future__ import annotations

import os

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule


class SegmentEditorS3Net(ScriptedLoadableModule):
    """Description of the module."""

    def __init__(self, parent: qt.QObject):
        super().__init__(parent)
        parent.title = _("S3-Net effect")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "S3NetSegmentation"]
        parent.contributors = ["S3NetExtension contributors"]
        parent.hidden = True
        parent.helpText = _("This hidden module registers the effect S3-Net of Segment Editor.")
        parent.acknowledgementText = ""
        slicer.app.connect("startupCompleted()", registerEffect)


def registerEffect() -> None:
    """Offer the effect in Segment Editor."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    folder = os.path.join(os.path.dirname(__file__), "SegmentEditorS3NetLib")
    effect.setPythonSource(os.path.join(folder, "SegmentEditorEffect.py").replace("\\", "/"))
    effect.self().register()

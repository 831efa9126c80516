"""The panel in Slicer itself, with the real Qt widgets."""

import os
import unittest

import slicer

MODULE = "S3NetSegmentation"


class S3NetSegmentationPanelTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def selectors(self):
        widgets = vars(slicer.util.getModuleWidget(MODULE).ui).values()
        return [each for each in widgets if each.className() == "qMRMLNodeComboBox"]

    def test_module_is_listed_with_its_icon(self):
        module = slicer.modules.s3netsegmentation
        self.assertIn("Segmentation", module.categories)
        self.assertFalse(module.icon.isNull())

    def test_selectors_know_the_scene(self):
        self.assertTrue(self.selectors())
        for selector in self.selectors():
            self.assertEqual(selector.mrmlScene(), slicer.mrmlScene, selector.name)

    def test_an_added_volume_can_be_chosen_and_closing_the_scene_lets_go_of_it(self):
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        self.assertTrue(any(each.nodeCount() for each in self.selectors()))
        for selector in self.selectors():
            selector.setCurrentNode(volume)
        slicer.mrmlScene.Clear()
        self.assertFalse(any(each.currentNode() for each in self.selectors()))

    def test_a_loaded_scene_shows_its_volume(self):
        scene = slicer.mrmlScene
        selector = slicer.util.getModuleWidget(MODULE).ui.inputSelector
        selector.setCurrentNode(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT"))
        scene.SetURL(os.path.join(slicer.app.temporaryPath, f"{MODULE}.mrml"))
        self.assertTrue(scene.Commit())
        scene.Clear()
        self.assertIsNone(selector.currentNode())
        scene.Connect()
        self.assertEqual(selector.currentNode().GetName(), "CT")

    def test_reload(self):
        before = slicer.util.getModuleWidget(MODULE)
        slicer.util.reloadScriptedModule(MODULE)
        self.assertIsNot(slicer.util.getModuleWidget(MODULE), before)
        self.test_selectors_know_the_scene()

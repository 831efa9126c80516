"""Sentences that a radiologist or an author copies."""

from dataclasses import replace

import S3NetSegmentationLib
from S3NetSegmentationLib import PRESETS, Settings
from S3NetSegmentationLib.lung.densitometry import QUANTITIES, REGIONS
from S3NetSegmentationLib.lung.sentences import methods_text, report_text

RIGHT = {"volume_ml": 2412.4, "mass_g": 480.6, "mean_hu": -801.2, "laa950_percent": 3.04}
NUMBERS = {
    region: {**dict.fromkeys((each.key for each in QUANTITIES), 12.0), **RIGHT}
    for region in REGIONS
}
NUMBERS["left"] = {**dict.fromkeys(NUMBERS["right"], float("nan")), "volume_ml": 0, "mass_g": 0}
VERSION = f"S3NetExtension {S3NetSegmentationLib.__version__}"


def test_the_report_has_the_numbers_and_where_they_come_from():
    text = report_text(NUMBERS)
    assert "Volume 2412 mL (2412, 0); Mass 481 g (481, 0); Mean -801 HU (-801, none)" in text
    assert "LAA-950 3.0% (3.0, none); HAA 12.0%" in text
    assert text.endswith(f"Segmented automatically with {VERSION}.")
    assert report_text(NUMBERS, ["left lung"]).endswith("; edited by hand: left lung.")


def test_methods_have_version_settings_definitions_and_citation():
    text = methods_text(Settings(seed=4, device="cuda:1"))
    assert f"{VERSION}, an independent implementation of S3-Net [S. Karimijafarbigloo" in text
    assert "(settings: default; seed 4)" in text
    assert "LAA-950 (%), percentage of the volume below -950 HU [Gevenois et al., Am J" in text
    assert "hand" not in text
    assert all(each.name in text for each in QUANTITIES)


def test_methods_say_what_differs_from_the_defaults():
    changed = replace(PRESETS["lung-ct"], border=0.7, remove_airways=False)
    text = methods_text(changed, ["right lung"])
    assert "remove_airways False" in text
    assert "border 0.7" in text
    assert "seed 0) and corrected by hand (right lung)" in text

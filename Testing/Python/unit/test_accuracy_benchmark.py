"""The accuracy benchmark goes on where it was stopped, and compares ablations image by image."""

import sys

import accuracy
import numpy as np
from figures import Row, append_rows, read_rows
from summary import ablations, run_of


def test_what_is_in_the_file_is_not_computed_again(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "kaggle_lung_2d_64"
    folder.mkdir()
    masks = np.zeros((1, 64, 64))
    masks[:, 20:40, 10:30] = 1
    np.savez(folder / "dev.npz", ids=np.array(["1"]), images=1 - masks, masks=masks)
    arguments = ["--data", tmp_path, "--out", tmp_path, "--methods", "whole picture", "--seeds"]

    def run(*seeds):
        monkeypatch.setattr(sys, "argv", ["accuracy.py", *map(str, arguments), *seeds])
        assert accuracy.main() == 0
        return read_rows(tmp_path / "accuracy.jsonl")

    first = run("0")
    second = run("0", "1")
    assert [row.protocol for row in first] == ["best cluster", "best, cropped"]
    assert second[:2] == first
    assert [row.seed for row in second] == [0, 0, 1, 1]
    assert "whole picture" in capsys.readouterr().out
    commands = run_of(tmp_path)["command"].split("; ")
    assert [each.split("--seeds ")[1] for each in commands] == ["0", "0 1"]


def test_ablations_are_compared_with_the_whole_image_by_image(tmp_path):
    for method, scores in (("m", (80, 90)), ("m without x", (79, 91.5))):
        for image, dsc in zip("ab", scores, strict=True):
            append_rows(tmp_path / "rows", [Row("g", image, method, 0, "p", dsc, 0, 0)])
    (row,) = ablations(read_rows(tmp_path / "rows"))
    assert (row["method"], row["images"]) == ("m without x", 2)
    assert (row["difference"], row["error"]) == (0.25, 1.25)

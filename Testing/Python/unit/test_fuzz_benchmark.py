"""Hostile files and arguments: the fuzzer finds nothing, and would notice whatever a reader did."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from batch_data import ENVIRONMENT
from S3NetSegmentationLib.errors import InputError

if not sys.platform.startswith("linux"):
    pytest.skip("limits as on Linux", allow_module_level=True)

import fuzz


def test_hostile_files_and_arguments_are_read_or_refused_in_a_sentence(tmp_path):
    """Always the same inputs, 300 of each kind; the benchmark takes more, and others."""
    run = subprocess.run(
        [sys.executable, fuzz.__file__, "--inputs", "2400", "--out", tmp_path],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    found = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.txt")]
    assert (run.returncode, found) == (0, []), run.stdout + run.stderr


def an_input(chance):
    return "in.txt", chance.choice([b"read", b"refuse", b"raise", b"crash", b"hang", b"memory"])


def a_reader(path: Path) -> None:
    match path.read_bytes():
        case b"refuse":
            raise InputError("It is damaged.")
        case b"raise":
            raise KeyError("What is this?")
        case b"crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"hang":
            time.sleep(60)
        case b"memory":
            # Not from the heap, where tests before this one may have left as much unused.
            mmap.mmap(-1, 2 * fuzz.MEMORY)


def test_whatever_a_reader_does_is_counted_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "READERS", {"mine": (an_input, a_reader)})
    monkeypatch.setattr(fuzz, "LONGEST", 10)  # a busy machine takes more than one for a traceback
    fuzzer = fuzz.Fuzzer("mine", 0, tmp_path, tmp_path)
    fuzzer.go_on(20)
    given = Counter(
        fuzz.write_input("mine", 0, number, tmp_path / "again").read_bytes() for number in range(20)
    )
    assert min(given[each] for each in (b"read", b"refuse", b"raise", b"crash", b"hang")) > 0
    assert fuzzer.counts == {
        fuzz.READ: given[b"read"],
        fuzz.REFUSED: given[b"refuse"],
        fuzz.TRACEBACK: given[b"raise"] + given[b"memory"],
        fuzz.CRASH: given[b"crash"],
        fuzz.HANG: given[b"hang"],
    }
    kept = {path.read_bytes() for path in tmp_path.glob("mine-*-in.txt")}
    assert kept == {b"raise", b"crash", b"hang", b"memory"} & set(given)
    assert "KeyError" in "".join(path.read_text() for path in tmp_path.glob("mine-traceback-*.txt"))

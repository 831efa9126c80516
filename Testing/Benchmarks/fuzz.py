"""Hostile files and arguments for every reader; faults that are found are kept.

    .venv/bin/python Testing/Benchmarks/fuzz.py --inputs 100000 --out FOLDER

gives that many inputs to the readers in turn, in child processes that each take many. An input must
be read or refused in a sentence within 20 seconds and 1 GiB. The outcomes are printed by reader;
each input that ended in a traceback, a hang, or a crash is left in FOLDER. The same seed gives the
same inputs. Needs Linux, for the limits. The exit code is 0 if no fault was found.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fuzz_inputs  # puts the tests on the path, so it comes first
import numpy as np
import SimpleITK as sitk
from batch_data import QUICK
from record import add_option, record
from S3NetSegmentationLib.batch.find import find_scans
from S3NetSegmentationLib.batch.records import (
    ScanTask,
    has_damaged_record,
    is_finished,
    read_record,
)
from S3NetSegmentationLib.batch.report import write_report
from S3NetSegmentationLib.batch.table import write_table
from S3NetSegmentationLib.cli import main as command_line
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.picture import read_picture
from S3NetSegmentationLib.io.read import read_scan

MEMORY = 2**30
"""Bytes that an input may need in addition to the process itself; all inputs are small."""

LONGEST = 20
"""Seconds after which an input counts as hanging."""

PER_CHILD = 250
"""Inputs that a child process takes before the next one is started."""

READ, REFUSED, TRACEBACK, HANG, CRASH = "read", "refused", "traceback", "hang", "crash"


# What is done with an input; no error but InputError may be raised


def read_volume(path: Path) -> None:
    """As one scan, as a folder with DICOM, and as a batch finds it."""
    scans, skipped = find_scans(path.parent, path.parent / "out")
    assert len(scans) + len(skipped) <= 1
    for scan in scans:
        scan.state()
    with contextlib.suppress(InputError):
        read_scan(path.parent)
    image = read_scan(path).image
    assert np.isfinite([*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]).all()
    assert min(image.GetSpacing()) > 0
    assert np.isfinite(sitk.GetArrayViewFromImage(image)).all()


def read_a_picture(path: Path) -> None:
    """As the command reads it."""
    assert read_picture(path).size > 0


def read_a_record(path: Path) -> None:
    """As the next run reads it; a valid record goes into the table and the report."""
    output = path.parent / "out"
    task = ScanTask("scan", (), (), output, "run", QUICK, (".seg.nrrd",), "x")
    task.record_path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, task.record_path)
    has_damaged_record(task)
    found = read_record(task)
    if found is None:
        raise InputError("The record is not valid.")
    is_finished(task, found)
    write_table(output / "results.csv", [found])
    write_report(output / "report.html", [found], {"scan": output / "records" / "scan.jpg"}, 1)


def read_a_list(path: Path) -> None:
    """As a batch reads it."""
    find_scans(path, path.parent / "out")


def run_a_command(path: Path) -> None:
    """In a folder with a few damaged files; the exit code says whether it was refused."""
    arguments = path.read_text("utf-8", "surrogatepass").split("\n")
    for name, content in {"bad.nrrd": b"NRRD0004\n", "bad.dcm": bytes(128) + b"DICM"}.items():
        (path.parent / name).write_bytes(content)
    (path.parent / "bad.png").write_bytes(b"\x89PNG")
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            code = command_line([each for each in arguments if each != "--debug"])
        except SystemExit as end:
            code = end.code
    assert code in (0, 1, 2, 3), code
    assert "unexpected error" not in said.getvalue(), said.getvalue()
    if code:
        raise InputError("Refused.")


READERS: dict[str, tuple[Callable[[random.Random], fuzz_inputs.File], Callable[[Path], None]]] = {
    "NIfTI": (fuzz_inputs.nifti, read_volume),
    "NRRD": (fuzz_inputs.nrrd, read_volume),
    "MetaImage": (fuzz_inputs.metaimage, read_volume),
    "DICOM": (fuzz_inputs.dicom, read_volume),
    "pictures": (fuzz_inputs.picture, read_a_picture),
    "records": (fuzz_inputs.record, read_a_record),
    "lists": (fuzz_inputs.paths, read_a_list),
    "commands": (fuzz_inputs.command, run_a_command),
}


# In the child process


def write_input(reader: str, seed: int, number: int, folder: Path) -> Path:
    """Write the input with that number into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name, data = READERS[reader][0](random.Random(f"{reader} {seed} {number}"))
    path = folder / name
    path.write_bytes(data)
    return path


def try_input(reader: str, path: Path) -> str:
    """The outcome, with the traceback if there is one."""
    try:
        READERS[reader][1](path)
    except InputError as error:
        is_sentence = str(error).endswith(".") or "--series" in str(error) or "\n" in str(error)
        return REFUSED if is_sentence else f"{TRACEBACK}\nnot a sentence: {error}"
    except BaseException:
        return f"{TRACEBACK}\n{traceback.format_exc()}"
    return READ


def child(reader: str, seed: int, numbers: range, folder: Path, pipe: int) -> None:
    """Process inputs, and write a line before and after each."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    status = Path("/proc/self/status").read_text()
    limit = int(status.split("VmSize:")[1].split()[0]) * 1024 + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    start = peak()
    for number in numbers:
        os.chdir("/")
        # Before the input is made, so a fault in that is seen, too.
        os.write(pipe, f"begin {number}\0".encode())
        path = write_input(reader, seed, number, folder)
        os.chdir(folder)
        said = try_input(reader, path)
        os.write(pipe, f"end {peak() - start} {said}\0".encode("utf-8", "replace"))


def peak() -> int:
    """The maximum memory that this process has used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# In the parent


class Fuzzer:
    """Counts the outcomes of one reader, and keeps the inputs that showed faults."""

    def __init__(self, reader: str, seed: int, out: Path, work: Path):
        self._reader, self._seed, self._out = reader, seed, out
        self._folder = work / "a" / "b" / "in"  # so ../.. leads nowhere else
        self.counts: Counter[str] = Counter()
        self.most_memory = 0
        self._next = 0

    def go_on(self, inputs: int) -> None:
        """Give that many more inputs to child processes."""
        end = self._next + inputs
        while self._next < end:
            self._run_child(range(self._next, end))

    def _run_child(self, numbers: range) -> None:
        receive, send = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                os.close(receive)
                child(self._reader, self._seed, numbers, self._folder, send)
            finally:
                os._exit(0)
        os.close(send)
        is_hanging = self._listen(receive)
        os.close(receive)
        if is_hanging:
            os.kill(process, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if is_hanging:
            self._keep(HANG, f"more than {LONGEST} s")
        elif self._begun:
            self._keep(CRASH, f"exit code {code}")

    def _listen(self, pipe: int) -> bool:
        """Note what a child reports until it ends; return whether it hangs."""
        self._begun, waiting = False, b""
        while True:
            if not select.select([pipe], [], [], LONGEST)[0]:
                return True
            piece = os.read(pipe, 2**16)
            if not piece:
                return False
            *lines, waiting = (waiting + piece).split(b"\0")
            for line in lines:
                self._note(line.decode("utf-8", "replace"))

    def _note(self, line: str) -> None:
        word, rest = line.split(" ", 1)
        if word == "begin":
            self._begun, self._next = True, int(rest) + 1
            return
        memory, said = rest.split(" ", 1)
        outcome, _, details = said.partition("\n")
        self.most_memory = max(self.most_memory, int(memory))
        if outcome == TRACEBACK:
            self._keep(outcome, details)
        else:
            self._begun = False
            self.counts[outcome] += 1

    def _keep(self, outcome: str, details: str) -> None:
        self._begun = False
        self.counts[outcome] += 1
        chance = random.Random(f"{self._reader} {self._seed} {self._next - 1}")
        name, data = READERS[self._reader][0](chance)
        stem = f"{self._reader}-{outcome}-{hashlib.sha256(data).hexdigest()[:8]}"
        (self._out / f"{stem}-{name}").write_bytes(data)
        (self._out / f"{stem}.txt").write_text(details, encoding="utf-8")


def main() -> int:
    """Try the inputs and print the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="of all readers together")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", choices=list(READERS), default=list(READERS))
    parser.add_argument(
        "--out", type=Path, required=True, help="receives the inputs that showed faults"
    )
    add_option(parser)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory(prefix="s3net-fuzz-") as work:
        fuzzers = {
            reader: Fuzzer(reader, arguments.seed, arguments.out.resolve(), Path(work))
            for reader in arguments.readers
        }
        left = -(-arguments.inputs // len(fuzzers))
        while left > 0 and time.monotonic() < end:
            for fuzzer in fuzzers.values():
                fuzzer.go_on(min(PER_CHILD, left))
            left -= PER_CHILD
    outcomes = (READ, REFUSED, TRACEBACK, HANG, CRASH)
    rows = [
        {
            "reader": reader,
            "inputs": sum(fuzzer.counts[each] for each in outcomes),
            **{each: fuzzer.counts[each] for each in outcomes},
            "memory (MB)": round(fuzzer.most_memory / 1e6),
        }
        for reader, fuzzer in fuzzers.items()
    ]
    print(*rows[0], sep=" | ")
    for row in rows:
        print(*row.values(), sep=" | ")
    if arguments.record:
        record("hostile files", rows, ("reader",))
    found = sum(fuzzer.counts[each] for fuzzer in fuzzers.values() for each in outcomes[2:])
    print(f"\n{found} found, in {arguments.out}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

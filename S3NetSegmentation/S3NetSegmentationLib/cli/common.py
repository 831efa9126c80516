"""Shared by the commands: options, outputs, progress, Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, InputError, S3NetError
from ..progress import Progress
from ..settings import MODES, PICTURE_PRESETS, PRESETS, PictureSettings, Settings

if TYPE_CHECKING:
    from tqdm import tqdm

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_NO_LUNGS, EXIT_INTERRUPTED = 1, 2, 3, 130
"""Exit codes other than 0; 2 is argparse's, 130 is a shell's for Ctrl-C."""

SCAN_OPTIONS = ("device", "seed", "mode", "gpu_memory_gb", "tissues")
PICTURE_OPTIONS = ("device", "seed", "choice")
"""Settings that options change; an option is parsed into the name of its setting."""

ONLY_SCANS = {"mode": "--mode", "gpu_memory_gb": "--gpu-memory", "tissues": "--tissues"}
"""Options that don't apply to a region of a picture, by setting."""


class NotPrinted(S3NetError):
    """Standard output can't be written to."""


Writers = Iterable[tuple[Path | None, Callable[[Path], None]]]
"""Paths (None if a file was not requested) and the functions that write the files."""


def add_engine(command: argparse.ArgumentParser) -> None:
    """Add the options of every command that segments."""
    add = command.add_argument
    add(
        "--mode",
        choices=MODES,
        help="volume: one network for the whole scan (default); slice: one for every slice, slow",
    )
    add("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    add(
        "--gpu-memory",
        type=float,
        dest="gpu_memory_gb",
        metavar="GB",
        help="in slice mode, how much of a CUDA GPU's memory to use: the more, the faster "
        "(default: 4)",
    )
    add("--seed", type=int, default=0, help="same seed, same result (default: %(default)s)")
    add_debug(command)


def add_debug(command: argparse.ArgumentParser) -> None:
    """Add the option that every command has."""
    command.add_argument(
        "--debug", action="store_true", help="show the traceback of an unexpected error"
    )


def scan_settings(arguments: argparse.Namespace) -> Settings:
    """The settings for a scan, from the options of a command."""
    return replace(PRESETS["lung-ct"], **_changes(arguments, SCAN_OPTIONS))


def picture_settings(arguments: argparse.Namespace) -> PictureSettings:
    """The settings for a picture, from the options of ``s3net segment``.

    Raises
    ------
    InputError
        If an option is for scans only.
    """
    for name, option in ONLY_SCANS.items():
        if getattr(arguments, name) is not None:
            raise InputError(f"{option} applies only to lungs in CT; leave it out.")
    return replace(PICTURE_PRESETS["skin"], **_changes(arguments, PICTURE_OPTIONS))


def _changes(arguments: argparse.Namespace, options: tuple[str, ...]) -> dict[str, Any]:
    """The settings that were changed by options."""
    given = {name: getattr(arguments, name, None) for name in options}
    return {name: value for name, value in given.items() if value is not None}


def path_of(text: str) -> Path:
    """Parse a path; an empty one, as from an unset variable, is refused."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def fail(sentence: str, code: int) -> int:
    """Print an error and return the exit code."""
    with suppress(OSError):
        print(printable(f"s3net: {sentence}"), file=sys.stderr)
    return code


def say(*lines: str) -> None:
    """Print lines.

    Raises
    ------
    NotPrinted
        If standard output fails, as on a full disk.
    """
    try:
        print(*map(printable, lines), sep="\n", flush=True)
    except OSError as error:
        # Otherwise Python would try again at exit, and print its own error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise NotPrinted(
            "Standard output can't be written to (closed, or its disk is full), so the printed "
            "text is lost; the files are complete."
        ) from error


def printable(text: str) -> str:
    """A text without control characters, which file names may contain."""
    return "".join(
        each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text
    )


def check_outputs(
    arguments: argparse.Namespace,
    segmentation: tuple[str, ...] = (),
    clusters: tuple[str, ...] = (),
) -> None:
    """Refuse outputs that can't be written, before minutes are spent on them."""
    from ..io.dicom_seg import check_available
    from ..io.formats import DICOM, LABEL_MAP_SUFFIXES, PNG, SEGMENTATION_SUFFIXES
    from ..io.originals import check_originals
    from ..io.write import check_writable

    if arguments.output.name.lower().endswith(DICOM):
        check_available()
    outputs = (
        (arguments.output, segmentation or (*SEGMENTATION_SUFFIXES, DICOM)),
        (arguments.clusters, clusters or LABEL_MAP_SUFFIXES),
        (arguments.overview, (PNG,)),
        (arguments.json, (".json",)),
    )
    # On macOS and Windows, file names are not case-sensitive.
    taken = {os.path.realpath(arguments.input).casefold()}
    for path, suffixes in outputs:
        if path is None:
            continue
        place = os.path.realpath(path).casefold()
        if place in taken:
            raise InputError(f"'{path}' is named twice; give every file its own name.")
        taken.add(place)
        check_writable(path, suffixes)
    check_originals(outputs_of(arguments), [arguments.input])


def write_all(writers: Writers, cancelled: Callable[[], bool]) -> None:
    """Write the files that have a path, all of them or none."""
    from ..io.write import replacing

    with ExitStack() as files:
        for path, write in writers:
            if path is not None:
                write(files.enter_context(replacing(path)))
            if cancelled():
                raise Cancelled


def outputs_of(arguments: argparse.Namespace) -> list[Path]:
    """The files that were requested."""
    outputs = (arguments.output, arguments.clusters, arguments.overview, arguments.json)
    return [path for path in outputs if path is not None]


def written(arguments: argparse.Namespace) -> list[str]:
    """A line for each file that was requested."""
    return [f"Wrote {path}" for path in outputs_of(arguments)]


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """A callable that returns true after Ctrl-C or SIGTERM; a second one stops at once."""
    pressed = threading.Event()

    def note(signal_number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pressed.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr with stage, step, and remaining time, removed at the end."""
    bar = new_bar("{desc}")

    def show(report: Progress) -> None:
        bar.set_description_str(f"{report.stage} {report.done}/{report.total}", refresh=False)
        bar.update(report.fraction - bar.n)

    with bar:
        yield show


def new_bar(start: str, only_on_terminals: bool = False) -> tqdm:
    """A bar on stderr from 0 to 1, with a text before it."""
    from tqdm import tqdm

    return tqdm(
        total=1.0,
        bar_format=start + " {percentage:3.0f}%|{bar:30}| {elapsed}, {remaining} left",
        miniters=0,
        smoothing=0,
        delay=1e-3,  # so refused input leaves no bar behind
        leave=False,
        file=sys.stderr,
        # Without a console, as with pythonw on Windows, there is no stderr. None lets tqdm decide.
        disable=sys.stderr is None or (None if only_on_terminals else False),
    )

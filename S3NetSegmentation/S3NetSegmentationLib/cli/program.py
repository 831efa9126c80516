"""The program ``s3net``: its commands, and how errors are reported."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback

from .. import __version__
from ..errors import Cancelled, InputError, S3NetError, fault_of_the_machine
from ..jobs.process_setup import prepare_process
from .batch import add_batch
from .common import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, fail
from .sample_data import add_sample_data
from .segment import EXAMPLES, add_segment


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
        _check_place()
        return arguments.run(arguments)
    except Cancelled as error:
        return fail(str(error), EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        return fail(str(Cancelled()), EXIT_INTERRUPTED)
    except InputError as error:
        return fail(str(error), EXIT_BAD_INPUT)
    except S3NetError as error:
        return fail(str(error), EXIT_FAILED)
    except Exception as error:  # last resort: one sentence, not a traceback
        if arguments.debug:
            traceback.print_exc()
        sentence = fault_of_the_machine(error)
        if sentence:
            return fail(sentence, EXIT_FAILED)
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        return fail(
            f"An unexpected error stopped the program ({what}); "
            "please report it with the output of the same command with --debug.",
            EXIT_FAILED,
        )


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
    add_segment(commands)
    add_batch(commands)
    add_sample_data(commands)
    return parser


def _check_place() -> None:
    """Refuse to run in a folder that was removed, where relative paths mean nothing."""
    try:
        os.getcwd()
    except OSError as error:
        raise InputError(
            "The folder that this command was started in no longer exists; change to another one."
        ) from error


def _print_anything() -> None:
    """Print file names even if the console or log file lacks their characters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

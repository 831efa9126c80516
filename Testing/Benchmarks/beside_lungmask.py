"""Seconds and memory of a whole scan, beside the network of lungmask on the same machine.

    .venv/bin/python -m pip install lungmask
    .venv/bin/python Testing/Benchmarks/beside_lungmask.py --sample .cache/sample

Both segment the same slices, in turns, each in a process of its own from its start to its end. The
network of lungmask has random weights, as only its time is measured, and is spared its
postprocessing, which would have to deal with noise. On an idle machine, the ratios hardly depend on
what machine it is; on a busy one, they mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from operator import itemgetter
from pathlib import Path

from record import add_option, record

LUNGMASK = """
import sys
import SimpleITK as sitk
import torch
from lungmask import LMInferer
from lungmask.resunet import UNet

scan, weights, result = sys.argv[1:]
network = UNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True)
torch.save(network.state_dict(), weights)
inferer = LMInferer(
    modelpath=weights, force_cpu=True, volume_postprocessing=False, tqdm_disable=True
)
lungs = sitk.GetImageFromArray(inferer.apply(sitk.ReadImage(scan)))
sitk.WriteImage(lungs, result)
"""


def spent(command: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and the peak memory of a process and its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[:3])
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return {
        "seconds": time.perf_counter() - start,
        "CPU seconds": usage.ru_utime + usage.ru_stime,
        "GB": usage.ru_maxrss / unit,
    }


def main() -> int:
    """Run both and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=Path, required=True, help="that s3net sample-data made")
    parser.add_argument("--turns", type=int, default=2, help="of which the fastest counts")
    add_option(parser)
    arguments = parser.parse_args()
    if importlib.util.find_spec("lungmask") is None:
        print("lungmask is missing; install it: pip install lungmask", file=sys.stderr)
        return 2
    chest = str(arguments.sample / "chest.nii.gz")
    with tempfile.TemporaryDirectory() as folder:
        result, weights = f"{folder}/lungs.nii.gz", f"{folder}/weights.pth"
        commands = {
            "lungmask's network": [sys.executable, "-c", LUNGMASK, chest, weights, result],
            "this program": [
                sys.executable, "-m", "S3NetSegmentationLib", "segment", chest,
                "-o", f"{folder}/ours.nii.gz", "--device", "cpu",
            ],
        }  # fmt: skip
        turns = [
            {name: spent(command) for name, command in commands.items()}
            for _ in range(arguments.turns)
        ]
    taken = {
        name: min((turn[name] for turn in turns), key=itemgetter("seconds")) for name in commands
    }
    theirs, ours = taken.values()
    taken["ratio"] = {name: theirs[name] / ours[name] for name in ours}
    rows = [
        {"512×512×133": name, **{what: round(value, 1) for what, value in figures.items()}}
        for name, figures in taken.items()
    ]
    for row in rows:
        print(*row.values(), sep="\t")
    if arguments.record:
        record("lungmask", rows, ("512×512×133",))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A batch of small scans with injected faults: what was asked, what came out, what was lost.

    .venv/bin/python Testing/Benchmarks/reliability.py

makes phantoms in several formats and geometries, some with awkward names, damaged and hostile
files, scans without lungs, and label maps, and runs a batch over them in its own process.
Meanwhile, processes of scans and the batch itself are killed, a second batch is started on the same
output, and the disk is full for a while (on Linux as root, who may mount a small one). The batch is
restarted until it ends by itself, then every output is compared with its phantom. The exit code is
0 if nothing was lost, nothing is wrong, and no failure is silent. `--scans 1000` takes ten times as
long, with ten times as many faults. `--cluster` runs the scans on a Dask scheduler with two
workers, which are killed as well.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

import fuzz_inputs  # noqa: E402
import phantom  # noqa: E402
from batch_data import (  # noqa: E402
    ENVIRONMENT,
    QUICK,
    SMALL,
    batch_script,
    by_place,
    is_right,
    leftovers,
    scan_processes,
    small_chest,
)
from dicom_files import write_scan  # noqa: E402
from record import add_option, record  # noqa: E402
from S3NetSegmentationLib.batch.run import run_batch  # noqa: E402

DISK_BYTES = 120_000
"""Size of the output disk per scan: enough for its outputs, and quickly filled."""

FAULTS = {"scan": 12, "batch": 4, "rival": 2, "disk": 2}
"""Killed processes of scans and batches, second batches, and full disks, per 100 scans."""

CLUSTER = {"scheduler": ("scheduler",), "worker": ("worker 1", "worker 2")}
CLUSTER_FAULTS = {"worker": 6, "scheduler": 2}
"""Processes of the cluster that are killed per 100 scans; they are started again."""

SETTLED_SECONDS = 20
"""After which a batch has loaded what it needs, and its memory should no longer grow."""

ANY = "any"
"""Instead of a status: a hostile file may fail or not be found, but nothing else."""

SUFFIXES = (".nrrd", ".nii.gz", ".mha", ".nii")
NAMES = ("{}", "{} Größe 肺", "{}, 'quoted' & <b>", "=1+{}", "{}/" + 3 * "deep and long/" + "x")
"""Names of scans that a spreadsheet, a web page, or a shell might not handle."""

HOSTILE = (fuzz_inputs.nifti, fuzz_inputs.nrrd, fuzz_inputs.metaimage, fuzz_inputs.dicom)
DIRECTIONS = [
    arguments.get("direction", phantom.IDENTITY)
    for name, arguments in phantom.GEOMETRIES.items()
    if name in ("axial", "flipped", "oblique", "upside down")
]


def make_scans(folder: Path, count: int, chance: random.Random) -> dict[str, phantom.Phantom | str]:
    """Write the scans; return for each place the truth, or the expected status."""
    expected: dict[str, phantom.Phantom | str] = {}
    damage = [truncated, noise, no_spacing, enormous, not_a_number]
    for number in range(count):
        name = f"scan{number:03}"
        kind = number % 20
        if kind < 3:
            place = f"{name}.nrrd"
            damage[chance.randrange(len(damage))](folder / place, chance)
            expected[place] = "failed"
        elif kind == 3:
            place = f"{name}.mha"
            sitk.WriteImage(small_chest(lungs="none", seed=number).image, str(folder / place))
            expected[place] = "no lungs"
        elif kind == 4:
            place = f"{name}.nii.gz"
            labels = sitk.Cast(small_chest(seed=number).lungs, sitk.sitkInt16)
            sitk.WriteImage(labels, str(folder / place))
            expected[place] = "skipped"
        elif kind < 7:
            (folder / name).mkdir()
            file, content = chance.choice(HOSTILE)(chance)
            (folder / name / file).write_bytes(content)
            expected[f"{name}/{file}"] = ANY
        else:
            direction = DIRECTIONS[number % len(DIRECTIONS)]
            found = small_chest(seed=number, direction=direction)
            place = NAMES[number % len(NAMES)].format(name)
            if kind >= 10:
                place += SUFFIXES[number % len(SUFFIXES)]
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            if kind < 10:
                write_scan(folder / place, found.image)
            else:
                sitk.WriteImage(found.image, str(folder / place))
            expected[f"./{place}" if place.startswith("=") else place] = found
    return expected


# Damaged files


def truncated(path: Path, chance: random.Random) -> None:
    sitk.WriteImage(small_chest().image, str(path))
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(10, len(data) - 10)])


def noise(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(5000))


def no_spacing(path: Path, chance: random.Random) -> None:
    sitk.WriteImage(small_chest().image, str(path))
    path.write_bytes(path.read_bytes().replace(b"(8,0,0)", b"(0,0,0)"))


def enormous(path: Path, chance: random.Random) -> None:
    sitk.WriteImage(small_chest().image, str(path))
    path.write_bytes(path.read_bytes().replace(b"sizes: 52 40 38", b"sizes: 99999 99999 99999"))


def not_a_number(path: Path, chance: random.Random) -> None:
    values = sitk.GetArrayFromImage(small_chest().image).astype(np.float32)
    values[5, 6, 7] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))


# Faults while it runs


class Cluster:
    """A Dask scheduler and two workers on this machine, started again whenever one has ended."""

    def __init__(self, folder: Path):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._folder = folder
        self._processes: dict[str, subprocess.Popen] = {}

    def mend(self) -> None:
        """Start what does not run."""
        scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(self._port)]
        worker = ["dask_worker", self.address, "--nthreads", "1", "--no-nanny"]
        worker += ["--local-directory", str(self._folder)]
        commands = {"scheduler": scheduler, "worker 1": worker, "worker 2": worker}
        for name, (program, *arguments) in commands.items():
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                self._processes[name] = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        f"distributed.cli.{program}",
                        *arguments,
                        "--no-dashboard",
                    ],
                    env=ENVIRONMENT,
                    cwd=self._folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )

    def kill(self, name: str) -> None:
        """End a process without a warning."""
        self._processes[name].kill()
        self._processes[name].wait()

    def close(self) -> None:
        """End all of them."""
        for name in self._processes:
            self.kill(name)


class Faults:
    """Kills, second batches and full disks at random moments, in proportion to the scans."""

    def __init__(
        self,
        source: Path,
        output: Path,
        scans: int,
        small_disk: bool,
        chance: random.Random,
        cluster: Cluster | None,
    ):
        self._source, self._output, self._chance = source, output, chance
        self._cluster = cluster
        self._left = [
            fault
            for fault, share in (FAULTS | (CLUSTER_FAULTS if cluster else {})).items()
            for _ in range(-(-share * scans // 100))
            if small_disk or fault != "disk"
        ]
        chance.shuffle(self._left)
        self._next = time.monotonic() + 5
        self._full_until = 0.0
        self.done: dict[str, int] = {}

    @property
    def left(self) -> bool:
        """Whether there is more to come."""
        return bool(self._left) or self._full_until > 0

    def act(self, batch: subprocess.Popen) -> None:
        """Inject the next fault if it is due."""
        now = time.monotonic()
        if self._full_until and now > self._full_until:
            (self._output / "filler").unlink(missing_ok=True)
            self._full_until = 0.0
        if not self._left or now < self._next:
            return
        fault = self._left.pop()
        self._next = now + self._chance.uniform(1, 6)
        if fault == "batch":
            batch.kill()
        elif fault == "disk":
            self._fill()
            self._full_until = now + 5
        elif fault == "rival":
            self._start_a_rival(batch)
        elif fault in CLUSTER_FAULTS and self._cluster:
            self._cluster.kill(self._chance.choice(CLUSTER[fault]))
        else:
            running = scan_processes(self._output)
            if not running:
                self._left.insert(0, fault)
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(running), signal.SIGKILL)
        self.done[fault] = self.done.get(fault, 0) + 1

    def _start_a_rival(self, batch: subprocess.Popen) -> None:
        """A second batch on the same output, which takes over; killed once the first has ended."""
        with started(self._source, self._output, self._cluster) as rival:
            with contextlib.suppress(subprocess.TimeoutExpired):
                batch.wait(60)
            rival.kill()

    def _fill(self) -> None:
        with (
            contextlib.suppress(OSError),
            (self._output / "filler").open("wb", buffering=0) as file,
        ):
            while True:
                file.write(b"\0" * 4096)


def started(source: Path, output: Path, cluster: Cluster | None) -> subprocess.Popen:
    """Start a batch in its own process."""
    more = {"scheduler": cluster.address} if cluster else {}
    return subprocess.Popen(
        batch_script(source, output, **more),
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def run_until_it_ends(
    source: Path, output: Path, faults: Faults, cluster: Cluster | None
) -> tuple[int, list[int]]:
    """Restart the batch until it ends without a fault; return the starts and its memory (bytes)."""
    starts, memory = 0, []
    while True:
        starts += 1
        with started(source, output, cluster) as batch:
            begin = time.monotonic()
            while batch.poll() is None:
                if cluster:
                    cluster.mend()
                faults.act(batch)
                if time.monotonic() > begin + SETTLED_SECONDS:
                    memory += resident(batch.pid)
                time.sleep(0.1)
        print(f"  start {starts} ended with code {batch.returncode}", flush=True)
        if not faults.left and batch.returncode == 0:
            return starts, memory
        faults.act(batch)


def resident(process: int) -> list[int]:
    """The bytes of memory that a process holds; nothing where it has ended."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return []
    return [int(pages) * os.sysconf("SC_PAGE_SIZE")] if pages != "0" else []


def judge(output: Path, records: dict[str, dict], expected: dict) -> tuple[list[str], list[str]]:
    """Places that were lost, and what is wrong."""
    lost = [place for place, truth in expected.items() if truth != ANY and place not in records]
    wrong = [f"{name} was left behind" for name in leftovers(output)]
    for place, found in records.items():
        truth, path = expected.get(place, ANY), output / f"{found['name']}.seg.nrrd"
        if found["status"] == "failed" and not found["error"].endswith("."):
            wrong.append(f"{place}: failed silently")
        if truth == ANY:
            if found["status"] == "done":
                wrong.append(f"{place}: lungs in noise")
        elif isinstance(truth, str):
            if found["status"] != truth or path.exists():
                wrong.append(f"{place}: {found['status']} instead of {truth}")
        elif found["status"] != "done":
            lost.append(f"{place}: {found['error']}")
        elif not is_right(path, truth):
            wrong.append(f"{place}: other lungs than the phantom's")
    return lost, wrong


def main() -> int:
    """Run it and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--scans", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--cluster", action="store_true", help="on a Dask cluster, which dies, too")
    add_option(parser)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="s3net-reliability-") as folder:
        source, output = Path(folder) / "in", Path(folder) / "out"
        source.mkdir()
        output.mkdir()
        cluster = Cluster(Path(folder)) if arguments.cluster else None
        size = f"size={max(20, arguments.scans) * DISK_BYTES}"
        mount = ["mount", "-t", "tmpfs", "-o", size, "none", output]
        small_disk = bool(shutil.which("mount")) and (
            subprocess.run(mount, capture_output=True, check=False).returncode == 0
        )
        try:
            expected = make_scans(source, arguments.scans, chance)
            faults = Faults(source, output, arguments.scans, small_disk, chance, cluster)
            starts, memory = run_until_it_ends(source, output, faults, cluster)
            records = by_place(output, run_batch(source, output, QUICK, jobs=2))
            lost, wrong = judge(output, records, expected)
        finally:
            if cluster:
                cluster.close()
            if small_disk:
                subprocess.run(["umount", "--lazy", output], check=True)
    statuses = [record["status"] for record in records.values()]
    print(f"asked       {len(expected)} scans of {' x '.join(map(str, SMALL['size']))} voxels")
    done = faults.done
    print(
        f"faults      {done.get('scan', 0)} scans and {done.get('batch', 0)} batches killed, "
        f"{done.get('rival', 0)} batches taken over by a second one, disk full "
        f"{done.get('disk', 0)} times; started {starts} times"
    )
    if cluster:
        print(
            f"cluster     {done.get('worker', 0)} workers killed, the scheduler "
            f"{done.get('scheduler', 0)} times"
        )
    if memory:
        print(
            f"memory      {min(memory) / 1e6:.0f} to {max(memory) / 1e6:.0f} MB of the batch's own"
        )
    print("came out    " + ", ".join(f"{statuses.count(s)} {s}" for s in sorted(set(statuses))))
    print(f"lost        {len(lost)}", *lost, sep="\n  ")
    print(f"wrong       {len(wrong)}", *wrong, sep="\n  ")
    print(f"time        {time.monotonic() - start:.0f} s")
    if arguments.record:
        row = {
            "where": "a Dask cluster" if cluster else "one machine",
            "scans": len(expected),
            "scans killed": done.get("scan", 0),
            "batches killed": done.get("batch", 0),
            "workers killed": done.get("worker", 0),
            "disk full": done.get("disk", 0),
            "lost": len(lost),
            "wrong": len(wrong),
        }
        record("batches", [row], ("where",))
    return 1 if lost or wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Speed and memory of the engine, beside plain code that does the same and the published method.

    .venv/bin/s3net sample-data .cache/sample
    .venv/bin/python Testing/Benchmarks/speed.py --sample .cache/sample -o benchmark

prints tables and writes ``speed.json``:

equal work
    The same iterations of the same size, with the same rule to stop, by plain operators and by
    this library's: one iteration of the engine (`plain`), and whole fits of the published method
    (`published`) to slices of the chest.
what a user waits for
    Whole volumes by the engine, and by the published method slice by slice. The two do different
    work: the ratio tells how long one waits, not whose code is faster.

Both sides take turns, so that whatever else the machine does hits both; the best of the turns
counts. ``--quick`` takes two minutes, everything about half an hour on two idle cores. On CUDA,
where there is one, the same follows once more, with slice mode at the published size, too;
``--devices cuda`` does that alone.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter, itemgetter
from pathlib import Path

from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.jobs.process_setup import prepare_process

prepare_process()  # before torch is loaded, for both sides

import machine
import numpy as np
import plain
import published
import SimpleITK as sitk
import torch
from methods.paper import fast_network, prepared
from record import add_option, peak_gb, record
from S3NetSegmentationLib import Settings, segment_lungs
from S3NetSegmentationLib.orientation import AxialOrientation
from S3NetSegmentationLib.s3net import fit as fitting
from S3NetSegmentationLib.s3net.affine_transform import random_affine
from S3NetSegmentationLib.s3net.fast.deformable import deform_conv2d
from S3NetSegmentationLib.s3net.fit_step import FitState
from S3NetSegmentationLib.s3net.hardware.device import Device
from S3NetSegmentationLib.s3net.hardware.parallel_fits import networks_at_once
from tables import ITERATION
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

INPUTS = 2
"""Channels of the image as the engine makes it of CT; both sides get the same."""

LARGE = Settings(
    mode="slice", working_size=256, channels=64, clusters=64, iterations=50, learning_rate=0.36
)
"""The engine at the size of the published network."""

PUBLISHED_SLICES = 3
"""Slices that the published method is fitted to: by plain operators each takes a minute."""

WINDOW = (-1000, 400)
"""Hounsfield units of a slice that the published method sees."""

COSTLIEST = 5

MODES = {"cpu": ["volume", "slice"], "cuda": ["volume", "slice", "large"]}
"""Of whole volumes: ``large`` is slice mode at the published size, on a CPU a matter of hours."""


@dataclass
class Side:
    """One iteration of a fit, in two halves."""

    forward: Callable[[], Tensor]
    backward: Callable[[Tensor], None]

    def iterate(self) -> None:
        self.backward(self.forward())


def plain_side(image: Tensor, channels: int) -> Side:
    network = plain.new_network(INPUTS, channels, channels).to(image.device)
    optimizer = plain.optimizer(network)
    generator = torch.Generator().manual_seed(0)

    def forward() -> Tensor:
        return plain.joint_loss(network, image, random_affine(generator).to(image.device))

    def backward(loss: Tensor) -> None:
        plain.step(network, optimizer, loss)

    return Side(forward, backward)


def engine_side(image: Tensor, channels: int, networks: int = 1) -> Side:
    settings = replace(LARGE, channels=channels, clusters=channels)
    fit = FitState(image.expand(networks, 1, -1, -1, -1), settings, 0)
    generator = torch.Generator().manual_seed(0)

    def forward() -> Tensor:
        return fit.forward(random_affine(generator).to(image.device))[1]

    return Side(forward, fit.backward)


def picture(size: int, device: torch.device) -> Tensor:
    """Two dark disks on a bright ground, with noise."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    disks = [torch.hypot(y - size / 2, x - size * at) < size / 5 for at in (0.3, 0.7)]
    noise = 0.1 * torch.randn(1, INPUTS, size, size, generator=torch.Generator().manual_seed(0))
    return (torch.where(disks[0] | disks[1], -0.8, 0.6) + noise).to(device)


def time_sides(sides: dict[str, Side], device: torch.device, turns: int) -> dict[str, dict]:
    """Best seconds of each side's halves, and CPU seconds of all threads, after a warm-up."""
    best = {name: {"forward": np.inf, "backward": np.inf, "cpu": np.inf} for name in sides}
    for turn in range(turns + 1):
        for name, side in sides.items():
            losses, cpu = [], time.process_time()
            halves = {
                "forward": lambda side=side, losses=losses: losses.append(side.forward()),
                "backward": lambda side=side, losses=losses: side.backward(losses[0]),
            }
            for half, work in halves.items():
                taken = machine.seconds(work, device)
                if turn:
                    best[name][half] = min(best[name][half], taken)
            if turn:
                best[name]["cpu"] = min(best[name]["cpu"], time.process_time() - cpu)
    return {
        name: {
            "forward": halves["forward"],
            "backward": halves["backward"],
            "iteration": halves["forward"] + halves["backward"],
            "cpu": halves["cpu"],
        }
        for name, halves in best.items()
    }


def iterations(device: torch.device, turns: int) -> dict:
    """One iteration at the published size, and its deformable convolution alone."""
    image, channels = picture(published.SIZE, device), published.CHANNELS
    sides = {
        "plain": plain_side(image, channels),
        "engine": engine_side(image, channels),
    }
    alone = {
        "torchvision": deformable_side(torchvision_deform_conv2d, torch.contiguous_format, device),
        "ours": deformable_side(deform_conv2d, torch.channels_last, device),
    }
    return {
        "whole": time_sides(sides, device, turns),
        "deformable": time_sides(alone, device, turns) if device.type == "cpu" else {},
    }


def deformable_side(convolve: Callable, memory_format, device: torch.device) -> Side:
    size, channels = published.SIZE, published.CHANNELS
    generator = torch.Generator().manual_seed(0)
    image, offset, mask, weight = (
        torch.randn(shape, generator=generator)
        .to(device, memory_format=memory_format)
        .requires_grad_()
        for shape in (
            (1, channels, size, size),
            (1, 18, size, size),
            (1, 9, size, size),
            (channels, channels, 3, 3),
        )
    )

    def backward(output: Tensor) -> None:
        torch.autograd.grad(output.sum(), (image, offset, mask, weight))

    return Side(lambda: convolve(image, offset, weight, mask=mask, padding=(1, 1)), backward)


def check_equality() -> float:
    """Largest difference of the two sides' gradients, relative to the largest gradient."""
    network = plain.new_network(INPUTS, 8, 8).double()
    image = picture(48, torch.device("cpu")).double()
    transform = random_affine(torch.Generator().manual_seed(0)).double()
    fit = FitState(image[None], replace(LARGE, channels=8, clusters=8), 0)
    fit.network.load_state_dict(network.state_dict())
    plain.joint_loss(network, image, transform).backward()
    fit.forward(transform)[1].sum().backward()
    gradients = [[p.grad for p in side.parameters()] for side in (network, fit.network)]
    largest = max(gradient.abs().max() for gradient in gradients[0])
    return max(float((a - b).abs().max() / largest) for a, b in zip(*gradients, strict=True))


def growth(device: torch.device, turns: int) -> dict[str, dict]:
    """Seconds of an iteration of the engine by image size, channels and threads."""
    threads = torch.get_num_threads()

    def engine(size: int, channels: int) -> float:
        sides = {"engine": engine_side(picture(size, device), channels)}
        return time_sides(sides, device, turns)["engine"]["iteration"]

    grown = {
        "image size": {size: engine(size, 32) for size in (64, 128, 256)},
        "channels": {channels: engine(128, channels) for channels in (16, 32, 64)},
    }
    if device.type == "cpu":
        grown["threads"] = {}
        for count in sorted({1, 2, threads}):
            torch.set_num_threads(count)
            grown["threads"][count] = engine(128, 32)
        torch.set_num_threads(threads)
    return grown


def costliest(device: torch.device) -> list[dict]:
    """The operations that take most of an iteration."""
    image = picture(published.SIZE, device)
    networks = networks_at_once(image, LARGE, Device(str(device)))
    side = engine_side(image, published.CHANNELS, networks)
    times, _ = profiled(side.iterate, device)
    whole = sum(times.values())
    return [
        {"operation": name, "share": times[name] / whole}
        for name in sorted(times, key=times.get, reverse=True)[:COSTLIEST]
    ]


def gpu_busy(device: torch.device) -> dict[str, float]:
    """Share of a whole fit in which the GPU computes, for what is fitted in one go."""
    shares = {}
    slice_mode = Settings(mode="slice")
    for name, settings in {"volume": Settings(), "slice": slice_mode, "large": LARGE}.items():
        image = picture(settings.working_size, device)
        networks, slices = networks_at_once(image, settings, Device(str(device))), 1
        if settings.mode == "volume":
            networks, slices = 1, settings.fitted_slices
        stacks = image.expand(networks, slices, -1, -1, -1)
        times, wall = profiled(
            lambda stacks=stacks, settings=settings: fitting.fit_ensemble(stacks, settings),
            device,
        )
        shares[name] = sum(times.values()) / wall
    return shares


def profiled(work: Callable[[], object], device: torch.device) -> tuple[dict[str, float], float]:
    """Seconds of each operation on the device, and of the whole, once after a warm-up."""
    on_gpu = device.type == "cuda"
    work()
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as taken:
        wall = machine.seconds(work, device)
    of_operation = attrgetter("self_device_time_total" if on_gpu else "self_cpu_time_total")
    return {event.key: of_operation(event) / 1e6 for event in taken.key_averages()}, wall


def resampled(sample: Path, slices: int, folder: Path) -> Path:
    """The sample chest with another number of slices over the same length."""
    image = sitk.ReadImage(str(sample / "chest.nii.gz"), sitk.sitkInt16)
    size, spacing = list(image.GetSize()), list(image.GetSpacing())
    spacing[2] *= size[2] / slices
    size[2] = slices
    image = sitk.Resample(
        image,
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        spacing,
        image.GetDirection(),
        -1000,
    )
    path = folder / f"chest-{slices}.mha"
    sitk.WriteImage(image, str(path))
    return path


def segment(path: Path, settings: Settings) -> dict:
    """Segment a volume and tell seconds and peak memory; in a process of its own."""
    image = sitk.ReadImage(str(path))
    start, cpu = time.perf_counter(), time.process_time()
    result = segment_lungs(image, settings)
    wall = time.perf_counter() - start
    on_gpu = settings.device.startswith("cuda")
    return {
        "seconds": wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gb": peak_gb(),
        "gpu_gb": torch.cuda.max_memory_reserved() / 2**30 if on_gpu else None,
        "stages": result.timings,
    }


def volumes(
    sample: Path,
    runs: list[tuple[str, int]],
    slice_seconds: float,
    device: torch.device,
    turns: int,
) -> list[dict]:
    """Whole volumes by the engine, and what the published method takes for as many slices."""
    context = multiprocessing.get_context("spawn")
    taken = {run: [] for run in runs}
    with tempfile.TemporaryDirectory() as folder:
        for mode, slices in runs * turns:
            path = resampled(sample, slices, Path(folder))
            settings = LARGE if mode == "large" else Settings(mode=mode)
            settings = replace(settings, device=str(device))
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                row = pool.submit(segment, path, settings).result()
            taken[mode, slices].append(row)
            print(f"{mode} mode, {slices} slices: {row['seconds']:.1f} s", file=sys.stderr)
    return [
        {
            "mode": mode,
            "slices": slices,
            **min(taken[mode, slices], key=itemgetter("seconds")),
            "published": slice_seconds * slices,
        }
        for mode, slices in runs
    ]


def published_fits(sample: Path, slices: int, device: torch.device) -> dict[str, dict]:
    """Fits of the published method to slices of the chest, from the same start on every side."""
    chest = sitk.ReadImage(str(sample / "chest.nii.gz"))
    hounsfield = AxialOrientation(Geometry.of(chest)).apply(sitk.GetArrayViewFromImage(chest))
    between = np.linspace(0, len(hounsfield), slices + 2)[1:-1].astype(int)
    low, high = WINDOW
    sides = {"plain": (published.PublishedNet, torch.contiguous_format)}
    if device.type == "cpu":  # on CUDA the operators are the same
        sides["this library's"] = (fast_network, torch.channels_last)
    taken = {name: {"seconds": 0.0, "iterations": 0, "slices": slices} for name in sides}
    for number, axial in enumerate(hounsfield[between]):
        image = prepared((axial.clip(low, high) - low) / (high - low)).to(device)
        torch.manual_seed(number)
        start = published.PublishedNet().state_dict()
        for name, (make, layout) in sides.items():
            network = make()
            network.load_state_dict(start)
            network = network.to(device, memory_format=layout)
            steps = []
            taken[name]["seconds"] += machine.seconds(
                lambda network=network, layout=layout, image=image, steps=steps: steps.append(
                    published.fit(
                        image.contiguous(memory_format=layout), published.AS_WRITTEN, network
                    ).iterations
                ),
                device,
            )
            taken[name]["iterations"] += steps[0]
    return taken


def report(figures: dict) -> list[str]:
    """The tables."""
    lines = [
        "", figures["machine"], "", "EQUAL WORK",
        f"gradients of the engine and of plain code differ by {figures['equality']:.0e}",
    ]  # fmt: skip
    for title, sides in figures["iterations"].items():
        if not sides:
            continue
        lines += [
            "",
            f"{title + ', one iteration':<28}{'forward':>10}{'backward':>10}{'both':>10}"
            f"{'CPU':>10}",
        ]
        for name, halves in sides.items():
            lines.append(
                f"{name:<28}" + "".join(f"{1e3 * taken:8.0f}ms" for taken in halves.values())
            )
        theirs, ours = sides.values()
        ratios = (theirs[half] / ours[half] for half in theirs)
        lines.append(f"{'ratio':<28}" + "".join(f"{ratio:10.1f}" for ratio in ratios))
    if figures["published_fits"]:
        lines += ["", *_published_fits(figures["published_fits"])]
    lines += ["", *_limits(figures), "", "costliest operations of an iteration"]
    lines += [f"{row['operation']:<44}{row['share']:7.1%}" for row in figures["costliest"]]
    if figures["gpu_busy"]:
        lines += ["", "GPU busy during a fit"]
        lines += [
            f"{name + ' mode':<44}{share:7.1%}" for name, share in figures["gpu_busy"].items()
        ]
    for by, times in figures["growth"].items():
        lines += ["", f"ms an iteration, by {by}"]
        lines += [f"{value:>10}{1e3 * taken:10.1f}" for value, taken in times.items()]
    if figures["volumes"]:
        lines += ["", *_volumes(figures["volumes"])]
    return lines


def _published_fits(fits: dict[str, dict]) -> list[str]:
    lines = [
        f"the published method on {fits['plain']['slices']} slices of the chest, "
        f"{published.SIZE}x{published.SIZE}"
    ]
    lines += [
        f"{name + ' operators':<28}{fit['seconds'] / fit['slices']:8.1f} s a slice, "
        f"{fit['iterations']} iterations in all, {fit['seconds'] / fit['iterations']:.2f} s each"
        for name, fit in fits.items()
    ]
    each = [fit["seconds"] / fit["iterations"] for fit in fits.values()]
    return lines + [f"{'ratio of an iteration':<28}{each[0] / each[-1]:8.1f}"] * (len(each) > 1)


def _volumes(rows: list[dict]) -> list[str]:
    lines = [
        "WHAT A USER WAITS FOR",
        f"{'whole volumes':<20}{'s':>8}{'CPU s':>8}{'GB':>7}{'GPU GB':>8}{'ms a slice':>12}"
        f"{'published':>12}{'ratio':>8}",
    ]
    for row in rows:
        name = f"{row['mode']}, {row['slices']} slices"
        gpu = "-" if row["gpu_gb"] is None else f"{row['gpu_gb']:.2f}"
        lines.append(
            f"{name:<20}{row['seconds']:8.1f}{row['cpu_seconds']:8.1f}{row['peak_gb']:7.2f}"
            f"{gpu:>8}{1e3 * row['seconds'] / row['slices']:12.0f}"
            f"{row['published']:11.0f}s{row['published'] / row['seconds']:8.0f}"
        )
    lines.append("(published: extrapolated from the slices above; not the same work)")
    for fewer, more in pairwise(rows):
        if fewer["mode"] == more["mode"]:
            slices, seconds = (more[what] / fewer[what] for what in ("slices", "seconds"))
            lines.append(
                f"{more['mode']} mode, {fewer['slices']} to {more['slices']} slices: "
                f"{slices:.2f} times the slices, {seconds:.2f} times the seconds"
            )
    return lines


def _limits(figures: dict) -> list[str]:
    peaks, demand = figures["peaks"], figures["demand"]
    floor = max(demand["gflop"] / peaks["gflop/s"], demand["gb"] / peaks["gb/s"])
    taken = figures["iterations"]["whole"]["engine"]["iteration"]
    return [
        f"an iteration at the published size: {demand['gflop']:.1f} GFLOP, {demand['gb']:.2f} GB",
        f"this machine: {peaks['gflop/s']:.0f} GFLOP/s, {peaks['gb/s']:.1f} GB/s, "
        f"so {1e3 * floor:.0f} ms at least; the engine takes {taken / floor:.1f} times that",
    ]


def measure(device: torch.device, arguments: argparse.Namespace) -> dict:
    """All figures of one device."""
    turns = 1 if arguments.quick else 3
    network = plain.new_network(INPUTS).to(device)
    is_thorough = arguments.sample and not arguments.quick
    modes = arguments.modes or (["volume"] if arguments.quick else MODES[device.type])
    runs = [(mode, count) for mode in modes for count in arguments.slices]
    fits, rows = {}, []
    if arguments.sample:
        fits = published_fits(arguments.sample, PUBLISHED_SLICES if is_thorough else 1, device)
        each = fits["plain"]["seconds"] / fits["plain"]["slices"]
        rows = volumes(arguments.sample, runs, each, device, turns)
    return {
        "machine": machine.describe(device),
        "equality": check_equality(),
        "peaks": machine.peaks(device),
        "demand": machine.demand(network, picture(published.SIZE, device)),
        "iterations": iterations(device, turns),
        "costliest": costliest(device),
        "gpu_busy": gpu_busy(device) if device.type == "cuda" else {},
        "growth": {} if arguments.quick else growth(device, turns),
        "published_fits": fits,
        "volumes": rows,
        "load": os.getloadavg(),
    }


def equal_work(device: str, figures: dict) -> list[dict]:
    """The sides that do the same, in seconds, for the file of the measurements."""
    pairs = {
        what: [side["iteration"] for side in figures["iterations"][name].values()]
        for name, what in (("whole", ITERATION), ("deformable", "its deformable convolution"))
    }
    fits = [fit["seconds"] / fit["slices"] for fit in figures["published_fits"].values()]
    pairs["the published method, one slice"] = fits
    return [
        {"device": device, "what": what, "plain": pair[0], "ours": pair[1]}
        for what, pair in pairs.items()
        if len(pair) == 2
    ]


def waiting(device: str, figures: dict) -> list[dict]:
    """Whole volumes, for the file of the measurements."""
    names = ("mode", "slices", "seconds", "cpu_seconds", "peak_gb", "published")
    return [{"device": device, **{name: row[name] for name in names}} for row in figures["volumes"]]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=Path, help="folder that s3net sample-data made")
    parser.add_argument("--slices", nargs="+", type=int, help="default: 64 133 300")
    parser.add_argument("--modes", nargs="+", choices=MODES["cuda"])
    parser.add_argument("--devices", nargs="+", choices=("cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="64 slices, volume mode, one turn")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmark"))
    add_option(parser)
    arguments = parser.parse_args()
    arguments.slices = arguments.slices or ([64] if arguments.quick else [64, 133, 300])
    there = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    devices = arguments.devices or there
    if not set(devices) <= set(there):
        parser.error("PyTorch finds no CUDA GPU on this machine")
    figures = {name: measure(torch.device(name), arguments) for name in devices}
    arguments.output.mkdir(parents=True, exist_ok=True)
    table = json.dumps(figures, indent=1)
    (arguments.output / "speed.json").write_text(table, encoding="utf-8")
    for name in devices:
        print(*report(figures[name]), sep="\n")
        if arguments.record:
            record("equal work", equal_work(name, figures[name]), ("device", "what"))
            record("waiting", waiting(name, figures[name]), ("device", "mode", "slices"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A batch on a Dask cluster on loopback: a scheduler, and two workers with a GPU each."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from batch_data import (
    COMMAND,
    ENVIRONMENT,
    QUICK,
    batch_script,
    by_place,
    is_right,
    leftovers,
    scan_processes,
    wait_for,
)
from batch_data import write_chest as write
from S3NetSegmentationLib.batch import executors
from S3NetSegmentationLib.batch.run import run_batch
from S3NetSegmentationLib.errors import InputError

distributed = pytest.importorskip("distributed", reason="a cluster needs dask.distributed")

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds processes in /proc")

GPUS = ("0", "1")

WITNESS = """
import os, sys
if "S3NetSegmentationLib.jobs.worker" in sys.orig_argv:
    with open(os.environ["WITNESS"], "a") as file:
        folder, gpu = sys.orig_argv[-1], os.environ["CUDA_VISIBLE_DEVICES"]
        file.write(f"{os.path.basename(folder)} {os.getppid()} {gpu}\\n")
"""
"""Runs as ``sitecustomize`` in every Python of the cluster; notes what a scan's process can see."""


@contextmanager
def running(folder, *environments):
    """Address of a scheduler, and the processes of itself and of a worker for each environment."""
    scheduler, *workers = environments
    options = {"cwd": folder, "stderr": subprocess.DEVNULL}
    dask, file = [sys.executable, "-m"], folder / "scheduler.json"
    command = [*dask, "distributed.cli.dask_scheduler", "--scheduler-file", file]
    command += ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    started = [subprocess.Popen(command, env=scheduler, **options)]
    try:
        wait_for(lambda: file.is_file() and file.stat().st_size)
        with distributed.Client(scheduler_file=str(file), set_as_default=False) as client:
            address = client.scheduler.address
            command = [*dask, "distributed.cli.dask_worker", address, "--nthreads", "1"]
            command += ["--no-nanny", "--no-dashboard", "--local-directory", folder]
            started += [subprocess.Popen(command, env=each, **options) for each in workers]
            if workers:
                client.wait_for_workers(len(workers), timeout=60)
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a scheduler, the processes of itself and of two workers, and what was noted."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "sitecustomize.py").write_text(WITNESS)
    witness = {
        "PYTHONPATH": os.pathsep.join([str(folder), ENVIRONMENT["PYTHONPATH"]]),
        "WITNESS": str(folder / "witness"),
    }
    workers = [{**ENVIRONMENT, **witness, "CUDA_VISIBLE_DEVICES": gpu} for gpu in GPUS]
    with running(folder, ENVIRONMENT, *workers) as (address, started):
        yield address, started, folder / "witness"


def parent(process: int) -> int:
    with open(f"/proc/{process}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


def test_every_scan_sees_the_gpu_of_its_worker(tmp_path, cluster):
    """Several GPUs of one machine: a worker for each, started with the GPU that it may see."""
    address, (_, *workers), witness = cluster
    source, output = tmp_path / "in", tmp_path / "out"
    for seed in range(4):
        write(source / f"{seed}.nrrd", seed=seed)
    command = [*COMMAND, source, "-o", output, "--scheduler", address]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    gpu_of = {str(worker.pid): gpu for worker, gpu in zip(workers, GPUS, strict=True)}
    seen = [line.split() for line in witness.read_text().splitlines()]
    assert all(gpu == gpu_of[worker] for _, worker, gpu in seen)
    assert {gpu for *_, gpu in seen} == set(GPUS)
    done = sorted(folder.rsplit("-", 1)[0] for folder, *_ in seen)
    assert done == sorted(path.name.split(".")[0] for path in output.glob("*.seg.nrrd"))
    assert len(done) == 4


def test_a_killed_batch_goes_on_where_it_was(tmp_path, cluster):
    """The workers live on; what they still do for it harms nothing."""
    address, *_ = cluster
    source, output = tmp_path / "in", tmp_path / "out"
    truth = {f"{seed}.nrrd": write(source / f"{seed}.nrrd", seed=seed) for seed in range(3)}
    script = batch_script(source, output, scheduler=address)
    with subprocess.Popen(script, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as batch:
        batch.stdout.readline()
        wait_for(lambda: scan_processes(output))
        batch.kill()
    ended = []
    records = run_batch(source, output, QUICK, scheduler=address, on_record=ended.append)
    assert len(ended) < 3
    assert {record["status"] for record in records} == {"done"}
    wait_for(lambda: not scan_processes(output))
    for place, record in by_place(output, records).items():
        assert is_right(output / f"{record['name']}.seg.nrrd", truth[place])
    assert not leftovers(output)


def test_a_killed_worker_costs_only_time(tmp_path, cluster):
    address, (_, *workers), _ = cluster
    source, output = tmp_path / "in", tmp_path / "out"
    truth = {f"{seed}.nrrd": write(source / f"{seed}.nrrd", seed=seed) for seed in range(3)}
    (source / "bad.nrrd").write_bytes(b"no image")
    seen, killed = [], []

    def kill_once(name, report):
        seen.append(name)
        if report is not None and not killed:
            scan = scan_processes(output, name)[0]
            killed.append(parent(scan))
            os.kill(killed[0], signal.SIGKILL)

    records = run_batch(source, output, QUICK, scheduler=address, on_scan_progress=kill_once)
    assert killed[0] in {worker.pid for worker in workers}
    statuses = {place: each["status"] for place, each in by_place(output, records).items()}
    assert statuses == {**dict.fromkeys(truth, "done"), "bad.nrrd": "failed"}
    for place, record in by_place(output, records).items():
        if place in truth:
            assert is_right(output / f"{record['name']}.seg.nrrd", truth[place])
    assert {record["name"] for record in records if record["status"] == "done"} <= set(seen)
    # The scan of the killed worker has left with it.
    wait_for(lambda: not scan_processes(output))
    assert not leftovers(output)


def test_no_scheduler_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "ANSWER_SECONDS", 1)
    write(tmp_path / "in" / "a.nrrd")
    with pytest.raises(InputError, match=r"no Dask scheduler at 'tcp://127.0.0.1:9'.*\.$"):
        run_batch(tmp_path / "in", tmp_path / "out", QUICK, scheduler="tcp://127.0.0.1:9")
    assert not leftovers(tmp_path / "out")


@pytest.mark.parametrize(
    "address", ["", " ", "nowhere", "tcp://", "/etc/hosts", "http://127.0.0.1:9"]
)
def test_what_is_no_address_is_one_sentence(tmp_path, monkeypatch, address):
    monkeypatch.setattr(executors, "ANSWER_SECONDS", 1)
    write(tmp_path / "in" / "a.nrrd")
    with pytest.raises(InputError, match=r"no Dask scheduler at '.*\.$"):
        run_batch(tmp_path / "in", tmp_path / "out", QUICK, scheduler=address)


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.0 400 Bad Request\r\n\r\n"])
def test_what_answers_and_is_no_scheduler_is_one_sentence(tmp_path, monkeypatch, says):
    monkeypatch.setattr(executors, "ANSWER_SECONDS", 1)
    write(tmp_path / "in" / "a.nrrd")

    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(says)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(InputError, match=r"no Dask scheduler at '.*\.$"):
            run_batch(tmp_path / "in", tmp_path / "out", QUICK, scheduler=address)
        server.shutdown()


def test_a_scheduler_without_workers_says_how_to_start_one(tmp_path, monkeypatch):
    write(tmp_path / "in" / "a.nrrd")
    with running(tmp_path, ENVIRONMENT) as (address, _):
        monkeypatch.setattr(executors, "ANSWER_SECONDS", 2)
        with pytest.raises(InputError, match=rf"has no workers; .*: dask worker {address} --nth"):
            run_batch(tmp_path / "in", tmp_path / "out", QUICK, scheduler=address)


@pytest.mark.parametrize("who", ["scheduler", "worker"])
@pytest.mark.parametrize("content", ["raise ImportError", "__version__ = '0'"])
def test_machines_with_another_program_are_refused(tmp_path, who, content):
    """A worker without it dies when it is given a scan; the batch would wait for ever."""
    other = tmp_path / "other"
    (other / "S3NetSegmentationLib").mkdir(parents=True)
    (other / "S3NetSegmentationLib" / "__init__.py").write_text(content)
    wrong = {**ENVIRONMENT, "PYTHONPATH": str(other)}
    machines = [wrong, ENVIRONMENT] if who == "scheduler" else [ENVIRONMENT, wrong]
    write(tmp_path / "in" / "a.nrrd")
    with (
        running(tmp_path, *machines) as (address, _),
        pytest.raises(InputError, match=r"need this version of the program.*\.$"),
    ):
        run_batch(tmp_path / "in", tmp_path / "out", QUICK, scheduler=address)
    assert not leftovers(tmp_path / "out")


def test_a_lost_scheduler_ends_the_batch_in_sentences(tmp_path, cluster, capfd):
    """The last of these tests: it takes the scheduler away."""
    address, (scheduler, *_), _ = cluster
    source, output = tmp_path / "in", tmp_path / "out"
    write(source / "a.nrrd")
    write(source / "b.nrrd", seed=1)

    def kill(name, report):
        scheduler.kill()

    records = run_batch(source, output, QUICK, scheduler=address, on_scan_progress=kill)
    assert [record["status"] for record in records] == ["failed", "failed"]
    assert all("run the batch again" in record["error"] for record in records)
    assert "Traceback" not in capfd.readouterr().err
    wait_for(lambda: not scan_processes(output))
    assert not leftovers(output)

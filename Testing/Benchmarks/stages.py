"""Where the time of a scan goes, stage by stage, from the start of the program to its last file.

    .venv/bin/python Testing/Benchmarks/stages.py --sample .cache/sample

prints wall and CPU seconds of each stage, and the most memory that was held until its end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from record import add_option, peak_gb, record


class Clock:
    """The time from stage to stage."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self._since = time.perf_counter(), time.process_time()

    def end(self, stage: str) -> None:
        """Note the time since the last stage; what belongs to the same stage is added."""
        now = time.perf_counter(), time.process_time()
        if not self.rows or self.rows[-1]["stage"] != stage:
            self.rows.append({"stage": stage, "seconds": 0.0, "CPU seconds": 0.0})
        row = self.rows[-1]
        row["seconds"] += now[0] - self._since[0]
        row["CPU seconds"] += now[1] - self._since[1]
        row["peak GB so far"] = peak_gb()
        self._since = now


def segment(path: Path) -> list[dict]:
    """Segment a scan as the command does, and tell the time of each stage."""
    clock = Clock()
    from S3NetSegmentationLib.jobs.process_setup import load_torch, prepare_process

    prepare_process()
    load_torch()
    from S3NetSegmentationLib import pipeline
    from S3NetSegmentationLib.io.overview import write_overview
    from S3NetSegmentationLib.io.read import read_scan
    from S3NetSegmentationLib.io.write import write_segmentation

    clock.end("loading Python, torch, and the rest")
    image = read_scan(path).image
    clock.end("reading")
    stage = ""

    def note(progress: pipeline.Progress) -> None:
        nonlocal stage
        if stage:
            clock.end(stage.lower())
        stage = progress.stage

    result = pipeline.segment_lungs(image, on_progress=note)
    clock.end(stage.lower())
    with tempfile.TemporaryDirectory() as folder:
        write_segmentation(Path(folder) / "lungs.seg.nrrd", result.lungs)
        write_overview(Path(folder) / "overview.png", image, result.lungs)
    clock.end("writing")
    whole = {name: sum(row[name] for row in clock.rows) for name in ("seconds", "CPU seconds")}
    rows = [*clock.rows, {**clock.rows[-1], "stage": "all", **whole}]
    return [{"stage": row.pop("stage")} | {k: round(row[k], 2) for k in row} for row in rows]


def main() -> int:
    """Print a line for each stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=Path, required=True, help="that s3net sample-data made")
    add_option(parser)
    arguments = parser.parse_args()
    rows = segment(arguments.sample / "chest.nii.gz")
    for row in rows:
        stage, *figures = row.values()
        print(f"{stage:36}", *figures, sep="  ")
    if arguments.record:
        record("stages", rows, ("stage",))
    return 0


if __name__ == "__main__":
    sys.exit(main())

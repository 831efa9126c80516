"""The tables of docs/measurements.md, made from ``measurements.json``.

    .venv/bin/python Testing/Benchmarks/tables.py

writes each table between ``<!-- table: NAME -->`` and ``<!-- end -->`` in the page, with the runs
that measured it, and the plot of the estimated quality beside the page. `TABLES` has the names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cases import SCANS
from plot import scatter
from quality import Agreement
from record import load
from summary import OURS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PLOT = DOCS / "measurements.md", DOCS / "quality.svg"

BLOCK = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

METHODS = {
    "s3net": "volume mode",
    "s3net slice mode": "slice mode",
    "no network": "no network",
    "k-means": "k-means",
}

HEALTHY = {
    "cip_copd": ("COPD (Chest Imaging Platform)", "64×64×79"),
    "elastix_lung": ("one lung in the field of view (elastix)", "57×78×64"),
    "sample": ("chest of `make demo` (LIDC-IDRI)", "512×512×133"),
    "example_ct": ("abdomen with lung bases (TotalSegmentator)", "122×101×112"),
    "example_ct_sm": ("part of it", "122×101×30"),
}

DISEASES = {"lctsc": "lung cancer", "medseg": "COVID-19"}
"""By the beginning of a scan's name, in lower case."""

PICTURES = {
    "Kaggle slices": 'slices of 64×64 ("Finding and Measuring Lungs")',
    "LungSegDB": "slices of 512×512 (LungSegDB)",
    "COVID-19 slices": "slices of patients with COVID-19 (LungSegDB)",
    "PH2 skin": "pictures of skin (PH2)",
}

PROTOCOLS = {
    "best cluster": "best cluster",
    "best, cropped": "best cluster, cropped",
    "automatic": "automatic",
}

PAPER = {
    ("Kaggle slices", "automatic"): "94.7 / 8.8 / 13.1 [^2]",
    ("PH2 skin", "best, cropped"): "88.0 / 20.4 / 22.0",
}
"""S3-Net in the paper's table 1."""

PUBLISHED = {
    "paper": "published method, the paper's values",
    "paper as coded": "published method, defaults of the authors' code",
    "whole picture": "the whole picture is the lesion",
    "k-means": "k-means, k = 3",
    "no network": "no network",
}

WAYS = {
    "S3-Net": "S3-Net",
    "S3-Net, first": "S3-Net, proposed size only",
    "flood fill": "flood fill",
    "local threshold": "local threshold",
}

CORRECTED = {
    "fluid": "pleural fluid, from nothing",
    "diseased": "lungs, from the automatic result",
    "healthy": "healthy lungs",
}

TISSUE_SCANS = {
    "chest": "chest of `make demo`",
    "ct-64": "COPD",
    "medseg_1full": "COVID-19 (medseg_1, own pixels)",
}

WRONG_ONES = """\
[^1]: Without two slices whose references are plainly wrong: one includes the air around the body,
    one leaves out a lung. With them, the mean is {:.1f} and the worst slice {:.1f}."""

ITERATION = "one iteration at the published settings"
"""Whose ratio stands at the top of the page."""

ON_DEVICE = {"cpu": "", "cuda": " (CUDA)"}

NOTHING = "–"


@dataclass
class Source:
    """What a table is made from, and which runs it used."""

    measurements: dict[str, dict]
    used: dict[str, None] = field(default_factory=dict)

    def rows(self, table: str, **wanted: object) -> list[dict]:
        """The rows of a table in which these columns have these values."""
        found = [
            row
            for row in self.measurements["tables"].get(table, [])
            if all(row[name] == value for name, value in wanted.items())
        ]
        self.used |= dict.fromkeys(row["run"] for row in found)
        return found

    def row(self, table: str, **wanted: object) -> dict:
        """The one such row; an empty one where there is none."""
        return next(iter(self.rows(table, **wanted)), {})

    def runs(self) -> list[str]:
        """A line for each run that was used."""
        return [_told(self.measurements["runs"][number]) for number in self.used]


def _told(run: dict[str, str]) -> str:
    if "commit" in run:
        told = (
            f"measured on {run['date']} by `{run['command']}`, version {run['version']} "
            f"({run['commit']}); {run['machine']}; {run['packages']}."
        )
    else:  # from before there was this file
        told = (
            f"entered on {run['date']}, measured by `{run['command']}`; "
            "version and machine were not recorded."
        )
    return " ".join([f"- {told}", *([run["note"]] if "note" in run else [])])


def markdown(columns: Sequence[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """A table."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(map(str, cells)) + " |"

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows)]


def figure(row: dict, name: str, form: str, scale: float = 1) -> str:
    """A figure of a row; a dash where there is none."""
    value = row.get(name)
    return NOTHING if value is None else format(scale * value, form)


def healthy(source: Source) -> list[str]:
    lines, ours = [], []
    for image, names in HEALTHY.items():
        found = [source.row("scans", image=image, method=method) for method in METHODS]
        lines.append([*names, *(figure(row, "dsc", ".3f", 0.01) for row in found)])
        ours += [found[0]] if found[0] else []
    table = markdown(["scan", "voxels", *METHODS.values()], lines)
    seeds = min((row["seeds"] for row in ours), default=1)
    if seeds > 1:
        apart = max(row["seed_range"] for row in ours) / 100
        table += ["", f"Volume mode: means of {seeds} seeds, which differ by at most {apart:.4f}."]
    return table


def diseased(source: Source) -> list[str]:
    def disease(image: str) -> str:
        return next((d for name, d in DISEASES.items() if image.lower().startswith(name)), "")

    methods = (OURS, "s3net border 0.7", "no network")
    images = {row["image"] for row in source.rows("scans", group="diseased chest CT")}
    lines = []
    for image in sorted(images, key=lambda image: (image.removesuffix("full"), -len(image))):
        ours, *others = (source.row("scans", image=image, method=method) for method in methods)
        scan = image.replace("full", ", full resolution")
        figures = [figure(row, "dsc", ".1f") for row in (ours, *others)]
        infected = figure(ours, "infected", ".0f").replace(NOTHING, "")
        lines.append([scan, disease(image), *figures, infected and f"{infected}%"])
    titles = ["this program", "with `border` 0.7", "threshold", "infection included"]
    return markdown(["scan", "disease", *titles], lines)


def estimates(source: Source) -> list[str]:
    rows = source.rows("estimates")
    if not rows:
        return ["Not measured yet."]
    groups = {"all scans": [row for row in rows if row["group"] in SCANS]}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    lines = []
    for group, own in groups.items():
        if own:
            found = Agreement.of(own)
            correlation = found.rank_correlation
            lines.append(
                [
                    group,
                    found.images,
                    f"{min(row['dsc'] for row in own):.1f} to {max(row['dsc'] for row in own):.1f}",
                    f"{found.error:.1f}",
                    f"{found.largest:.1f}",
                    f"{correlation:.2f}" if correlation == correlation else NOTHING,
                ]
            )
    columns = ["images", "number", "Dice", "mean error", "largest error", "rank correlation"]
    return markdown(columns, lines)


def plot(source: Source) -> str:
    """Every image with a reference, by its estimate and its Dice score."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for row in source.rows("estimates"):
        groups.setdefault(row["group"], []).append((row["quality"], row["dsc"]))
    return scatter(groups, "estimated quality (%)", "Dice score (%)") if groups else ""


def clicks(source: Source) -> list[str]:
    lines, count = [], 0
    for group, what in CORRECTED.items():
        for row in source.rows("clicks", group=group):
            is_first = row["method"] == "S3-Net"
            title = f"{what}, {row['scans']} scans" if is_first else ""
            digits = 2 if row["dice"][0] else 1
            scores = [f"{each:.{digits}f}" if each else "0" for each in row["dice"]]
            lines.append([title, WAYS[row["method"]], *scores])
            count = len(scores)
    return markdown(["what", "way", *range(count)], lines)


def pictures(source: Source) -> list[str]:
    def cell(row: dict) -> str:
        return f"{_overlap(row)}, {row['worst']:.1f}" if row else NOTHING

    lines, notes = [], []
    for group, name in PICTURES.items():
        title = name
        for protocol in PROTOCOLS if group == "PH2 skin" else ["automatic"]:
            ours, plain = (
                source.row("groups", group=group, protocol=protocol, method=method)
                for method in (OURS, "no network")
            )
            if title and ours:
                title = f"{ours['images']} {name}"
                if ours["every_dsc"] != ours["dsc"]:
                    title += " [^1]"
                    notes = ["", WRONG_ONES.format(ours["every_dsc"], ours["every_worst"])]
            paper = PAPER.get((group, protocol), "")
            lines.append([title, PROTOCOLS[protocol], cell(ours), cell(plain), paper])
            title = ""
    return markdown(["images", "protocol", "S3-Net", "no network", "paper"], lines) + notes


def _overlap(row: dict) -> str:
    return " / ".join(f"{row[name]:.1f}" for name in ("dsc", "hm", "xor")) if row else NOTHING


def published(source: Source) -> list[str]:
    lines = [
        [
            name,
            *(
                _overlap(source.row("groups", group="PH2 skin", method=method, protocol=protocol))
                for protocol in ("best cluster", "best, cropped")
            ),
        ]
        for method, name in PUBLISHED.items()
    ]
    lines.append(["S3-Net in the paper, 200 pictures", "", PAPER["PH2 skin", "best, cropped"]])
    return markdown(["", "best cluster", "best cluster, cropped"], lines)


def constants(source: Source) -> list[str]:
    return markdown(
        ["constant", "value", "unit", "source", "plateau", "largest change: mean, scan"],
        (
            [
                f"`{row['constant']}`" + (f" [^{row['note']}]" if "note" in row else ""),
                *(row.get(name, "") for name in ("value", "unit", "source", "plateau", "change")),
            ]
            for row in source.rows("constants")
        ),
    )


def tissues(source: Source) -> list[str]:
    names = dict.fromkeys(row["tissue"] for row in source.rows("tissues"))
    lines = []
    for name in names:
        found = (source.row("tissues", scan=scan, tissue=name) for scan in TISSUE_SCANS)
        lines.append(
            [name, *(f"{row['mean_hu']:.0f}, {row['ml']:.0f}" if row else "" for row in found)]
        )
    first, *others = TISSUE_SCANS.values()
    return markdown(["tissue", f"mean HU, mL: {first}", *others], lines)


def equal_work(source: Source) -> list[str]:
    def seconds(value: float) -> str:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"

    lines = (
        [
            row["what"] + ON_DEVICE[row["device"]],
            seconds(row["plain"]),
            seconds(row["ours"]),
            f"{row['plain'] / row['ours']:.1f}",
        ]
        for row in source.rows("equal work")
    )
    return markdown(["", "plain code", "this engine", "ratio"], lines)


def waiting(source: Source) -> list[str]:
    lines = []
    for row in source.rows("waiting"):
        published = row.get("published")
        lines.append(
            [
                f"{row['mode']} mode, 512×512×{row['slices']}" + ON_DEVICE[row["device"]],
                f"{published / 3600:.1f} h" if published else NOTHING,
                f"{row['seconds']:.1f} s",
                figure(row, "cpu_seconds", ".1f"),
                figure(row, "peak_gb", ".1f"),
                f"{published / row['seconds']:.0f}" if published else NOTHING,
            ]
        )
    columns = ["scan", "published method, extrapolated", "this engine", "CPU seconds", "GB"]
    return markdown([*columns, "ratio"], lines)


def series(source: Source) -> list[str]:
    rows = source.rows("series")
    lines = []
    for outcome in dict.fromkeys(row["outcome"] for row in rows):
        own = [row for row in rows if row["outcome"] == outcome]
        if outcome in ("explained", "different"):
            lines += [[outcome, row["series"], row["details"]] for row in own]
        else:
            names = ", ".join(row["series"].rpartition("/")[2] for row in own)
            lines.append([outcome, f"{len(own)}: {names}", ""])
    return markdown(["outcome", "series, by their first files", "details"], lines)


def as_recorded(table: str) -> Callable[[Source], list[str]]:
    """A table whose columns are those of the file."""

    def made(source: Source) -> list[str]:
        rows = source.rows(table)
        if not rows:
            return ["Not measured yet."]
        names = [name for name in rows[0] if name != "run"]
        return markdown(names, ([row[name] for name in names] for row in rows))

    return made


def summary(source: Source) -> list[str]:
    def between(group: str, method: str) -> str:
        found = [row["dsc"] / 100 for row in source.rows("scans", group=group, method=method)]
        return f"{min(found):.3f} to {max(found):.3f}" if found else NOTHING

    def both(group: str) -> str:
        ours, threshold = (between(group, method) for method in (OURS, "no network"))
        return f"the Dice score is {ours}; a threshold reaches {threshold}."

    others = source.row("unseen", scans="10 diseased chests")
    whole = source.row("equal work", device="cpu", what=ITERATION)
    return [
        f"- In chests without dense disease, {both('chest CT')}",
        f"- In the diseased chests on which it was developed, {both('diseased chest CT')}",
        "- On ten other diseased chests, an earlier version was **no better than a threshold**",
        f"  ({others['this program']:.1f} and {others['threshold']:.1f}% on average), "
        "and worse on some.",
        "- At equal work, an iteration is "
        f"{whole['plain'] / whole['ours']:.1f} times faster than plain code.",
        *(
            f"- For a chest of 512×512×133 voxels, lungmask's network takes "
            f"{row['CPU seconds']:.0f} times the CPU time."
            for row in source.rows("lungmask", **{"512×512×133": "ratio"})
        ),
    ]


TABLES: dict[str, Callable[[Source], list[str]]] = {
    "healthy": healthy,
    "diseased": diseased,
    "unseen": as_recorded("unseen"),
    "estimates": estimates,
    "fluid": as_recorded("fluid"),
    "clicks": clicks,
    "pictures": pictures,
    "published": published,
    "constants": constants,
    "tissues": tissues,
    "equal work": equal_work,
    "waiting": waiting,
    "stages": as_recorded("stages"),
    "lungmask": as_recorded("lungmask"),
    "hostile files": as_recorded("hostile files"),
    "batches": as_recorded("batches"),
    "series": series,
}


def rendered(page: str, measurements: dict[str, dict]) -> str:
    """The page with its tables as the file has them."""

    def block(match: re.Match) -> str:
        begin, name, end = match.groups()
        source = Source(measurements)
        if name == "summary":  # of the tables below, which name their runs
            return "\n".join([begin, *summary(source), "", end])
        return "\n".join([begin, *TABLES[name](source), "", *source.runs(), "", end])

    return BLOCK.sub(block, page)


def main() -> int:
    """Write the page and the plot."""
    measurements = load()
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), measurements), encoding="utf-8")
    PLOT.write_text(plot(Source(measurements)), encoding="utf-8")
    print(f"Written: {PAGE}, {PLOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A page with every result drawn over its image, the worst first."""

from __future__ import annotations

import base64
import html
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from cases import Case
from figures import Row
from methods import Prediction
from protocol import best_cluster
from scipy import ndimage

SIZE = 256
"""Pixels along the longer side of a picture, about."""

WINDOW = (-1350.0, 250.0)
TRUTH, MADE, BOTH = (255, 60, 60), (60, 220, 60), (255, 220, 0)


class Page:
    """Collects overlays and writes them as one HTML file that needs nothing else."""

    def __init__(self):
        self._figures: list[tuple[float, str]] = []

    def add(self, case: Case, rows: list[Row], prediction: Prediction) -> None:
        """Draw a prediction: its mask, or where it has none its best cluster."""
        mask = prediction.mask
        if mask is None:
            mask = best_cluster(prediction.clusters, case.truth)
        drawn = _encoded(_drawn(*_section(case, mask)))
        scores = ", ".join(f"{row.protocol} {row.dsc:.1f}" for row in rows)
        caption = f"{case.group} {case.name}, {rows[0].method}, seed {rows[0].seed}: {scores}"
        self._figures.append(
            (
                rows[0].dsc,
                f'<figure><img src="data:image/png;base64,{drawn}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>",
            )
        )

    def write(self, path: Path, lines: list[str]) -> None:
        """Write the page with the table above."""
        figures = "\n".join(figure for _, figure in sorted(self._figures, key=lambda f: f[0]))
        table = html.escape("\n".join(lines))
        path.write_text(
            "<!doctype html><meta charset=utf-8><title>Accuracy</title><style>"
            "body{background:#222;color:#ddd;font:13px sans-serif}"
            f"figure{{display:inline-block;width:{SIZE}px;margin:4px;vertical-align:top}}"
            "</style><p>Outlines: red the truth, green the method, yellow both. "
            f"Worst first.</p><pre>{table}</pre>{figures}",
            encoding="utf-8",
        )


def _section(case: Case, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, truth and mask of a picture; of a scan the slice with the most errors."""
    if case.kind != "volume":
        return case.image, case.truth, mask
    worst = int((mask ^ case.truth).sum((1, 2)).argmax())
    return sitk.GetArrayViewFromImage(case.image)[worst], case.truth[worst], mask[worst]


def _drawn(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The outlines on the image, (y, x, 3) uint8."""
    values = image.astype(np.float32)
    low, high = WINDOW if values.min() < -500 else (values.min(), values.max())
    gray = 255 * ((values - low) / (high - low)).clip(0, 1)
    zoom = max(1, SIZE // max(truth.shape))
    colors = gray if gray.ndim == 3 else np.repeat(gray[..., None], 3, 2)
    picture, truth, mask = (each.repeat(zoom, 0).repeat(zoom, 1) for each in (colors, truth, mask))
    edges = [each & ~ndimage.binary_erosion(each) for each in (truth, mask)]
    for edge, color in ((edges[0], TRUTH), (edges[1], MADE), (edges[0] & edges[1], BOTH)):
        picture[edge] = color
    return picture.astype(np.uint8)


def _encoded(picture: np.ndarray) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "overlay.png"
        sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(path), True)
        return base64.b64encode(path.read_bytes()).decode("ascii")

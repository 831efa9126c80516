"""Curves and points as an SVG, for which no library is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

COLORS = ("#c0392b", "#e59866", "#2471a3", "#229954", "#7d3c98", "#17a589", "#34495e")

WIDTH, HEIGHT, MARGIN = 300, 240, 40
"""Of one diagram, in pixels."""


def curves(groups: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """A diagram for each group, side by side: Dice scores by the number of clicks."""
    parts = [_diagram(n * WIDTH, *group) for n, group in enumerate(groups.items())]
    return _svg(len(parts) * WIDTH, HEIGHT, parts)


def _diagram(left: int, title: str, methods: Mapping[str, Sequence[float]]) -> str:
    every = [value for values in methods.values() for value in values]
    low, high = min(every), max(every)
    clicks = max(len(values) for values in methods.values()) - 1

    def place(click: int, value: float) -> str:
        x = left + MARGIN + click * (WIDTH - 2 * MARGIN) / max(1, clicks)
        y = HEIGHT - MARGIN - (value - low) / ((high - low) or 1) * (HEIGHT - 2 * MARGIN)
        return f"{x:.1f},{y:.1f}"

    parts = [f'<text x="{left + WIDTH / 2}" y="15" text-anchor="middle">{title}</text>']
    for value in (low, high):
        x, y = place(0, value).split(",")
        parts.append(f'<text x="{float(x) - 4}" y="{y}" text-anchor="end">{100 * value:.1f}</text>')
    for click in range(clicks + 1):
        x, _y = place(click, low).split(",")
        parts.append(f'<text x="{x}" y="{HEIGHT - 22}" text-anchor="middle">{click}</text>')
    for number, (method, values) in enumerate(methods.items()):
        color = COLORS[number % len(COLORS)]
        points = " ".join(place(click, value) for click, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        y = HEIGHT - MARGIN - 8 - 13 * (len(methods) - 1 - number)
        parts.append(
            f'<text x="{left + WIDTH - MARGIN}" y="{y}" text-anchor="end" fill="{color}">'
            f"{method}</text>"
        )
    return "".join(parts)


SIDE = 420
"""Of a scatter plot, in pixels."""


def scatter(groups: Mapping[str, Sequence[tuple[float, float]]], across: str, upward: str) -> str:
    """Points in percent by group, up to 100 on both axes, with the line where both are equal."""
    every = [value for points in groups.values() for point in points for value in point]
    low = 10 * math.floor(min(every) / 10)
    inner = SIDE - 2 * MARGIN

    def place(value: float) -> float:
        return MARGIN + inner * (value - low) / (100 - low)

    parts = [
        f'<path d="M{MARGIN},{MARGIN}V{SIDE - MARGIN}H{SIDE - MARGIN}M{MARGIN},{SIDE - MARGIN}'
        f'L{SIDE - MARGIN},{MARGIN}" fill="none" stroke="#aaa"/>',
        f'<text x="{SIDE / 2}" y="{SIDE - 6}" text-anchor="middle">{across}</text>',
        f'<text x="12" y="{SIDE / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {SIDE / 2})">{upward}</text>',
    ]
    for value in range(low, 101, 10):
        at = place(value)
        parts.append(
            f'<text x="{at:.1f}" y="{SIDE - MARGIN + 14}" text-anchor="middle">{value}</text>'
            f'<text x="{MARGIN - 5}" y="{SIDE - at + 4:.1f}" text-anchor="end">{value}</text>'
        )
    for number, (group, points) in enumerate(groups.items()):
        color = COLORS[number % len(COLORS)]
        parts.append(
            f'<text x="{MARGIN + 10}" y="{MARGIN + 14 * number}" fill="{color}">{group}</text>'
        )
        parts += [
            f'<circle cx="{place(x):.1f}" cy="{SIDE - place(y):.1f}" r="3" fill="{color}" '
            'fill-opacity="0.6"/>'
            for x, y in points
        ]
    return _svg(SIDE, SIDE, parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )

"""Curves as an SVG, for which no library is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

COLORS = ("#c0392b", "#e59866", "#2471a3", "#229954")

WIDTH, HEIGHT, MARGIN = 300, 240, 40
"""Of one diagram, in pixels."""


def curves(groups: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """A diagram for each group, side by side: Dice scores by the number of clicks."""
    parts = [_diagram(n * WIDTH, *group) for n, group in enumerate(groups.items())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(parts) * WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


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

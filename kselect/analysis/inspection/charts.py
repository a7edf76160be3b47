"""Charts as SVG, without a script or a style of their own: colours are those of the page, and texts are escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from kselect.runs.parts import by_part

Floats = NDArray[np.float64]
WIDTH, CHARACTER, ROW = 720, 7, 24
"""Width of a chart, of a character of its labels, and height of a row, in the units of its view box."""
HEIGHT, MARGIN, GAP = 200, 24, 8
LONGEST = 30
"""Characters of a label; the rest is cut."""
TICKS = 5
SERIES = 6
"""Colours for lines, which the page defines."""
COLUMNS, MARKED = 200, 100
"""Columns of a heat map, and points of a line that have markers, so that a page stays small."""


def heat_map(rows: Sequence[str], steps: ArrayLike, values: ArrayLike, title: str) -> Markup:
    """Draw a band for each row, in which every phase is as wide as its share of the run, and as strong as its value.

    More than `COLUMNS` phases are averaged over as many equal parts of the run.

    Args:
        rows: Labels of the k rows.
        steps: Training steps of each phase, `[p]`.
        values: In [0, 1], `[p, k]`.
        title: What it shows.
    """
    length, shades = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(length) > COLUMNS:
        shades, length = by_part(shades, length, COLUMNS).T, np.full(COLUMNS, length.sum() / COLUMNS)
    left = _label_width(rows)
    ends = np.cumsum(length)
    edges = left + (WIDTH - left) * np.concatenate([[0.0], ends / ends[-1]])
    parts = []
    for i, row in enumerate(rows):
        parts.append(_text(left - GAP, i * ROW + ROW * 0.7, row, "end"))
        for phase, value in enumerate(shades[:, i]):
            hint = f"{row}, {ends[phase] - length[phase]:.0f} to {ends[phase]:.0f}: {value:.2f}"
            parts.append(
                Markup(
                    '<rect class="cell" x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill-opacity="{:.3f}">'
                    "<title>{}</title></rect>"
                ).format(edges[phase], i * ROW + 1, edges[phase + 1] - edges[phase], ROW - 2, value, hint)
            )
    bottom = len(rows) * ROW
    for quarter in range(5):
        anchor = ("start", "middle", "middle", "middle", "end")[quarter]
        x = left + (WIDTH - left) * quarter / 4
        parts.append(_text(x, bottom + 16, f"{ends[-1] * quarter / 4:.0f}", anchor))
    return _svg(parts, bottom + MARGIN, title)


def line_chart(series: Mapping[str, tuple[ArrayLike, ArrayLike]], title: str, horizontal: str) -> Markup:
    """Draw lines with a marker at each point, if these are few.

    Args:
        series: Each line's places and values, `[n]` both, by its label; values that are not finite are left out.
        title: What it shows.
        horizontal: What the places are.
    """
    lines = {name: _finite(*points) for name, points in series.items()}
    lines = {name: points for name, points in lines.items() if points.size}
    every = np.concatenate(list(lines.values()))
    low, high = every.min(0), every.max(0)
    span = np.where(high > low, high - low, 1.0)
    ticks = [low[1] + span[1] * i / (TICKS - 1) for i in range(TICKS)]
    labels = [f"{tick:.3g}" for tick in ticks]
    left, top, bottom = _label_width(labels), MARGIN, HEIGHT - 2 * MARGIN

    def place(points: Floats) -> Floats:
        x, y = ((points - low) / span).T
        return np.stack([left + x * (WIDTH - left - GAP), bottom - y * (bottom - top)], 1)

    parts = []
    for tick, label in zip(ticks, labels, strict=True):
        ((x, y),) = place(np.array([[low[0], tick]]))
        parts.append(Markup('<path class="grid" d="M{:.1f} {:.1f}H{}"/>').format(x, y, WIDTH - GAP))
        parts.append(_text(left - GAP, y + 4, label, "end"))
    offset = float(left)
    for i, (name, points) in enumerate(lines.items()):
        colour, placed = f"series{i % SERIES}", place(points)
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        parts.append(Markup('<path class="line {}" d="M{}"/>').format(colour, path))
        for (x, y), (at, value) in zip(placed, points, strict=True) if len(points) <= MARKED else ():
            hint = f"{name}, {horizontal} {at:g}: {value:.4g}"
            parts.append(
                Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>').format(
                    colour, x, y, hint
                )
            )
        parts.append(Markup('<circle class="{}" cx="{:.1f}" cy="10" r="4"/>').format(colour, offset + 4))
        parts.append(_text(offset + 14, 14, name, "start"))
        offset += 30 + CHARACTER * min(len(name), LONGEST)
    parts.append(_text(left, bottom + 18, f"{low[0]:g}", "start"))
    parts.append(_text(WIDTH - GAP, bottom + 18, f"{high[0]:g}", "end"))
    parts.append(_text((left + WIDTH) / 2, bottom + 18, horizontal, "middle"))
    return _svg(parts, HEIGHT - MARGIN, title)


def bar_chart(values: Mapping[str, float], title: str, digits: int = 3) -> Markup:
    """Draw a horizontal bar from 0 for each value, with its label; negative ones are left of the others' start."""
    left = _label_width(list(values))
    low, high = min(0.0, *values.values()), max(0.0, *values.values())
    unit = (WIDTH - left - 8 * CHARACTER) / ((high - low) or 1.0)
    zero = left - low * unit
    parts = []
    for i, (name, value) in enumerate(values.items()):
        start, end = sorted((zero, zero + value * unit))
        parts.append(_text(left - GAP, i * ROW + ROW * 0.7, name, "end"))
        parts.append(
            Markup('<rect class="bar" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>').format(
                start, i * ROW + 3, end - start, ROW - 6
            )
        )
        parts.append(_text(end + GAP, i * ROW + ROW * 0.7, f"{value:.{digits}f}", "start"))
    return _svg(parts, len(values) * ROW, title)


def _finite(places: ArrayLike, values: ArrayLike) -> Floats:
    points = np.stack([np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)], 1)
    return points[np.isfinite(points).all(1)]


def _label_width(labels: Sequence[str]) -> int:
    return CHARACTER * min(max(map(len, labels)), LONGEST) + GAP


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, shown)


def _svg(parts: Sequence[Markup], height: int, title: str) -> Markup:
    return Markup(
        '<figure><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg><figcaption>{}</figcaption></figure>'
    ).format(WIDTH, height, title, Markup("").join(parts), title)

"""The selection of a run as a heat map of kinds of knowledge by time, as text and as an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SHADES = " ░▒▓█"
WIDTH, ROW_HEIGHT, HEADER, FOOTER, GAP = 640, 44, 44, 36, 4
FONT_SIZE = 24  # legible where TensorBoard shows images at half their size
INK, PAPER, FUTURE = (32, 32, 32), (255, 255, 255), (224, 224, 224)
LIGHT, DARK = np.array([236.0, 244.0, 252.0]), np.array([8.0, 48.0, 107.0])

Phases = Sequence[tuple[int, Sequence[float]]]
"""Each phase's number of training steps, and a weight or probability for each kind of knowledge, `[k]` in [0, 1]."""


def heat_map_text(names: Sequence[str], phases: Phases, total_steps: int) -> str:
    """Return a line per kind of knowledge, with a shade per phase: blank for a weight of 0, full for 1."""
    width = max(map(len, names))
    steps = sum(count for count, _ in phases)
    rows = [
        "".join(SHADES[round(weights[row] * (len(SHADES) - 1))] for _, weights in phases) for row in range(len(names))
    ]
    lines = [f"{name:<{width}} |{shades}|" for name, shades in zip(names, rows, strict=True)]
    count = f"{len(phases)} phase{'' if len(phases) == 1 else 's'}"
    return "\n".join([*lines, f"{count}, {steps} of {total_steps} training steps"])


def heat_map_image(
    names: Sequence[str], phases: Phases, total_steps: int, title: str = "selection"
) -> NDArray[np.uint8]:
    """Draw an RGB image, of the same size throughout a run.

    Args:
        names: The kinds of knowledge; each is a labelled band, the first one at the top.
        phases: The phases so far, from left to right, as wide as their shares of the run; see `color` for their shades.
        total_steps: Training steps of the whole run; what is still to come is grey.
        title: What the shades show.

    Returns:
        `[44 k + 80, 640, 3]`.
    """
    image = Image.new("RGB", (WIDTH, HEADER + ROW_HEIGHT * len(names) + FOOTER), PAPER)
    draw, font = ImageDraw.Draw(image), _font()
    left, right, bottom = label_width(names), WIDTH - 12, HEADER + ROW_HEIGHT * len(names)
    ends = np.cumsum([0, *(count for count, _ in phases)]) * (right - left) / total_steps + left
    bounds = list(zip(ends[:-1].round().astype(int).tolist(), ends[1:].round().astype(int).tolist(), strict=True))
    for row, name in enumerate(names):
        top = HEADER + ROW_HEIGHT * row
        box = top + GAP // 2, top + ROW_HEIGHT - GAP // 2 - 1
        draw.text((left - 10, top + ROW_HEIGHT // 2), name, INK, font, anchor="rm")
        draw.rectangle((left, box[0], right - 1, box[1]), FUTURE)
        for (start, end), (_, weights) in zip(bounds, phases, strict=True):
            if start < end:
                draw.rectangle((start, box[0], end - 1, box[1]), color(weights[row]))
    draw.text((left, HEADER // 2), title, INK, font, anchor="lm")
    _draw_scale(draw, right)
    draw.text((left, bottom + FOOTER // 2), "0", INK, font, anchor="lm")
    draw.text((right, bottom + FOOTER // 2), f"step {total_steps}", INK, font, anchor="rm")
    return np.asarray(image)


def color(weight: float) -> tuple[int, int, int]:
    """Return the shade of a weight, from light for 0 to dark for 1, by its root: a fifth is to differ from none."""
    red, green, blue = (LIGHT + np.sqrt(np.clip(weight, 0.0, 1.0)) * (DARK - LIGHT)).round().astype(int).tolist()
    return red, green, blue


def label_width(names: Sequence[str]) -> int:
    """Return where the bands begin: right of the longest name, in pixels."""
    return int(max(_font().getlength(name) for name in names)) + 22


def _draw_scale(draw: ImageDraw.ImageDraw, right: int) -> None:
    """Draw what the shades mean at the top right."""
    width, start = 100, right - 130
    for x in range(width):
        draw.line((start + x, HEADER // 2 - 9, start + x, HEADER // 2 + 9), color(x / (width - 1)))
    draw.text((start - 8, HEADER // 2), "0", INK, _font(), anchor="rm")
    draw.text((right, HEADER // 2), "1", INK, _font(), anchor="rm")


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)

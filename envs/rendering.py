"""The selection of a run as a heat map of kinds of knowledge by time, as text and as an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHADES = " ░▒▓█"
ROW_HEIGHT = 24
WIDTH = 480
FUTURE = (224, 224, 224)
LIGHT, DARK = np.array([247.0, 251.0, 255.0]), np.array([8.0, 48.0, 107.0])

Selections = Sequence[tuple[int, Sequence[float]]]
"""Each phase's number of training steps, and its normalised weights `[k]`."""


def heat_map_text(names: Sequence[str], selections: Selections, total_steps: int) -> str:
    """Return a line per kind of knowledge, with a shade per phase: blank for a weight of 0, full for 1."""
    width = max(map(len, names))
    steps = sum(count for count, _ in selections)
    rows = [
        "".join(SHADES[round(weights[row] * (len(SHADES) - 1))] for _, weights in selections)
        for row in range(len(names))
    ]
    lines = [f"{name:<{width}} |{shades}|" for name, shades in zip(names, rows, strict=True)]
    phases = f"{len(selections)} phase{'' if len(selections) == 1 else 's'}"
    return "\n".join([*lines, f"{phases}, {steps} of {total_steps} training steps"])


def heat_map_image(rows: int, selections: Selections, total_steps: int) -> NDArray[np.uint8]:
    """Return an RGB image of the same size throughout a run.

    Args:
        rows: How many kinds of knowledge there are; each is a band, the first one at the top.
        selections: The phases so far, from left to right, as wide as their shares of the run; dark where a weight is 1.
        total_steps: Training steps of the whole run; what is still to come is grey.

    Returns:
        `[24 * rows, 480, 3]`.
    """
    image: NDArray[Any] = np.empty((rows, WIDTH, 3))
    image[:] = FUTURE
    ends = np.cumsum([0, *(count for count, _ in selections)]) * WIDTH / total_steps
    for (start, end), (_, weights) in zip(np.round(np.stack([ends[:-1], ends[1:]], 1)), selections, strict=True):
        shares = np.asarray(weights, dtype=np.float64)[:, None, None]
        image[:, int(start) : int(end)] = LIGHT + shares * (DARK - LIGHT)
    return np.repeat(image.round().astype(np.uint8), ROW_HEIGHT, axis=0)

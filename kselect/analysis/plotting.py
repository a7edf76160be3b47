"""Availability of matplotlib, which the extra `plots` installs, and saving of figures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kselect.errors import KselectError
from kselect.io import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def check_drawable() -> None:
    """Check that a recording can be drawn."""
    if not can_draw():
        raise KselectError(
            "record_plots draws with matplotlib, which is not installed: pip install 'kselect[plots]', "
            "or leave record_plots out.",
            setting="record_plots",
        )


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, atomically."""
    with replacing(path) as (partial,):
        figure.savefig(partial, format="png", dpi=150)

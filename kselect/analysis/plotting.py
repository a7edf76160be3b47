"""Pictures, by matplotlib, which the extra `plots` brings: whether one can be drawn, and the file it goes to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kselect.errors import KselectError
from kselect.io import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def can_draw() -> bool:
    """Return whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def check_drawable() -> None:
    """Refuse to draw a recording where nothing draws.

    Raises:
        KselectError: matplotlib is not installed.
    """
    if not can_draw():
        raise KselectError(
            "record_plots draws with matplotlib, which is not installed: pip install 'kselect[plots]', "
            "or leave record_plots out."
        )


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG; a kill at any moment leaves none, the old one or the new one.

    Raises:
        KselectError: the file cannot be written.
    """
    with replacing(path) as (partial,):
        figure.savefig(partial, format="png", dpi=150)

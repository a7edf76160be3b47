"""Availability of matplotlib, which the extra `plots` installs."""

from __future__ import annotations

from importlib.util import find_spec

from kselect.errors import KselectError


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

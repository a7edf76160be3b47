"""Availability of matplotlib, which the extra `plots` installs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from kselect.errors import KselectError

FORMATS = (".png", ".pdf", ".svg")


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def check_drawable(setting: str, path: str | None = None) -> None:
    """Refuse a setting that draws, where a file is to have another format or matplotlib is not installed."""
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise KselectError(f"{setting} is {path}: give a file that ends in {', '.join(FORMATS)}.", setting=setting)
    if not can_draw():
        raise KselectError(
            f"{setting} draws with matplotlib, which is not installed: pip install 'kselect[plots]', or leave "
            f"{setting} out.",
            setting=setting,
        )

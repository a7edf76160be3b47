"""A report of tables, some with a figure, for the terminal and for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """A table, and what is drawn of it.

    Attributes:
        title: What it shows.
        columns: Headings; the first column names the rows.
        rows: Cells, as texts.
        note: How to read it, in a sentence or two.
        figures: SVG images.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    figures: Sequence[Markup] = ()


@dataclass(frozen=True)
class Report:
    """What is shown of a run, a policy or a study.

    Attributes:
        title: Names it.
        sections: In the order in which they are shown.
    """

    title: str
    sections: list[Section] = field(default_factory=list)


def share(value: float) -> str:
    """Return a share in [0, 1] in percent.

    >>> share(0.25)
    '25 %'
    """
    return f"{100 * value:.0f} %"


def signed_share(value: float) -> str:
    """Return a difference of shares in points, with its sign."""
    return f"{100 * value:+.0f}"


def p_value(value: float) -> str:
    """Return a p-value with three digits.

    >>> p_value(0.00004)
    '< 0.001'
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number, and nothing for one that is not known."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"

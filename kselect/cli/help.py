"""How the help of a command looks: what an option expects, what it does, and its default."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping

import jsonargparse

from kselect.cli import values


def listing(title: str, lines: Mapping[str, str]) -> str:
    """Return names with what is said of each, under a title, as help texts show them."""
    width = max(map(len, lines))
    return "\n".join([f"{title}:", *(f"  {name:<{width}}  {line}" for name, line in lines.items())])


class Formatter(jsonargparse.DefaultHelpFormatter):
    """Shows `--option VALUE`, its help and its default; leaves the layout of the description alone."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in text.splitlines())

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)  # names hold hyphens

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return ", ".join(action.option_strings)
        hint = getattr(action, "_typehint", None)
        return f"{action.option_strings[0]} {action.metavar or values.metavar(hint) or action.dest.upper()}"

    def _get_help_string(self, action: argparse.Action) -> str:
        text = (action.help or "").replace("%", "%%")
        default = action.default
        if action.nargs == 0 or default in (None, argparse.SUPPRESS) or default in ([], {}):
            return text
        shown = ",".join(map(str, default)) if isinstance(default, list) else default
        return f"{text} [{shown}]"

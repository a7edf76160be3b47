"""What the studies here have in common: settings from a command line, the key of a ledger, and errors in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from kselect.config import DistillSettings
from kselect.errors import KselectError


def read_settings(*words: str) -> DistillSettings:
    """Return the settings of `kselect distill` with these options.

    Raises:
        KselectError: An option or a file is wrong.
    """
    from kselect.cli.commands import COMMANDS

    settings = COMMANDS["distill"].settings(words)
    if not isinstance(settings, DistillSettings):
        raise KselectError("Ask `kselect distill --help` for its options.")
    return settings


def print_entry(entry: dict[str, Any]) -> None:
    """Print a new entry of a ledger without its long fields."""
    shown = {
        name: value for name, value in entry.items() if not isinstance(value, (list, dict)) and name != "traceback"
    }
    print(shown, flush=True)


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown, with an empty line before and after it."""
    from kselect.cli.console import markdown

    print(f"\n{markdown(columns, rows)}\n")


def run_main(parser: argparse.ArgumentParser, act: Callable[[argparse.Namespace], None]) -> None:
    """Read the command line, with unknown options in `settings`, and act; an error is one line and exit code 2."""
    options, words = parser.parse_known_args()
    options.settings = words
    try:
        act(options)
    except KselectError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None

"""The help of a command: the values an option takes, what it does, and its default."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import jsonargparse

from kselect.config.values import members

if TYPE_CHECKING:
    from kselect.cli.parser import Command

METAVARS: dict[Any, str] = {float: "X", int: "N", bool: "{true,false}", list: "A,B,...", dict: "NAME=VALUE,..."}
jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)


def make_parser(command: Command[Any]) -> jsonargparse.ArgumentParser:
    """Return the parser that prints a command's help: a heading per group of settings, an option per setting."""
    operand = f" {command.positional.upper()}" if command.positional else ""
    parser = jsonargparse.ArgumentParser(
        prog=f"kselect {command.name}",
        usage=f"kselect {command.name}{operand} [--config FILE] [options]",
        description=command.help,
        epilog=None if command.epilog is None else command.epilog(),
        formatter_class=Formatter,
        exit_on_error=False,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings, one a line; options win over it.")
    parser.add_argument("-v", "--verbose", action="store_true", help="Show more messages.")
    parser.add_argument("-q", "--quiet", action="store_true", help="Show results and errors only.")
    for group in command.settings_class.groups().values():
        parser.add_class_arguments(group)
    parser.set_defaults(command.settings_class.defaults())
    return parser


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
        shown = action.metavar or _metavar(getattr(action, "_typehint", None)) or action.dest.upper()
        return f"{action.option_strings[0]} {shown}"

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        if action.nargs == 0 or default in (None, argparse.SUPPRESS) or default in ([], {}):
            return text
        shown = ",".join(map(str, default)) if isinstance(default, list) else default
        return f"{text} [{shown}]"


def _metavar(hint: Any) -> str | None:
    """Return what the help shows for a value of this type; None where the option's name serves."""
    for member in members(hint):
        kind = get_origin(member) or member
        if kind is Literal:
            return "{" + ",".join(map(str, get_args(member))) + "}"
        if kind in METAVARS:
            return METAVARS[kind]
    return None

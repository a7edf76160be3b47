"""A command: a module with a name, settings and a `run`, and the parser that fills those settings."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields
from functools import cached_property
from importlib import import_module
from inspect import getdoc
from typing import Any, get_type_hints

import jsonargparse

from kselect.cli import arguments, values, yaml_file
from kselect.cli.help import Formatter
from kselect.config import laid_over
from kselect.errors import KselectError, did_you_mean

jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Command:
    """One command of `kselect`, read from its module.

    The module's docstring is its help: the first line in the list of commands, all of it above the options.
    The module defines `NAME`, `Settings` (a dataclass whose every field is one of the dataclasses of
    `kselect.config`), `run`, and where it needs them `DEFAULTS` (settings that start elsewhere than in
    `kselect.config`), `POSITIONAL` (the setting that needs no option before it), `EPILOG` (what the help says
    below the options) and `UNDER` (a function from the settings given to others that lie under them, mappings name by
    name; it sees lists and mappings, but no value's type is checked yet).

    Args:
        module_name: of the module.
        others: names of other commands' modules, for whom a file may have been made that this one does not take.
    """

    def __init__(self, module_name: str, others: Iterable[str] = ()) -> None:
        self.module: Any = import_module(module_name)
        self.name: str = self.module.NAME
        self.help: str = getdoc(self.module) or ""
        self.summary: str = self.help.splitlines()[0]
        self.defaults: Mapping[str, Any] = getattr(self.module, "DEFAULTS", {})
        self.positional: str | None = getattr(self.module, "POSITIONAL", None)
        self.others = tuple(others)
        self.under: Callable[[Mapping[str, Any]], dict[str, Any]] | None = getattr(self.module, "UNDER", None)

    @cached_property
    def parts(self) -> dict[str, type[Any]]:
        """The dataclasses of settings, by their name in `Settings`."""
        return get_type_hints(self.module.Settings)

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The type of every setting, by name."""
        return {name: hint for part in self.parts.values() for name, hint in get_type_hints(part).items()}

    @cached_property
    def parser(self) -> jsonargparse.ArgumentParser:
        """The parser that checks types and prints the help."""
        operand = f" {self.positional.upper()}" if self.positional else ""
        parser = jsonargparse.ArgumentParser(
            prog=f"kselect {self.name}",
            usage=f"kselect {self.name}{operand} [--config FILE] [options]",
            description=self.help,
            epilog=getattr(self.module, "EPILOG", None),
            formatter_class=Formatter,
            exit_on_error=False,
        )
        parser.add_argument(
            "--config", metavar="FILE", help="YAML file of settings, one a line; options given beside it win."
        )
        for part in self.parts.values():
            parser.add_class_arguments(part)
        parser.set_defaults(dict(self.defaults))
        return parser

    def settings(self, words: Sequence[str]) -> Any | None:
        """Read YAML files and options over them into the module's `Settings`; None where help was asked for.

        Raises:
            KselectError: whatever is wrong with the first bad option, file, key or value.
        """
        switches = [name for name, hint in self.hints.items() if hint is bool]
        given = arguments.read(words, self.hints, self.name, self.positional, switches)
        if given.wants_help:
            return None
        found: dict[str, Any] = {}
        origin: dict[str, str] = {}
        for path in given.files:
            values_of_file = yaml_file.read(path)
            self._check_known(path, values_of_file)
            found |= values_of_file
            origin |= {key: f"{path}: {key}" for key in values_of_file}
        for key, text in given.options.items():
            found[key], origin[key] = text, f"--{key}"
        if self.under:
            under = self.under({key: values.expand(self.hints[key], value) for key, value in found.items()})
            mappings = {key: values.expand(self.hints[key], found[key]) for key in under if key in found}
            found = laid_over(found | mappings, under)
            origin = {key: f"{key} of the run" for key in under} | origin
        return self._build(found, origin)

    def over(self, settings: Any, changes: Mapping[str, Any], source: str) -> Any:
        """Return `settings` with `changes` over them; `source` is where those are from.

        Raises:
            KselectError: whatever is wrong with the first bad key or value.
        """
        self._check_known(source, changes)
        return self._build({**flatten(settings), **changes}, {key: f"{source}: {key}" for key in changes})

    def _check_known(self, source: str, keys: Collection[str]) -> None:
        for key in keys:
            if key not in self.hints:
                whose = [other.name for other in map(Command, self.others) if other.hints.keys() >= set(keys)]
                if whose:
                    raise KselectError(
                        f"{source} has settings of {', '.join(whose)}, and '{key}' is none of {self.name}'s: give it "
                        f"another file, or options. See `kselect {self.name} --help`."
                    )
                hint = did_you_mean(key, self.hints)
                raise KselectError(f"{source}: unknown key '{key}'{hint} See `kselect {self.name} --help`.")

    def _build(self, found: Mapping[str, Any], origin: Mapping[str, str]) -> Any:
        for field in self._fields():
            if field.name not in found and field.default is MISSING and field.default_factory is MISSING:
                raise KselectError(f"{field.name} is missing: {self._how_to_give(field.name)}")
        try:
            checked = self.parser.parse_object({k: values.expand(self.hints[k], v) for k, v in found.items()})
        except argparse.ArgumentError as error:
            match = re.search(r'key "(\w+)', str(error))
            if match is None or match[1] not in origin:
                raise KselectError(" ".join(str(error).split())) from None
            key = match[1]
            wanted = values.expected(self.hints[key], found[key])
            raise KselectError(f"{origin[key]} is {found[key]!r}: expected {wanted}.") from None
        return self.module.Settings(
            **{
                name: part(**{field.name: checked[field.name] for field in fields(part)})
                for name, part in self.parts.items()
            }
        )

    def _fields(self) -> Iterator[Field[Any]]:
        for part in self.parts.values():
            yield from fields(part)

    def _how_to_give(self, name: str) -> str:
        action = next(action for action in self.parser._actions if action.dest == name)
        word = name.upper() if name == self.positional else f"--{name}"
        return f"give {word}. {action.help}"


def flatten(settings: Any) -> dict[str, Any]:
    """Return a command's settings as one flat mapping, as its YAML file holds them."""
    return {name: value for part in asdict(settings).values() for name, value in part.items()}

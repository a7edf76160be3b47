"""A command: a module with a name, settings and a `run`, and the parser that fills those settings."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from inspect import getdoc
from typing import Any

import jsonargparse

from kselect.cli import arguments, values, yaml_file
from kselect.cli.help import Formatter
from kselect.config import Settings, merge_settings
from kselect.config.validation import expected
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
        self.positional: str | None = getattr(self.module, "POSITIONAL", None)
        self.others = tuple(others)
        self.origin: dict[str, str] = {}
        self.under: Callable[[Mapping[str, Any]], dict[str, Any]] | None = getattr(self.module, "UNDER", None)

    @property
    def settings_class(self) -> type[Settings]:
        """The class that the command's settings are an instance of."""
        return self.module.Settings

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The type of every setting, by name."""
        return self.settings_class.hints()

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
        for part in self.settings_class.groups().values():
            parser.add_class_arguments(part)
        parser.set_defaults(self.settings_class.defaults())
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
        origin = self.origin
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
            found = merge_settings(found | mappings, under)
            for key in under:
                origin.setdefault(key, f"{key} of the run")
        return self._build(found, origin)

    def locate(self, error: KselectError) -> str:
        """Return an error's message and, where it is of a setting, how that is given or where it was read."""
        message, name = str(error), error.setting
        if name not in self.hints:
            return message
        where = self.origin.get(name, f"--{name}")
        return message if where in message else f"{message} ({where})"

    def over(self, settings: Any, changes: Mapping[str, Any], source: str) -> Any:
        """Return `settings` with `changes` over them; `source` is where those are from.

        Raises:
            KselectError: whatever is wrong with the first bad key or value.
        """
        self._check_known(source, changes)
        return self._build({**settings.to_dict(), **changes}, {key: f"{source}: {key}" for key in changes})

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
        for name in self.settings_class.required():
            if name not in found:
                raise KselectError(f"{name} is missing: {self._how_to_give(name)}")
        try:
            checked = self.parser.parse_object({k: values.expand(self.hints[k], v) for k, v in found.items()})
        except argparse.ArgumentError as error:
            match = re.search(r'key "(\w+)', str(error))
            if match is None or match[1] not in origin:
                raise KselectError(" ".join(str(error).split())) from None
            key = match[1]
            wanted = expected(self.hints[key], found[key])
            raise KselectError(f"{origin[key]} is {found[key]!r}: expected {wanted}.") from None
        return self.settings_class.from_dict({name: checked[name] for name in self.hints})

    def _how_to_give(self, name: str) -> str:
        action = next(action for action in self.parser._actions if action.dest == name)
        word = name.upper() if name == self.positional else f"--{name}"
        return f"give {word}. {action.help}"

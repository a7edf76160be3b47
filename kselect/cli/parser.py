"""A command: its help, and its settings from the words of a command line and from YAML files."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kselect.config import Settings, merge_settings
from kselect.config.values import convert, expected, is_optional, matches, shorten
from kselect.config.yaml_file import read as read_yaml
from kselect.errors import KselectError, did_you_mean

if TYPE_CHECKING:
    import jsonargparse

S = TypeVar("S", bound=Settings)
VERBOSITY = {"-v": "debug", "--verbose": "debug", "-q": "error", "--quiet": "error"}


@dataclass
class Arguments:
    """The words after a command, as values by setting name."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    verbosity: str | None = None
    wants_help: bool = False

    def locate(self, error: KselectError, settings: type[Settings]) -> str:
        """Return an error's message and, where it is about a setting, where that was given, or how to give it."""
        message, name = str(error), error.setting
        if name is None or name not in settings.hints():
            return message
        origin = self.origins.get(name, f"--{name}")
        return message if origin in message else f"{message} ({origin})"


@dataclass(frozen=True)
class Command(Generic[S]):
    """A command of `kselect`, whose `run` is in a module of its name that is imported only to run it.

    The docstring of that module is the command's help: the first line in the list of commands, all of it above the
    options.

    Attributes:
        positional: the setting that needs no option before it.
        epilog: returns the text below the options in the help.
        defaults_from: returns further defaults for settings, from the values that are given.
    """

    name: str
    settings_class: type[S]
    positional: str | None = None
    epilog: Callable[[], str] | None = None
    defaults_from: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    module: str = ""

    @property
    def _module(self) -> str:
        return self.module or f"kselect.cli.{self.name.replace('-', '_')}"

    @cached_property
    def help(self) -> str:
        """The docstring of the module, read without importing it."""
        spec = find_spec(self._module)
        assert spec is not None
        assert spec.origin is not None
        return ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self.help.partition("\n")[0]

    @property
    def hints(self) -> dict[str, Any]:
        """The type of every setting, by name."""
        return self.settings_class.hints()

    @cached_property
    def parser(self) -> jsonargparse.ArgumentParser:
        """The parser that prints the help."""
        from kselect.cli.help import make_parser  # imports jsonargparse, which takes half a second

        return make_parser(self)

    def run(self, settings: S) -> Any:
        """Check what the settings name, load the data, and run the command; returns what it returns."""
        from kselect.cli.command_data import describe, prepare

        data = prepare(settings)  # before torch is imported, so that faults and data are reported at once
        describe(settings, data)
        return import_module(self._module).run(settings, data)

    def settings(self, words: Sequence[str]) -> S | None:
        """Parse a command line to settings; None if it asks for help."""
        arguments = self.read(words)
        return None if arguments.wants_help else self.build(arguments)

    def read(self, words: Sequence[str]) -> Arguments:
        """Read options and YAML files; options win over files, later files over earlier ones."""
        for word in words:
            if any("\ud800" <= char <= "\udfff" for char in word):  # how Python has bytes that are not UTF-8
                raise KselectError(f"{shorten(ascii(word))} is not UTF-8: rename the file, or give another value.")
        options, files, result = self._split(words)
        for path in files:
            values = read_yaml(path)
            self._check_known(path, values)
            result.values |= values
            result.origins |= {name: f"{path}: {name}" for name in values}
        result.values |= options
        result.origins |= {name: f"--{name}" for name in options}
        return result

    def build(self, arguments: Arguments) -> S:
        """Return the settings: the given values over the defaults, all of the right types."""
        values = self._typed(arguments.values, arguments.origins)
        for name in self.settings_class.required():
            if name not in values:
                raise KselectError(f"{name} is missing: {self._how_to_give(name)}")
        if self.defaults_from is not None:
            with unreadable_paths():
                defaults = self.defaults_from(values)
            reset = {name for name, value in arguments.values.items() if value == "null"}  # asked for, unlike no value
            values = merge_settings(values, {name: defaults[name] for name in defaults.keys() - reset})
        return self.settings_class.from_dict(values)

    def override(self, settings: S, changes: Mapping[str, Any], source: str) -> S:
        """Return settings with changes, which come from `source`."""
        self._check_known(source, changes)
        origins = {name: f"{source}: {name}" for name in changes}
        try:
            return settings.replace(**self._typed(changes, origins))
        except KselectError as error:
            raise KselectError(Arguments(origins=origins).locate(error, self.settings_class)) from error

    def _typed(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> dict[str, Any]:
        typed = {}
        for name, value in values.items():
            hint = self.hints[name]
            if value is None and not is_optional(hint):
                raise KselectError(f"{origins[name]} has no value: give {expected(hint)}, or leave it out.")
            typed[name] = convert(value, hint)
            if not matches(typed[name], hint):
                given = shorten(repr(value))
                raise KselectError(f"{origins[name]} is {given}: expected {expected(hint, value)}.")
        return typed

    def _split(self, words: Sequence[str]) -> tuple[dict[str, str], list[str], Arguments]:
        """Return options, files, and the rest of what the words say; a switch needs no value: alone it is true."""
        options: dict[str, str] = {}
        files: list[str] = []
        result, rest = Arguments(), list(words)
        while rest:
            word = rest.pop(0)
            if word in ("-h", "--help"):
                result.wants_help = True
            elif word in VERBOSITY:
                result.verbosity = VERBOSITY[word]
            elif not word.startswith("-") or word == "-":
                if self.positional is None or self.positional in options:
                    raise KselectError(
                        f"'{shorten(word)}' belongs to no option: write lists with commas (gold,logits), and see "
                        f"`kselect {self.name} --help`."
                    )
                options[self.positional] = word
            else:
                name, value = self._option(word, rest)
                if name == "config":
                    files.append(value)
                else:
                    options[name] = value
        return options, files, result

    def _option(self, word: str, rest: list[str]) -> tuple[str, str]:
        """Return an option's name and value, `--name=value` or `--name` with the next word taken from `rest`."""
        option, sign, value = word.partition("=")
        name, known = option.removeprefix("--"), (*self.hints, "config")
        if not option.startswith("--") or name not in known:
            hint = did_you_mean(option, [f"--{other}" for other in known])
            raise KselectError(f"Unknown option '{shorten(option)}'{hint} See `kselect {self.name} --help`.")
        if sign:
            return name, value
        if self.hints.get(name) is bool and (not rest or rest[0].lower() not in ("true", "false")):
            return name, "true"
        if not rest or rest[0].startswith("--"):
            raise KselectError(f"{option} has no value: write {option} VALUE.")
        return name, rest.pop(0)

    def _check_known(self, source: str, names: Collection[str]) -> None:
        for name in names:
            if name in self.hints:
                continue
            from kselect.cli.commands import COMMANDS

            others = [command.name for command in COMMANDS.values() if command.hints.keys() >= set(names)]
            if others:
                raise KselectError(
                    f"{source} has settings of {', '.join(others)}, and '{name}' is none of {self.name}'s: give it "
                    f"another file, or options. See `kselect {self.name} --help`."
                )
            hint = did_you_mean(name, self.hints)
            raise KselectError(f"{source}: unknown key '{shorten(name)}'{hint} See `kselect {self.name} --help`.")

    def _how_to_give(self, name: str) -> str:
        option = next(action for action in self.parser._actions if action.dest == name)
        word = name.upper() if name == self.positional else f"--{name}"
        return f"give {word}. {option.help}"


@contextmanager
def unreadable_paths() -> Iterator[None]:
    """Turn an error of the system, such as of a name that is too long, into one line."""
    try:
        yield
    except OSError as error:
        path = shorten(str(error.filename))
        raise KselectError(f"{path} cannot be read ({error.strerror}): give another path.") from error

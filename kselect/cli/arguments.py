"""The words after a command, read as options: a mapping from option to text, with nothing interpreted yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from kselect.errors import KselectError, did_you_mean


@dataclass
class Arguments:
    """What a command line says: options and their texts, YAML files under them, whether it asks for help."""

    options: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    wants_help: bool = False


def read(
    words: Sequence[str],
    known: Collection[str],
    command: str,
    positional: str | None = None,
    switches: Collection[str] = (),
) -> Arguments:
    """Read `--name value` and `--name=value`; a word without an option before it fills `positional`, once.

    An option of `switches` needs no value: alone it is true.

    Raises:
        KselectError: an option outside `known`, an option without a value, or a word that belongs to no option.
    """
    arguments = Arguments()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            arguments.wants_help = True
            continue
        if not word.startswith("-") or word == "-":
            if positional is None or positional in arguments.options:
                raise KselectError(
                    f"'{word}' belongs to no option: write lists with commas (gold,logits), and see "
                    f"`kselect {command} --help`."
                )
            arguments.options[positional] = word
            continue
        name, sign, value = word.partition("=")
        option = name.removeprefix("--")
        if not name.startswith("--") or option not in {*known, "config"}:
            hint = did_you_mean(name, [f"--{one}" for one in (*known, "config")])
            raise KselectError(f"Unknown option '{name}'{hint} See `kselect {command} --help`.")
        if not sign:
            if option in switches and (not rest or rest[0].lower() not in ("true", "false")):
                rest.insert(0, "true")
            if not rest or rest[0].startswith("--"):
                raise KselectError(f"{name} has no value: write {name} VALUE.")
            value = rest.pop(0)
        if option == "config":
            arguments.files.append(value)
        else:
            arguments.options[option] = value
    return arguments

"""Shorthands for lists and mappings on the command line."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import yaml

from kselect.cli.yaml_file import Loader
from kselect.config.validation import members


def expand(hint: Any, value: Any) -> Any:
    """Return the list or mapping that a text stands for where the type takes one; anything else unchanged.

    A list is written `gold,logits`, a mapping `hidden=10,attention=2`; both may be JSON or YAML flow style,
    too. In a list of texts whole numbers are texts, on the command line anything is. A text that stands for nothing is
    left as it is, for the type check to refuse.

    >>> expand(list[str], "gold,logits")
    ['gold', 'logits']
    >>> expand(dict[str, float], "hidden=10,attention=2")
    {'hidden': 10, 'attention': 2}
    >>> expand(dict[str, str], "hidden=1:2,2:4,attention=last")
    {'hidden': '1:2,2:4', 'attention': 'last'}
    >>> expand(list[str], [0, 1]), expand(list[str], "[no, yes]")
    (['0', '1'], ['no', 'yes'])
    >>> expand(int | list[int], "3"), expand(int | list[int], "1,3,5")
    ('3', ['1', '3', '5'])
    """
    texts = list[str] in members(hint)
    if texts and isinstance(value, list):
        return [str(item) if type(item) is int else item for item in value]
    if not isinstance(value, str):
        return value
    kinds = {get_origin(option) or option for option in members(hint)}
    if not kinds & {list, dict}:
        return value
    if value.lstrip().startswith(("[", "{")):
        return _flow(value, yaml.BaseLoader if texts else Loader)
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if dict in kinds:
        return _mapping(hint, parts, value)
    return parts if list in kinds and (len(kinds) == 1 or "," in value) else value


def _mapping(hint: Any, parts: list[str], value: str) -> Any:
    """Return the mapping of `name=text` parts; a text stays one, commas and all, where the mapping is of texts."""
    if dict[str, str] in members(hint):
        joined: list[str] = []
        for part in parts:
            joined += [part] if "=" in part or not joined else [f"{joined.pop()},{part}"]
        parts = joined
    pairs = [part.partition("=") for part in parts]
    if not all(sign for _, sign, _ in pairs):
        return value
    texts = {name.strip(): text.strip() for name, _, text in pairs}
    return texts if dict[str, str] in members(hint) else {name: _flow(text) for name, text in texts.items()}


def metavar(hint: Any) -> str | None:
    """Return what `--help` shows for a value of this type; None where the option's name serves."""
    for option in members(hint):
        kind = get_origin(option) or option
        if kind is Literal:
            return "{" + ",".join(map(str, get_args(option))) + "}"
        if kind in _METAVARS:
            return _METAVARS[kind]
    return None


_METAVARS = {float: "X", int: "N", bool: "{true,false}", list: "A,B,...", dict: "NAME=VALUE,..."}


def _flow(text: str, loader: type[yaml.BaseLoader | yaml.SafeLoader] = Loader) -> Any:
    try:
        return yaml.load(text, loader)
    except (yaml.YAMLError, ValueError):
        return text

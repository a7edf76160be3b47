"""Shorthands for lists and mappings on the command line, and what each type of setting expects."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from kselect.cli.yaml_file import Loader


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
    texts = list[str] in _options(hint)
    if texts and isinstance(value, list):
        return [str(item) if type(item) is int else item for item in value]
    if not isinstance(value, str):
        return value
    kinds = {get_origin(option) or option for option in _options(hint)}
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
    if dict[str, str] in _options(hint):
        joined: list[str] = []
        for part in parts:
            joined += [part] if "=" in part or not joined else [f"{joined.pop()},{part}"]
        parts = joined
    pairs = [part.partition("=") for part in parts]
    if not all(sign for _, sign, _ in pairs):
        return value
    texts = {name.strip(): text.strip() for name, _, text in pairs}
    return texts if dict[str, str] in _options(hint) else {name: _flow(text) for name, text in texts.items()}


def expected(hint: Any, value: Any = None) -> str:
    """Say in plain words what a setting of this type expects, and how to write it where it is not `value`.

    >>> expected(float), expected(int | None), expected(Literal["bf16", "fp32"])
    ('a number', 'a whole number', 'bf16 or fp32')
    >>> expected(list[str], [False, True])
    'texts such as one,other, so put quotes around each'
    """
    words = " or ".join(dict.fromkeys(_describe(option) for option in _options(hint)))
    quotes = list[str] in _options(hint) and isinstance(value, list)
    return f"{words}, so put quotes around each" if quotes else words


def metavar(hint: Any) -> str | None:
    """Return what `--help` shows for a value of this type; None where the option's name serves."""
    for option in _options(hint):
        kind = get_origin(option) or option
        if kind is Literal:
            return "{" + ",".join(map(str, get_args(option))) + "}"
        if kind in _METAVARS:
            return _METAVARS[kind]
    return None


_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
_METAVARS = {float: "X", int: "N", bool: "{true,false}", list: "A,B,...", dict: "NAME=VALUE,..."}


def _describe(option: Any) -> str:
    kind = get_origin(option) or option
    if kind is Literal:
        *others, last = map(str, get_args(option))
        return f"{', '.join(others)} or {last}" if others else last
    if kind is list:
        kinds = {int: "whole numbers such as 1,3,5", float: "numbers such as 0.25,0.5"}
        return kinds.get(get_args(option)[0], "texts such as one,other")
    if kind is dict:
        members = _options(get_args(option)[1])
        if members == [str]:
            return "name=text pairs, such as hidden=uniform,attention=last"
        words = [_describe(member) for member in members if get_origin(member) is Literal]
        numbers = f" with {' or '.join(['numbers', *words])}" if {int, float} & set(members) else ""
        return f"name=value pairs{numbers}, such as hidden=10,attention=2"
    return _WORDS.get(kind, str(option))


def _options(hint: Any) -> list[Any]:
    """The members of a union without None, or the type alone."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return [member for member in members if member is not type(None)]


def _flow(text: str, loader: type[yaml.BaseLoader | yaml.SafeLoader] = Loader) -> Any:
    try:
        return yaml.load(text, loader)
    except (yaml.YAMLError, ValueError):
        return text

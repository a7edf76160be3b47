"""The types of settings: values of them from texts, what each expects, and whether a value has one."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from kselect.config.yaml_file import Loader, TextLoader, parse

LARGEST = 2**63
"""Whole numbers are below it, as in arrays."""


def convert(value: Any, hint: Any) -> Any:
    """Return a value of a setting's type from what a command line or a YAML file holds.

    A list is written `gold,logits`, a mapping `hidden=10,attention=2`; both may be JSON or YAML flow style, too. In a
    list of texts whole numbers are texts. A value that has no such reading is returned unchanged.

    >>> convert("gold,logits", list[str]), convert("3", int | list[int]), convert("1,3,5", int | list[int])
    (['gold', 'logits'], 3, [1, 3, 5])
    >>> convert("hidden=10,attention=2", dict[str, float]), convert("hidden=1:2,2:4,attention=last", dict[str, str])
    ({'hidden': 10.0, 'attention': 2.0}, {'hidden': '1:2,2:4', 'attention': 'last'})
    >>> convert([0, 1], list[str]), convert("[no, yes]", list[str]), convert("many", float)
    (['0', '1'], ['no', 'yes'], 'many')
    """
    if value == "null" and is_optional(hint):
        return None
    for kind in members(hint):
        converted = _from_text(value, kind, members(hint)) if isinstance(value, str) else _from_object(value, kind)
        if matches(converted, kind):
            return converted
    return value


def _from_text(text: str, kind: Any, kinds: list[Any]) -> Any:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if kind is int and re.fullmatch(r"[-+]?\d{1,19}", text):
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            return text
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is Any:
        return parse(text)
    if origin not in (list, dict):
        return text
    if text.lstrip().startswith(("[", "{")):
        return _from_object(parse(text, TextLoader if origin is list and arguments[0] is str else Loader), kind)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if origin is dict:
        return _pairs(parts, arguments[1], text)
    return [convert(part, arguments[0]) for part in parts] if "," in text or len(kinds) == 1 else text


def _pairs(parts: list[str], hint: Any, text: str) -> Any:
    """Return the mapping of `name=value` parts; a text keeps its commas."""
    if hint is str:
        joined: list[str] = []
        for part in parts:
            joined += [part] if "=" in part or not joined else [f"{joined.pop()},{part}"]
        parts = joined
    pairs = [part.partition("=") for part in parts]
    if not all(sign for _, sign, _ in pairs):
        return text
    return {name.strip(): convert(value.strip(), hint) for name, _, value in pairs}


def _from_object(value: Any, kind: Any) -> Any:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is list and isinstance(value, list | tuple):
        texts = arguments[0] is str
        return [str(item) if texts and type(item) is int else convert(item, arguments[0]) for item in value]
    if origin is dict and isinstance(value, Mapping):
        return {name: convert(item, arguments[1]) for name, item in value.items()}
    if kind is float and type(value) is int and abs(value) < LARGEST:
        return float(value)
    return value


def matches(value: Any, hint: Any) -> bool:
    """Return whether a value is of a setting's type."""
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        return any(matches(value, member) for member in arguments)
    if kind is Any:
        return True
    if kind is Literal:
        return isinstance(value, str) and value in arguments
    if kind is str:
        return isinstance(value, str) and "\0" not in value  # which no path may have
    if kind is list:
        return isinstance(value, list | tuple) and all(matches(item, arguments[0]) for item in value)
    if kind is dict:
        return isinstance(value, Mapping) and all(
            isinstance(name, str) and matches(item, arguments[1]) for name, item in value.items()
        )
    if kind in (int, float):
        is_int = isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
        return is_int or (kind is float and isinstance(value, float))
    return isinstance(value, kind)


def members(hint: Any) -> list[Any]:
    """Return the members of a union without None and with text last, or the type alone."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return sorted((part for part in parts if part is not type(None)), key=lambda part: part is str)


def is_optional(hint: Any) -> bool:
    """Return whether a setting may be None."""
    return matches(None, hint)


def expected(hint: Any, value: Any = None) -> str:
    """Return in words which values a setting of this type takes, and how to write it where it is not `value`.

    >>> expected(float), expected(int | None), expected(Literal["bf16", "fp32"])
    ('a number', 'a whole number', 'bf16 or fp32')
    >>> expected(list[str], [False, True])
    'texts such as one,other, so put quotes around each'
    """
    words = " or ".join(dict.fromkeys(_describe(member) for member in members(hint)))
    quotes = list[str] in members(hint) and isinstance(value, list)
    return f"{words}, so put quotes around each" if quotes else words


def _describe(hint: Any) -> str:
    kind = get_origin(hint) or hint
    if kind is Literal:
        *others, last = map(str, get_args(hint))
        return f"{', '.join(others)} or {last}" if others else last
    if kind is list:
        kinds = {int: "whole numbers such as 1,3,5", float: "numbers such as 0.25,0.5"}
        return kinds.get(get_args(hint)[0], "texts such as one,other")
    if kind is dict:
        values = members(get_args(hint)[1])
        if values == [str]:
            return "name=text pairs, such as hidden=uniform,attention=last"
        words = [_describe(value) for value in values if get_origin(value) is Literal]
        numbers = f" with {' or '.join(['numbers', *words])}" if {int, float} & set(values) else ""
        return f"name=value pairs{numbers}, such as hidden=10,attention=2"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}.get(kind, str(hint))


def shorten(text: str, length: int = 80) -> str:
    """Return a text of at most so many characters, cut in the middle where it is longer."""
    half = length // 2
    return text if len(text) <= length else f"{text[: half - 2]}...{text[-half + 1 :]}"

"""The base class of every group of settings, facts about single settings, and the checks they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from kselect.config.values import expected, matches, members, shorten
from kselect.errors import KselectError, unknown


@dataclass(frozen=True)
class SettingFacts:
    """Facts about one setting, which other modules select settings by; see `setting` and `names_with`.

    Attributes:
        group: settings that only make sense together, such as those for tagged sentences.
        affects_result: whether a run computes something else under another value.
        may_differ_on_resume: whether a stopped run may be resumed under another value.
        may_differ_on_extension: whether a study may take over the runs of one that had another value.
        describes_data: whether it says which data a run read, rather than how to read any.
        is_data_source: whether giving it replaces the data of a saved run.
        set_by_agent: whether agents that are compared may each have their own value.
    """

    group: str = ""
    affects_result: bool = True
    may_differ_on_resume: bool = False
    may_differ_on_extension: bool = False
    describes_data: bool = False
    is_data_source: bool = False
    set_by_agent: bool = False


def setting(default: Any = MISSING, *, default_factory: Callable[[], Any] | None = None, **facts: Any) -> Any:
    """Declare a setting with facts about it (see `SettingFacts`), as `dataclasses.field` declares a field."""
    metadata = {"facts": SettingFacts(**facts)}
    if default_factory is not None:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def names_with(*configs: type[Any], **facts: Any) -> tuple[str, ...]:
    """Return the names of all settings with these facts, in the order of the classes and their fields."""
    names = []
    for declared in (member for config in configs for member in _declared(config)):
        known = declared.metadata.get("facts", SettingFacts())
        if all(getattr(known, fact) == value for fact, value in facts.items()):
            names.append(declared.name)
    return tuple(dict.fromkeys(names))


def _declared(config: type[Any]) -> list[Field[Any]]:
    if issubclass(config, Config):
        return list(fields(config))
    return [member for group in get_type_hints(config).values() for member in fields(group)]


@dataclass(frozen=True)
class Config:
    """A group of settings: a frozen dataclass that refuses values of a wrong type, then what `validate` refuses."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if (text := _without_paths(value)) is not value:
                object.__setattr__(self, name, text)
            check_type(name, getattr(self, name), hint)
        self.validate()

    def validate(self) -> None:
        """Refuse contradictions."""

    def changed(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, by name."""
        default = type(self)()
        return {name: value for name, value in vars(self).items() if value != getattr(default, name)}

    def require(self, name: str, condition: bool, advice: str) -> None:
        """Raise a KselectError that gives a setting's name and value, and the advice, unless `condition` holds."""
        require(condition, f"{name} is {getattr(self, name)}: {advice}.", name)


def require(condition: bool, message: str, setting: str | None = None) -> None:
    """Raise a KselectError with `message` unless `condition` holds; `setting` is the setting at fault."""
    if not condition:
        raise KselectError(message, setting=setting)


def merge_settings(overrides: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name: `overrides`, over `defaults`. Mappings are merged by key; None counts as not given.

    >>> merge_settings({"seed": 1, "scales": {"hidden": 2}}, {"seed": 0, "scales": {"hidden": 1, "logits": 3}})
    {'seed': 1, 'scales': {'hidden': 2, 'logits': 3}}
    """
    settings = dict(overrides)
    for name, value in defaults.items():
        if settings.get(name) is None:
            settings[name] = value
        elif isinstance(value, dict) and isinstance(settings[name], dict):
            settings[name] = {**value, **settings[name]}
    return settings


def check_type(name: str, value: Any, hint: Any) -> None:
    """Refuse a value of another type than a setting has."""
    if matches(value, hint):
        return
    choices = [str(choice) for member in members(hint) if get_origin(member) is Literal for choice in get_args(member)]
    if choices and isinstance(value, str):
        error = unknown(name, value, choices)
        error.setting = name
        raise error
    raise KselectError(f"{name} is {shorten(repr(value))}: expected {expected(hint, value)}.", setting=name)


def _without_paths(value: Any) -> Any:
    """Return a path as a text, of which settings are made; anything else unchanged."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list) and any(isinstance(item, os.PathLike) for item in value):
        return [_without_paths(item) for item in value]
    return value

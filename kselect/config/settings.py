"""All settings of one command or one environment: groups of settings, as one flat mapping or as typed classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, TypeVar, get_type_hints

from kselect.config.validation import Config
from kselect.errors import KselectError, unknown

Self = TypeVar("Self", bound="Settings")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Groups of settings: every field is a subclass of `Config`, and no two of them share the name of a setting.

    A mapping of settings is flat, by setting name, as config.yaml holds it.
    """

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Refuse contradictions between the groups; each group has checked itself."""

    @classmethod
    def groups(cls) -> dict[str, type[Config]]:
        """Return the classes of the groups, by the name of the group."""
        return get_type_hints(cls)

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """Return the type of every setting, by name."""
        return {name: hint for group in cls.groups().values() for name, hint in get_type_hints(group).items()}

    @classmethod
    def required(cls) -> tuple[str, ...]:
        """Return the names of the settings without a default."""
        declared = (member for group in cls.groups().values() for member in fields(group))
        return tuple(m.name for m in declared if m.default is MISSING and m.default_factory is MISSING)

    @classmethod
    def from_dict(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """Fill the groups from a flat mapping; a setting that it lacks has its default."""
        known = cls.hints()
        for name in values:
            if name not in known:
                raise unknown("setting", name, known)
        for name in cls.required():
            if name not in values:
                raise KselectError(f"{name} is missing: give it.", setting=name)
        groups, defaults = {}, cls._default_groups()
        for name, group in cls.groups().items():
            given = {key: values[key] for key in get_type_hints(group) if key in values}
            groups[name] = replace(defaults[name], **given) if name in defaults else group(**given)
        return cls(**groups)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the default of every setting in a group that need not be given."""
        return {name: value for group in cls._default_groups().values() for name, value in asdict(group).items()}

    @classmethod
    def _default_groups(cls) -> dict[str, Config]:
        return {member.name: member.default_factory() for member in fields(cls) if callable(member.default_factory)}

    def to_dict(self) -> dict[str, Any]:
        """Return every setting by name, in the order of the groups."""
        return {name: value for group in asdict(self).values() for name, value in group.items()}

    def replace(self: Self, **changes: Any) -> Self:
        """Return a copy with other values for the settings that are named."""
        return type(self).from_dict({**self.to_dict(), **changes})

    def select(self, settings: type[Self]) -> Self:
        """Return the groups that another class of settings has, too, as that class."""
        return settings(**{name: getattr(self, name) for name in settings.groups()})

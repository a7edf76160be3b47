"""What refuses settings that cannot be."""

from __future__ import annotations

from kselect.errors import UserError, unknown


def require(condition: bool, message: str) -> None:
    """Raise a UserError that says `message` unless `condition` holds."""
    if not condition:
        raise UserError(message)


def one_of(setting: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a UserError unless `value` is one of the `known`; name the nearest."""
    if value not in known:
        raise unknown(setting, value, known)

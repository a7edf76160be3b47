"""What refuses settings that cannot be."""

from __future__ import annotations

from kselect.errors import KselectError, unknown


def require(condition: bool, message: str) -> None:
    """Raise a KselectError that says `message` unless `condition` holds."""
    if not condition:
        raise KselectError(message)


def one_of(setting: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a KselectError unless `value` is one of the `known`; name the nearest."""
    if value not in known:
        raise unknown(setting, value, known)

"""The settings of an agent: their names and allowed values."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from kselect.errors import KselectError, did_you_mean


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included.

    Attributes:
        open_low: Whether `low` itself is excluded.
        whole: Whether only integers are in the range.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        """Return whether a value is a finite number (no string, no bool) inside the range."""
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        number = float(value)
        above = number > self.low if self.open_low else number >= self.low
        return above and number <= self.high and math.isfinite(number)

    def __str__(self) -> str:
        """Describe the range, as error messages end."""
        noun = "a whole number" if self.whole else "a number"
        low = "" if math.isinf(self.low) else f" {'above' if self.open_low else 'of at least'} {self.low:g}"
        high = "" if math.isinf(self.high) else f"{' and' if low else ''} at most {self.high:g}"
        return f"{noun}{low}{high}".replace("  ", " ")


POSITIVE = Range(0.0, open_low=True)
NOT_NEGATIVE = Range(0.0)
SHARE = Range(0.0, 1.0)
COUNT = Range(1, whole=True)


def setting_names(agent_class: type) -> tuple[str, ...]:
    """Return an agent's settings: the keyword-only arguments of its constructor, in order."""
    parameters = inspect.signature(agent_class).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def check_reward(reward: float) -> None:
    """Refuse a reward that is not finite.

    Raises:
        KselectError: it is infinite or NaN.
    """
    if not math.isfinite(reward):
        raise KselectError(f"The reward is {reward}, which an agent cannot learn from: check the phase's losses.")


def check_range(name: str, value: Any, allowed: Range) -> None:
    """Check a setting against its range.

    Raises:
        KselectError: a value outside the range, or a string that looks like a number (YAML reads 1e-3 as a string).
    """
    if value not in allowed:
        hint = ", without quotes and as 0.001 rather than 1e-3" if isinstance(value, str) else ""
        raise KselectError(f"{name} is {value!r}: give {allowed}{hint}.")


def check_names(agent: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
    """Check the names of settings."""
    for name in given:
        if name not in known:
            offer = f"Its settings: {', '.join(known)}." if known else "It has no settings."
            raise KselectError(f"Agent '{agent}' has no setting '{name}'{did_you_mean(name, known)} {offer}")

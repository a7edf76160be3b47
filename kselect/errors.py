"""Errors a user can mend: one clear line each, printed by the command line before it exits with code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input. The message is one line that names what is wrong and says what to do."""


class IncomparableError(UserError):
    """Models that have nothing of a kind of knowledge in common, however it is set.

    The message is `what` is wrong, and what to do about it, `advice`; or all of it, as where an error is pickled.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}: {advice}" if advice else what)
        self.what = what


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `": did you mean 'x'?"` for the nearest known name, or an empty string when none is near."""
    by_lowercase = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(name.lower(), by_lowercase, n=1, cutoff=0.5)
    return f": did you mean '{by_lowercase[nearest[0]]}'?" if nearest else "."


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Build the error for a name outside a closed set, with the nearest right name and the whole set.

    >>> print(unknown("task", "mprc", ["mrpc", "rte"]))
    Unknown task 'mprc': did you mean 'mrpc'? Known: mrpc, rte.
    """
    known = list(known)
    return UserError(f"Unknown {kind} '{name}'{did_you_mean(name, known)} Known: {', '.join(known)}.")

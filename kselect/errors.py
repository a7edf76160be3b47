"""Errors that a user can fix: one clear line each, printed by the command line before it exits with code 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

ALIKE = 0.7
"""How like each other two names in a folder must be, by difflib's ratio; many share their suffix."""


class KselectError(ValueError):
    """Bad input. The message is one line that names what is wrong and says what to do.

    Library code never names a command-line option. It names the setting, and whoever read that setting from a command
    line or a file adds how to give it there.

    Args:
        message: one line.
        setting: name of the setting that is wrong or missing, a field of one of the classes of `kselect.config`.
    """

    def __init__(self, message: str = "", *, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class IncomparableError(KselectError):
    """Models that have nothing of a kind of knowledge in common, however it is set.

    The message is `what` is wrong, and what to do about it, `advice`; or all of it, as where an error is pickled.
    """

    def __init__(self, what: str, advice: str = "", *, setting: str | None = None) -> None:
        super().__init__(f"{what}: {advice}" if advice else what, setting=setting)
        self.what = what
        self.advice = advice


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `": did you mean 'x'?"` for the nearest known name, or an empty string when none is near."""
    by_lowercase = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(name.lower(), by_lowercase, n=1, cutoff=0.5)
    return f": did you mean '{by_lowercase[nearest[0]]}'?" if nearest else "."


def near_path(path: Path, wanted: Callable[[Path], bool], root: Path = Path()) -> Path | None:
    """Return the nearest path to one that is not there, both as seen from `root`; None where there is none.

    The first part that is not there is replaced by the name most like it, of those that lead to what is `wanted`.
    """
    there = next((parent for parent in path.parents if (root / parent).is_dir()), None)
    if there is None:
        return None
    missing, *rest = path.relative_to(there).parts
    try:
        names = [other.name for other in (root / there).iterdir() if wanted(other.joinpath(*rest))]
    except PermissionError:  # of a folder that cannot be read nothing can be proposed
        return None
    nearest = get_close_matches(missing, names, n=1, cutoff=ALIKE)
    return there.joinpath(nearest[0], *rest) if nearest else None


def unknown(kind: str, name: str, known: Iterable[str]) -> KselectError:
    """Build the error for a name outside a closed set, with the nearest right name and the whole set.

    >>> print(unknown("task", "mprc", ["mrpc", "rte"]))
    Unknown task 'mprc': did you mean 'mrpc'? Known: mrpc, rte.
    """
    known = list(known)
    return KselectError(f"Unknown {kind} '{name}'{did_you_mean(name, known)} Known: {', '.join(known)}.")


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error message."""
    return str(error).strip().partition("\n")[0].rstrip()

"""Errors that a user can fix: one clear line each, which the command line prints before it exits with code 2.

Every error of this package is a `KselectError`. Those that a caller may want to catch separately are
`IncomparableError`, `TrainingDivergedError` (in `kselect.distillation.divergence`) and `UnwritableError` (in
`kselect.io`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

ALIKE = 0.7
"""How similar two names in a folder must be, by difflib's ratio, to suggest one for the other; many share a suffix."""


class KselectError(ValueError):
    """Bad input. The message is one line that names what is wrong and says how to fix it.

    Library code never names a command-line option. It names the setting, and the caller that read the setting from a
    command line or a file adds how to give it there.

    Args:
        message: One line.
        setting: Name of the setting that is wrong or missing, a field of one of the classes of `kselect.config`.
    """

    def __init__(self, message: str = "", *, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class IncomparableError(KselectError):
    """Models that no setting makes comparable in a kind of knowledge.

    Args:
        what: What is wrong; the whole message if there is no `advice`, as after unpickling.
        advice: How to fix it.
        setting: See `KselectError`.
    """

    def __init__(self, what: str, advice: str = "", *, setting: str | None = None) -> None:
        super().__init__(f"{what}: {advice}" if advice else what, setting=setting)
        self.what = what
        self.advice = advice


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `": did you mean 'x'?"` for the nearest known name, or `"."` when none is near."""
    by_lowercase = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(name.lower(), by_lowercase, n=1, cutoff=0.5)
    return f": did you mean '{by_lowercase[nearest[0]]}'?" if nearest else "."


def near_path(path: Path, wanted: Callable[[Path], bool], root: Path = Path()) -> Path | None:
    """Find the existing path that is most similar to a missing one.

    The first missing component is replaced by the most similar name in its folder, of those that lead to a wanted path.

    Args:
        path: The missing path.
        wanted: Whether a path is of the right kind.
        root: The folder that paths are relative to.

    Returns:
        The path, relative to `root`; None where none is similar.
    """
    parent = next((parent for parent in path.parents if (root / parent).is_dir()), None)
    if parent is None:
        return None
    missing, *rest = path.relative_to(parent).parts
    try:
        names = [other.name for other in (root / parent).iterdir() if wanted(other.joinpath(*rest))]
    except PermissionError:  # nothing can be suggested from a folder that cannot be read
        return None
    nearest = get_close_matches(missing, names, n=1, cutoff=ALIKE)
    return parent.joinpath(nearest[0], *rest) if nearest else None


def unknown(kind: str, name: str, known: Iterable[str]) -> KselectError:
    """Build the error for a name outside a closed set, with the nearest valid name and the whole set.

    >>> print(unknown("task", "mprc", ["mrpc", "rte"]))
    Unknown task 'mprc': did you mean 'mrpc'? Known: mrpc, rte.
    """
    known = list(known)
    return KselectError(f"Unknown {kind} '{name}'{did_you_mean(name, known)} Known: {', '.join(known)}.")


def check_type(name: str, value: object, kind: type, advice: str) -> None:
    """Refuse an argument of another type than it must be; `advice` is what to give.

    >>> check_type("student", "runs/student", dict, "a model that `load_student` returns")
    Traceback (most recent call last):
    ...
    kselect.errors.KselectError: student is 'runs/student': give a model that `load_student` returns.
    """
    if not isinstance(value, kind):
        is_short = value is None or isinstance(value, str | int | float | Path)
        shown = repr(value) if is_short else f"the class {value.__name__}" if isinstance(value, type) else None
        raise KselectError(f"{name} is {shown or f'of type {type(value).__name__}'}: give {advice}.", setting=name)


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error message."""
    return str(error).strip().partition("\n")[0].rstrip()


def printable(text: str) -> str:
    r"""Return a text with control characters, which could change what a terminal shows, escaped; line feeds stay.

    >>> print(printable("column '\x1b[2J' of data.csv"))
    column '\x1b[2J' of data.csv
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )

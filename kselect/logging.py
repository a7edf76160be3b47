"""The package's logger, and how much of it is shown."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from kselect.errors import printable, unknown

NAME = "kselect"
LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whichever stream `sys.stderr` is when a message comes."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(f"{NAME}: %(message)s"))

    def format(self, record: logging.LogRecord) -> str:
        """Return a message with the control characters that data may have escaped."""
        return printable(super().format(record))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute of the base class
        return sys.stderr


def get_logger() -> logging.Logger:
    """Return the one logger of the package, `kselect`.

    As libraries do, it has no handler of its own: a program that configures none sees warnings and errors on stderr.
    """
    return logging.getLogger(NAME)


def set_verbosity(level: str | int) -> None:
    """Show messages of the package from a level on, on stderr unless the program has set up handlers.

    Args:
        level: "debug", "info", "warning" (the default without this call) or "error", or a level of `logging`.

    Raises:
        KselectError: an unknown level.
    """
    if isinstance(level, str) and level not in LEVELS:
        raise unknown("verbosity", level, LEVELS)
    logger = get_logger()
    if not logger.hasHandlers():
        logger.addHandler(_StderrHandler())
    logger.setLevel(LEVELS[level] if isinstance(level, str) else level)


def is_quiet() -> bool:
    """Return whether only errors are shown."""
    return not get_logger().isEnabledFor(logging.WARNING)

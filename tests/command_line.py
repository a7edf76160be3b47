"""Settings that a command line gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kselect.cli.commands import COMMANDS


def settings_of(command: str, words: Sequence[str]) -> Any:
    """The settings of a command, whose words do not ask for help."""
    settings = COMMANDS[command].settings(words)
    assert settings is not None
    return settings

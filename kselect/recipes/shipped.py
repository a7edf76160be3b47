"""Policies that come with the package, by name, and those in folders."""

from __future__ import annotations

from pathlib import Path

from kselect.agents.registry import ONLINE
from kselect.recipes.catalog import NAMED

SHIPPED = {"auto": "the selection that runs like this one learned best from, by a policy that comes with kselect"}
"""What comes with the package, with a line that says what it does."""
FOLDER = Path(__file__).parent.parent / "policies"


def policy_folder(agent: str) -> Path | None:
    """Return the folder of the policy that an agent's name is for: a shipped one, or a folder; None for other agents.

    A folder that has the name of an agent is given by its path, such as ./auto.
    """
    if agent in SHIPPED:
        return FOLDER / agent
    if agent in NAMED or agent in ONLINE or not Path(agent).is_dir():
        return None
    return Path(agent)

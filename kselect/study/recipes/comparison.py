"""How the knowledge that a policy learned from was compared, kept in the policy's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kselect.config import KnowledgeConfig
from kselect.errors import UserError
from kselect.study import atomic

COMPARISON = "knowledge.json"
COMPARED = ("weighting", "temperature", "layer_map", "layer_maps", "relation_heads", "scales")
OF_STRUCTURES = ("marginals_temperature", "softening", "arc_marginals", "transitions")
"""The same of words; a policy that was saved without them has their defaults."""


def keep_comparison(folder: Path, knowledge: KnowledgeConfig) -> None:
    """Write down, in a policy's folder, how the knowledge that it learned from was compared."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_json(
        folder / COMPARISON, {setting: getattr(knowledge, setting) for setting in (*COMPARED, *OF_STRUCTURES)}
    )


def read_comparison(folder: Path) -> dict[str, Any]:
    """Return what `keep_comparison` wrote; nothing for a policy that was saved without it."""
    path = folder / COMPARISON
    if not path.is_file():
        return {}
    try:
        kept = atomic.read_json(path)
        there = [setting for setting in OF_STRUCTURES if setting in kept]
        return {setting: kept[setting] for setting in (*COMPARED, *there)}
    except (ValueError, TypeError, KeyError):
        raise UserError(
            f"{path} does not say {', '.join(COMPARED)}: copy it again, or remove it for the defaults."
        ) from None

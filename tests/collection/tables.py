"""Hand-made tables of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KNOWLEDGE = {"knowledge": ["gold", "logits"]}


def entry(selection: str, stages: list[dict[str, Any]], *scores: float | None, **changes: Any) -> dict[str, Any]:
    """An entry of a ledger whose scores are those on the reward split at each mark, and then those on dev."""
    of = dict(zip(("reward", "dev"), (scores[:3], scores[3:]), strict=True))
    marks = {
        str(mark): {split: {"score": of[split][place], "loss": 1.0} for split in of}
        for place, mark in enumerate((0.25, 0.5, 1.0))
    }
    condition, seed = changes.pop("condition", "weak"), changes.pop("seed", 0)
    sources = {"transfer": 9} if changes.pop("texts", False) else {}
    return {
        "condition": condition,
        "seed": seed,
        "selection": selection,
        "settings": {
            "condition": {"name": condition, "task": "sst2", "stratum": "weak teacher"},
            "stages": stages,
            "knowledge": KNOWLEDGE,
        },
        "marks": marks,
        "teacher": {"dev": {"score": 0.9}, "reward": {"score": 0.8}},
        "examples": {"train": 5, "reward": 4, "dev": 3, **sources},
        "scales": {"gold": 1.0, "logits": 2.0},
        "seconds": {"train": 2.0, "rewards": 0.5},
        **changes,
    }


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in entries))
    return path


GOLD, LOGITS = {"gold": 1}, {"logits": 1}
ENTRIES = [
    entry("gold", [{"weights": GOLD}], 0.50, 0.60, 0.70, 0.1, 0.2, 0.71),
    entry("logits", [{"weights": LOGITS}], 0.55, 0.58, 0.60, 0.1, 0.2, 0.61),
    entry(
        "logits>gold",
        [{"until": 0.5, "weights": LOGITS}, {"weights": {**GOLD, "logits": 0}}],
        *(0.55, 0.58, 0.75, 0.1, 0.2, 0.76),
    ),
    entry("gold", [{"weights": GOLD}], 0.3, 0.4, 0.5, 0.1, 0.2, 0.51, seed=1),
    entry("logits", [{"weights": LOGITS}], 0.2, 0.5, 0.6, 0.1, 0.2, 0.62, seed=1),
]
"""Two seeds of a condition. Under the first, logits are ahead at a quarter and behind from half on, and a switch at
half from logits to gold is best. Under the second, gold is ahead at a quarter and behind from half on."""

"""A run as it goes, written down phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def phase_record(record: Mapping[str, Any], spent: Mapping[str, float]) -> dict[str, Any]:
    """Flatten a phase's record, as a `Series` tells it, to numbers by TensorBoard tag.

    Tags: `loss/<knowledge>` (unscaled), `selection/<knowledge>` (normalised weight), `preference/<knowledge>`
    (how far a learning agent leans to it, in [0, 1]), `signal/<name>`,
    `reward/phase` and `reward/loss` (nats; None where it was not measured), `agent/<figure>`, and `cost/<part>`, the
    share of the seconds `spent` so far.
    """
    total = sum(spent.values())
    measured = "reward_loss" in record
    flat: dict[str, Any] = {"step": record["step"], "phase": record["phase"], "steps": record["steps"]}
    flat |= {name: record[name] for name in ("episode", "task") if name in record}
    flat |= {f"loss/{name}": value for name, value in record["losses"].items()}
    flat |= {f"selection/{name}": value for name, value in record["weights"].items()}
    flat |= {f"preference/{name}": value for name, value in record.get("preference", {}).items()}
    flat |= {f"signal/{name}": value for name, value in record["signals"].items()}
    flat |= {"reward/phase": record["reward"] if measured else None, "reward/loss": record.get("reward_loss")}
    flat |= {f"agent/{name}": value for name, value in record.get("agent", {}).items()}
    flat |= {f"cost/{part}": seconds / total for part, seconds in spent.items()}
    return flat


def describe_selection(weights: Mapping[str, float]) -> str:
    """Name what is selected, heaviest first, with weights where they are not all alike.

    >>> describe_selection({"gold": 0.5, "logits": 0.5, "hidden": 0.0})
    'gold+logits'
    >>> describe_selection({"gold": 0.2, "logits": 0.8})
    'logits 0.80 + gold 0.20'
    """
    chosen = sorted(((name, weight) for name, weight in weights.items() if weight > 0), key=lambda item: -item[1])
    if len({round(weight, 6) for _, weight in chosen}) == 1:
        return "+".join(name for name, _ in chosen)
    return " + ".join(f"{name} {weight:.2f}" for name, weight in chosen)

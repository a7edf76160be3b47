"""The info of a step with the same keys throughout a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kselect.distillation.phase_report import SIGNALS
from kselect.distillation.reward import RewardMeter

MEASURED = ("reward_loss", "reward_value", "reward_se", "return", "return_se")
"""What is known only where a reward was measured."""


def complete_info(
    found: Mapping[str, Any], names: Sequence[str], kinds: Sequence[str], meter: RewardMeter
) -> dict[str, Any]:
    """Return an info with every key, NaN where nothing was measured, so that all of a run have one structure.

    It is an option, because NaN is not equal to itself, and Gymnasium's `check_env` compares infos.

    Args:
        found: what is known; from `reset`, nothing of a phase is.
        names: what an action weights.
        kinds: the kinds of knowledge among these, which have losses.
        meter: of rewards, which have a measure and a unit.
    """
    rewards = {**dict.fromkeys(MEASURED, math.nan), "reward_measure": meter.measure, "reward_unit": meter.unit}
    numbers: dict[str, Any] = {"phase": 0, "steps": 0, **rewards, **found}
    groups = {"weights": names, "losses": kinds, "relative_losses": kinds, "signals": SIGNALS}
    return numbers | {
        group: {**dict.fromkeys(keys, math.nan), **found.get(group, {})} for group, keys in groups.items()
    }

"""Whether environments can share one policy, and whether a run can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from kselect.errors import KselectError

PROBE_TOLERANCE = 1e-3  # relative: far above the effect of other hardware, far below that of another teacher


def check_same_spaces(envs: Sequence[gymnasium.Env[Any, Any]]) -> None:
    """Check that one policy can act in all of these environments."""
    check_same_names([env.get_wrapper_attr("names") for env in envs])
    for env in envs[1:]:
        if (env.observation_space, env.action_space) != (envs[0].observation_space, envs[0].action_space):
            raise KselectError(
                "One policy needs one kind of environment: give every task the same kind of actions and observations, "
                "and where [CLS] is observed, models of the same width."
            )


def check_same_names(names_of_envs: Sequence[Sequence[str]]) -> None:
    """Check that every environment offers the same kinds of knowledge in the same order."""
    first = names_of_envs[0]
    for names in names_of_envs[1:]:
        if tuple(names) != tuple(first):
            raise KselectError(
                "One policy needs one kind of environment: offer the same knowledge in every task, "
                f"in the same order, not {', '.join(first)} and {', '.join(names)}.",
                setting="knowledge",
            )


def check_losses(saved: Sequence[dict[str, float]], current: Sequence[dict[str, float]]) -> None:
    """Recognise another teacher, or other data, by each environment's losses before the first step."""
    for before, after in zip(saved, current, strict=True):
        for name, loss in before.items():
            value = after.get(name, np.nan)
            if not np.isclose(value, loss, rtol=PROBE_TOLERANCE, atol=1e-6):
                raise KselectError(
                    f"The run cannot be resumed: teacher or data have changed, since the loss of {name} before the "
                    f"first step was {loss:.6g} and is {value:.6g} now. Restore them, or start over.",
                    setting="fresh",
                )

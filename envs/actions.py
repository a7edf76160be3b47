"""The forms that an action may have, and the selection that it encodes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.errors import KselectError, unknown

Actions = Literal["hard", "soft", "discrete"]
MOST_DISCRETE = 6
"""The most rows with discrete actions: there are 2^k - 1 of them."""
KINDS = ("hard", "soft", "discrete")


def action_space(actions: str, rows: int) -> spaces.Space[Any]:
    """Return the space of actions over k rows.

    * "hard": `MultiBinary(k)`, which of them are selected.
    * "soft": `Box(0, 1, (k,), float32)`, a weight for each.
    * "discrete": `Discrete(2^k - 1)`, one number for each selection but the empty one, for algorithms such as DQN.

    Raises:
        KselectError: another kind of actions, or too many rows for discrete ones.
    """
    if actions not in KINDS:
        raise unknown("kind of actions", actions, KINDS)
    if actions == "soft":
        return spaces.Box(0.0, 1.0, (rows,), np.float32)
    if actions == "hard":
        return spaces.MultiBinary(rows)
    if rows > MOST_DISCRETE:
        raise KselectError(
            f"{rows} kinds of knowledge have {2**rows - 1} selections, and discrete actions number those of at most "
            f"{MOST_DISCRETE}: offer fewer, or take hard actions.",
            setting="actions",
        )
    return spaces.Discrete(2**rows - 1)


def selection_of(action: Any, rows: int, actions: str) -> NDArray[np.float32]:
    """Return the weights `[k]` that an action encodes.

    Of a discrete action a, row i is selected where bit i of a + 1 is set.

    >>> selection_of(4, 3, "discrete").tolist()
    [1.0, 0.0, 1.0]
    """
    if actions != "discrete":
        return np.asarray(action, dtype=np.float32)
    number = int(action)
    if not 0 <= number < 2**rows - 1:
        raise KselectError(f"Action {number} is none of the {2**rows - 1} selections: give one from 0.")
    return (((number + 1) >> np.arange(rows)) & 1).astype(np.float32)


def moving_selection(selection: NDArray[np.float32], slope: NDArray[Any], steps: int, total_steps: int) -> NDArray[Any]:
    """Return the weights of each step of a phase, `[steps, k]`, which start at a selection and move.

    Args:
        selection: `[k]`.
        slope: `[k]`, the change over a whole run of `total_steps` steps.
        steps: Of the phase.
        total_steps: Of the run.
    """
    moved = selection + np.outer(np.arange(steps) / total_steps, slope)
    return np.clip(moved, 0.0, 1.0)

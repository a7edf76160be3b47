"""Training that went wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError


class TrainingDivergedError(KselectError):
    """A loss or its gradient is no longer a number. The student is left as it was before that step.

    It is made of its message alone, as an error must be that goes from one process to another.
    """

    step: int
    """The training step, counted from 1, in the process where it was taken."""

    @classmethod
    def at(cls, step: int, what: str, learning_rate: float) -> TrainingDivergedError:
        """Name the training step, counted from 1, and what is not a number."""
        error = cls(
            f"Training diverged at step {step}: {what} is not a number any more. "
            f"Lower learning_rate (now {learning_rate:g}) or the scale of that knowledge."
        )
        error.step = step
        return error


def check_finite(
    first_step: int,
    losses: NDArray[np.float32],
    grad_norms: NDArray[np.float32],
    computed: Sequence[str],
    learning_rate: float,
) -> None:
    """Raise for the first step whose losses `[steps, len(computed)]` or gradient norm `[steps]` is not finite.

    Raises:
        TrainingDivergedError: naming that step, and the first knowledge whose loss is not finite.
    """
    broken = ~np.isfinite(grad_norms) | ~np.isfinite(losses).all(axis=1)
    if not broken.any():
        return
    row = int(np.argmax(broken))
    names = [name for name, value in zip(computed, losses[row], strict=True) if not np.isfinite(value)]
    culprit = f"the loss of {names[0]}" if names else f"the gradient of {' + '.join(computed)}"
    raise TrainingDivergedError.at(first_step + row + 1, culprit, learning_rate)

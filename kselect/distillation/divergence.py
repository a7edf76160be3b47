"""Detection of training that has diverged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError


class TrainingDivergedError(KselectError):
    """A loss or gradient is not finite; the student is left as it was before that step.

    Constructed from its message alone, so that it can be pickled between processes.

    Attributes:
        step: the training step, counted from 1; only in the process that took the step.
    """

    step: int

    @classmethod
    def at(cls, step: int, quantity: str, learning_rate: float) -> TrainingDivergedError:
        """Create the error for a training step, counted from 1, and the `quantity` that is not finite."""
        error = cls(
            f"Training diverged at step {step}: {quantity} is not finite. "
            f"Lower learning_rate (now {learning_rate:g}) or the scale of that kind of knowledge.",
            setting="learning_rate",
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
    """Check the losses `[steps, k]` and the gradient norms `[steps]` of several steps.

    Raises:
        TrainingDivergedError: a value is not finite; names the first such step and kind of knowledge.
    """
    diverged = ~np.isfinite(grad_norms) | ~np.isfinite(losses).all(axis=1)
    if not diverged.any():
        return
    row = int(np.argmax(diverged))
    names = [name for name, loss in zip(computed, losses[row], strict=True) if not np.isfinite(loss)]
    quantity = f"the loss of {names[0]}" if names else f"the gradient of {' + '.join(computed)}"
    raise TrainingDivergedError.at(first_step + row + 1, quantity, learning_rate)

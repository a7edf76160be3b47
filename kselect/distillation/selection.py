"""From a selection to the weights of a training step's losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def selection_weights(selection: ArrayLike, names: Sequence[str]) -> NDArray[np.float32]:
    """Normalise a selection in [0, 1], `[k]` or for several steps `[n, k]`, to weights that sum to 1 over `k`.

    Adam ignores a common factor, so only the ratio of weights means anything. A selection of nothing means gold labels
    or, where those are not on offer, everything alike.

    Raises:
        ValueError: a selection of another length, or outside [0, 1].

    >>> selection_weights([1, 0, 1], ["gold", "logits", "hidden"]).tolist()
    [0.5, 0.0, 0.5]
    """
    chosen = np.asarray(selection, dtype=np.float32)
    shaped = chosen.ndim in (1, 2) and chosen.shape[-1] == len(names)
    if not shaped or not ((chosen >= 0) & (chosen <= 1)).all():
        raise ValueError(f"A selection is {len(names)} numbers in [0, 1] ({', '.join(names)}), not {chosen}.")
    default = np.array([name == "gold" or "gold" not in names for name in names], dtype=np.float32)
    chosen = np.where(chosen.any(axis=-1, keepdims=True), chosen, default)
    return chosen / chosen.sum(axis=-1, keepdims=True)

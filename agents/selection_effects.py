"""How the selections of a run may act on its rewards: a linear model, and the best plan under it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

PIECES = 12
"""A plan has one selection for each of so many equal parts of a run."""
SATURATION = 0.2
"""The share of a run after which the later effect of a kind of knowledge has reached 1 - 1/e of its limit."""
ALL_SUBSETS = 7
LEVELS = 3  # coefficients of the course of the rewards: constant, linear and quadratic in progress
MAX_ROUNDS = 8


class SelectionEffects:
    """The effects of selections on rewards, as features of a decision, for k kinds of knowledge.

    With x the progress at the middle of the phase, from -1 to 1, w the normalised weights less 1 / k, and g what each
    kind may have built up so far, `1 - exp(-share / 0.2)` of its share of the run (later shares add less than earlier
    ones), a phase of length l (share of the run) adds to the rewards

        12 l (a + b x + c x^2 + w . (d + x e) + f |w|^2 + w . H g) + (w - w_previous) . j

    Letters from a to j are coefficients: the course of the rewards (`level`), the kinds' gains (`now`) and their change
    over the run (`timing`), whether mixtures are worth more or less than their parts (`mixing`), what each kind adds to
    the later gains of others (`carry`: columns of H), and what a change of the selection does until it is changed again
    (`change`: the loss rises when gold labels are left out and returns with them, which is no gain). The features of
    several phases add up, so a reward for several phases belongs to the sum of their features.

    Args:
        rows: k.
        kinds: `[k]`, a label of each kind, in `keys`; by default their rows.

    Attributes:
        keys: What each of the d features is of: its effect, and the kinds that are concerned.
        block_keys: Likewise for each block of features.
        blocks: `[d]`, the block of each feature.
        optional: The blocks that are often absent.
    """

    def __init__(self, rows: int, kinds: Sequence[Hashable] | None = None) -> None:
        k = self.rows = rows
        kinds = range(k) if kinds is None else kinds
        self.keys: list[tuple[Hashable, ...]] = [("level", power) for power in range(LEVELS)]
        self.keys += [("now", kind) for kind in kinds] + [("timing", kind) for kind in kinds]
        self.keys += [("mixing",)] + [("change", kind) for kind in kinds]
        self.keys += [("carry", source, target) for target in kinds for source in kinds]
        block_of = [key[:2] if key[0] == "carry" else key[:1] for key in self.keys]
        self.block_keys = list(dict.fromkeys(block_of))
        self.blocks = np.array([self.block_keys.index(key) for key in block_of])
        self.optional = [i for i, key in enumerate(self.block_keys) if key[0] in ("mixing", "change", "carry")]
        self._ends = np.cumsum([LEVELS, k, k, 1, k])
        self.candidates = candidates(k)
        self._shares = self.candidates / self.candidates.sum(1, keepdims=True)

    def features(self, weights: Floats, previous: Floats, exposure: Floats, progress: float, length: float) -> Floats:
        """Return the features `[d]` of a decision.

        Args:
            weights: `[k]`, normalised.
            previous: `[k]`, those of the previous decision; equal weights at the first one.
            exposure: `[k]`, the share of the run that each kind has had so far; the sum is `progress`.
            progress: Share of the run before the phase.
            length: Share of the run that the phase takes.
        """
        x = 2.0 * progress + length - 1.0
        centered = weights - 1.0 / self.rows
        built_up = _saturated(exposure)
        unit = PIECES * length
        return np.concatenate(
            [
                unit * np.array([1.0, x, x * x]),
                unit * centered,
                unit * x * centered,
                [unit * (centered @ centered)],
                weights - previous,
                unit * np.outer(centered, built_up).ravel(),
            ]
        )

    def gain(self, plans: Floats, coefficients: Floats) -> Floats:
        """Return the expected return `[...]` of whole runs under plans, less what is the same for all plans.

        Args:
            plans: `[..., 12, k]`, normalised weights in each part of a run.
            coefficients: `[d]`.
        """
        _, now, timing, mixing, change, carry = np.split(coefficients, self._ends)
        start = np.arange(PIECES)[:, None] / PIECES
        centered = plans - 1.0 / self.rows
        exposure = (plans.cumsum(-2) - plans) / PIECES
        built_up = _saturated(exposure)
        x = 2.0 * start + 1.0 / PIECES - 1.0
        rates = now + x * timing + mixing * centered + built_up @ carry.reshape(self.rows, self.rows).T
        total: Floats = (centered * rates).sum((-1, -2)) + centered[..., -1, :] @ change
        return total

    def best_plan(self, coefficients: Floats) -> NDArray[np.int8]:
        """Return the plan `[12, k]` with the highest gain, in {0, 1}; at equal gains, that with more knowledge.

        Found by coordinate ascent: from the best constant plan, one part of the run at a time, until none can be
        improved. It is exact where selections have no effect on later ones.
        """
        constant = np.repeat(self._shares[:, None], PIECES, axis=1)
        gains = self.gain(constant, coefficients)
        choice, best = np.full(PIECES, gains.argmax()), gains.max()
        for _ in range(MAX_ROUNDS):
            before = best
            for piece in reversed(range(PIECES)):
                plans = np.repeat(self._shares[choice][None], len(self._shares), axis=0)
                plans[:, piece] = self._shares
                gains = self.gain(plans, coefficients)
                if gains.max() > best + 1e-9 * abs(best):
                    choice[piece], best = gains.argmax(), gains.max()
            if best == before:
                break
        return self.candidates[choice]


def _saturated(exposure: Floats | float) -> Floats:
    return -np.expm1(-np.asarray(exposure) / SATURATION)


def candidates(rows: int) -> NDArray[np.int8]:
    """Return the selections to choose from, `[n, k]`, all kinds first.

    Of up to 7 rows these are all subsets but the empty one, of more rows those of at most two kinds, all but one, and
    all.
    """
    if rows <= ALL_SUBSETS:
        subsets = np.arange(1, 2**rows)[::-1, None] >> np.arange(rows) & 1
        return subsets[np.argsort(-subsets.sum(1), kind="stable")].astype(np.int8)
    one = np.eye(rows, dtype=np.int8)
    two = [one[i] + one[j] for i, j in combinations(range(rows), 2)]
    return np.array([np.ones(rows, dtype=np.int8), *(1 - one), *two, *one], dtype=np.int8)

"""Selections over the course of a run, and how they differ from `all` and from chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kselect.config import TEXT_SOURCES
from kselect.runs.history import EpisodeHistory
from kselect.runs.parts import QUARTERS, overlap
from kselect.stats import holm, monte_carlo_p_value

Floats = NDArray[np.float64]
DRAWS, FEWEST, AFFORDABLE = 9999, 999, 10**7
"""Random permutations of a test: as many as permute no more than so many amounts, but for the fewest."""
ROUNDED = 1e-5
"""Weights are recorded to six digits."""


def is_hard(episodes: Sequence[EpisodeHistory]) -> bool:
    """Return whether each phase gave equal weights to all that it selected, so that shares of steps say everything."""
    kinds = [name not in TEXT_SOURCES for name in episodes[0].names]
    weights = np.concatenate([episode.weights[:, kinds] for episode in episodes])
    most = weights.max(1, keepdims=True)
    return bool(((weights == 0) | (np.abs(weights - most) <= ROUNDED)).all())


def amounts(episodes: Sequence[EpisodeHistory]) -> list[Floats]:
    """Return how much of each kind every phase of an episode selected: 0 or 1 where hard, else its weight, `[p, k]`."""
    hard = is_hard(episodes)
    return [(each.weights > 0).astype(np.float64) if hard else each.weights for each in episodes]


@dataclass(frozen=True)
class Contrast:
    """How much of a kind of knowledge was selected, next to what `all` and chance select of it.

    Attributes:
        amount: Share of the training steps in which it was selected or, where selections are soft, its mean weight.
        of_all: The same under `all`.
        of_chance: The same, as expected of chance.
        p_chance: Of no difference from chance, adjusted for all kinds.
    """

    name: str
    amount: float
    of_all: float
    of_chance: float
    p_chance: float


@dataclass(frozen=True)
class Contrasts:
    """How selections differ from `all`, which selects everything with equal weights, and from chance.

    Chance selects anew at each phase, as many kinds and with the same weights, but which of them at random.

    Attributes:
        kinds: Each kind of knowledge; further texts are left out.
        unequal: Number of phases that did not weight all kinds alike, as `all` does.
        phases: Number of phases.
        p_all: Of mean weights that are equal, as those of `all`.
        p_chance: Of no difference from chance in how much of each kind was selected.
        p_timing: Of no dependence on the time within a run.
    """

    kinds: list[Contrast]
    unequal: int
    phases: int
    p_all: float
    p_chance: float
    p_timing: float


def contrast(episodes: Sequence[EpisodeHistory], draws: int | None = None, seed: int = 0) -> Contrasts:
    """Test how selections differ from `all` and from chance, by permutations of their phases.

    All tests take phases as independent. From `all`, the difference of each phase's weights may change its sign; from
    chance, the amounts of each phase are exchanged between the kinds; for the timing, the selections of each episode
    are reordered. The statistic is the difference of a kind in the mean over training steps; of all kinds
    together, the sum of its squares; and of the timing, that of the differences of each quarter from the mean.

    Args:
        episodes: Of one policy, with the same kinds on offer.
        draws: Number of random permutations in each test; by default about 10,000, and fewer of very many phases.
        seed: Of the permutations.
    """
    rng = np.random.default_rng(seed)
    columns = [i for i, name in enumerate(episodes[0].names) if name not in TEXT_SOURCES]
    values = [each[:, columns] for each in amounts(episodes)]
    joined, steps = np.concatenate(values), np.concatenate([episode.steps for episode in episodes])
    draws = draws or max(FEWEST, min(DRAWS, AFFORDABLE // joined.size))
    importance = steps / steps.sum()
    from_all = np.concatenate([episode.weights[:, columns] for episode in episodes]) - 1.0 / len(columns)
    signs = rng.choice((-1.0, 1.0), (draws, len(joined)))
    p_all = _p_of_squares(importance @ from_all, (signs * importance) @ from_all)
    found = importance @ joined
    of_all = 1.0 if is_hard(episodes) else 1.0 / len(columns)
    of_chance = float(found.mean())
    null = np.stack([importance @ rng.permuted(joined, axis=1) for _ in range(draws)]) - of_chance
    differences = found - of_chance
    each = holm([monte_carlo_p_value(abs(value), np.abs(null[:, i])) for i, value in enumerate(differences)])
    return Contrasts(
        [
            Contrast(episodes[0].names[column], float(found[i]), of_all, of_chance, each[i])
            for i, column in enumerate(columns)
        ],
        int((np.abs(from_all) > ROUNDED).any(1).sum()),
        len(joined),
        p_all,
        _p_of_squares(differences, null),
        _timing(values, episodes, draws, rng),
    )


def _p_of_squares(differences: Floats, null: Floats) -> float:
    """Return the p-value of the sum of squared differences `[k]`, from those that were drawn, `[n, k]`."""
    return monte_carlo_p_value(float(np.square(differences).sum()), np.square(null).sum(1))


def _timing(
    values: Sequence[Floats], episodes: Sequence[EpisodeHistory], draws: int, rng: np.random.Generator
) -> float:
    """Return the p-value of selections that do not depend on the time within a run."""
    overlaps = [overlap(episode.steps, QUARTERS) for episode in episodes]

    def spread(ordered: Sequence[Floats]) -> float:
        quarters = sum(each.T @ overlap for each, overlap in zip(ordered, overlaps, strict=True))
        return float(np.square(quarters - np.mean(quarters, axis=1, keepdims=True)).sum())

    null = [spread([rng.permutation(each) for each in values]) for _ in range(draws)]
    return monte_carlo_p_value(spread(values), null)

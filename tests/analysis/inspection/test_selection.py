"""Selections by quarter and their tests, against sums by hand, enumeration, and policies whose behaviour is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import pytest

from kselect.analysis.inspection.selection import amounts, contrast, is_hard
from kselect.runs.history import EpisodeHistory
from kselect.runs.parts import by_part

NAMES = ("gold", "logits", "hidden", "attention")


def episode(
    weights: Sequence[Sequence[float]] | np.ndarray,
    steps: Sequence[int] | np.ndarray | None = None,
    names: tuple[str, ...] = NAMES,
) -> EpisodeHistory:
    """An episode of phases, of 3 steps each by default, whose weights are normalised here."""
    given = np.array(weights, dtype=np.float64)
    given = given / given.sum(1, keepdims=True)
    missing = np.full(len(given), np.nan)
    length = np.array([3] * len(given) if steps is None else steps)
    return EpisodeHistory(None, names[: given.shape[1]], length, given, None, missing, missing)


def random_episode(seed: int, phases: int = 12) -> EpisodeHistory:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(2, size=(phases, 4))
    drawn[~drawn.any(1), 0] = 1
    return episode(drawn, rng.integers(1, 6, phases))


def test_hard_selections_are_counted_and_soft_ones_weighed() -> None:
    hard = episode([[1, 1, 0, 0], [0, 1, 1, 1]])
    assert is_hard([hard])
    assert amounts([hard])[0].tolist() == [[1, 1, 0, 0], [0, 1, 1, 1]]
    soft = episode([[1, 0.5, 0, 0], [0, 1, 1, 1]])
    assert not is_hard([soft])
    assert not is_hard([hard, soft])
    assert amounts([soft])[0] == pytest.approx(soft.weights)


def test_all_differs_from_nothing() -> None:
    found = contrast([episode(np.ones((8, 4)))], draws=99)
    assert (found.p_all, found.p_chance, found.p_timing) == (1, 1, 1)
    assert {kind.p_chance for kind in found.kinds} == {1}
    assert {kind.amount for kind in found.kinds} == {1}


def test_a_constant_selection_differs_from_all_and_chance_but_not_over_time() -> None:
    found = contrast([episode([[1, 1, 0, 0]] * 12)], draws=1999)
    assert found.p_all < 0.005
    assert found.p_chance < 0.005
    assert found.p_timing == 1
    assert [(kind.amount, kind.of_all, kind.of_chance) for kind in found.kinds] == [
        (1, 1, 0.5),
        (1, 1, 0.5),
        (0, 1, 0.5),
        (0, 1, 0.5),
    ]
    assert found.kinds[2].p_chance < 0.01
    assert (found.unequal, found.phases) == (12, 12)


def test_a_selection_that_changes_half_way_depends_on_the_time() -> None:
    found = contrast([episode([[1, 1, 0, 0]] * 6 + [[0, 0, 1, 1]] * 6)], draws=1999)
    assert found.p_timing < 0.01
    assert found.p_chance == 1  # in the mean, all kinds alike


def test_p_values_are_those_of_enumeration() -> None:
    one = episode([[1, 1, 0], [1, 0, 0], [0, 1, 1]], [1, 2, 4])
    found = contrast([one], draws=20_000)
    values, importance = amounts([one])[0], np.array([1, 2, 4]) / 7
    observed = importance @ values

    def exact(differences: list[np.ndarray], value: np.ndarray) -> float:
        return float(np.mean([np.square(each).sum() >= np.square(value).sum() - 1e-9 for each in differences]))

    orders = [list(each) for each in permutations(range(3))]
    chance = [
        importance @ np.stack([row[order] for row, order in zip(values, chosen, strict=True)]) - observed.mean()
        for chosen in product(orders, repeat=3)
    ]
    signs = [(np.array(each) * importance) @ (one.weights - 1 / 3) for each in product((-1, 1), repeat=3)]
    assert found.p_chance == pytest.approx(exact(chance, observed - observed.mean()), abs=0.015)
    assert found.p_all == pytest.approx(exact(signs, importance @ (one.weights - 1 / 3)), abs=0.015)
    timing = [by_part(values[list(order)], one.steps) for order in permutations(range(3))]
    spread = [each - each.mean(1, keepdims=True) for each in timing]
    assert found.p_timing == pytest.approx(exact(spread, spread[0]), abs=0.015)


def test_random_selections_are_rarely_said_to_differ() -> None:
    p_values = [contrast([random_episode(seed)], draws=199) for seed in range(60)]
    for name in ("p_all", "p_chance", "p_timing"):
        below = np.mean([getattr(found, name) <= 0.2 for found in p_values])
        assert 0.05 < below < 0.36  # 0.2 on the average, and a standard error of 0.05


def test_further_texts_are_no_kinds() -> None:
    names = ("gold", "logits", "transfer")
    found = episode([[1, 1, 0], [1, 0, 0]], names=names)
    found.weights[:, 2] = 0.3
    assert is_hard([found])
    assert [kind.name for kind in contrast([found], draws=99).kinds] == ["gold", "logits"]

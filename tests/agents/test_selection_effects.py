"""Effects and plans: the gain of a plan is the sum of its decisions' features, and no better plan is near."""

from __future__ import annotations

import numpy as np
import pytest

from kselect.agents.selection_effects import PIECES, SelectionEffects


def total(effects: SelectionEffects, plan: np.ndarray, parts: int = 1) -> np.ndarray:
    """Return the sum of the features of a run under a plan `[12, k]`, each piece in so many phases."""
    length = 1 / PIECES / parts
    previous, exposure = np.full(effects.rows, 1 / effects.rows), np.zeros(effects.rows)
    features = np.zeros(len(effects.keys))
    for index, weights in enumerate(np.repeat(plan, parts, axis=0)):
        features = features + effects.features(weights, previous, exposure, index * length, length)
        previous, exposure = weights, exposure + length * weights
    return features


def random_plan(rng: np.random.Generator, rows: int) -> np.ndarray:
    plan = rng.random((PIECES, rows))
    return plan / plan.sum(1, keepdims=True)


def test_the_gain_of_a_plan_is_that_of_its_decisions() -> None:
    rng, effects = np.random.default_rng(0), SelectionEffects(4)
    for _ in range(5):
        coefficients = rng.standard_normal(len(effects.keys))
        one, other = random_plan(rng, 4), random_plan(rng, 4)
        difference = effects.gain(one, coefficients) - effects.gain(other, coefficients)
        assert difference == pytest.approx(float((total(effects, one) - total(effects, other)) @ coefficients))


def test_effects_do_not_depend_on_how_many_phases_a_run_has() -> None:
    effects, plan = SelectionEffects(3), random_plan(np.random.default_rng(1), 3)
    whole, halves = total(effects, plan), total(effects, plan, parts=2)
    for key, one, other in zip(effects.keys, whole, halves, strict=True):
        # Curves within a phase are read at its middle, and what was built up at its start.
        tolerance = {"level": 0.03, "timing": 1e-9, "carry": 0.15}.get(str(key[0]), 1e-9)
        assert one == pytest.approx(other, abs=tolerance), key


def test_without_later_effects_the_best_plan_is_the_best_at_each_moment() -> None:
    rng, effects = np.random.default_rng(2), SelectionEffects(5)
    gains = {kind: rng.standard_normal(5) for kind in ("now", "timing")}
    coefficients = np.array([gains[str(key[0])][int(str(key[1]))] if key[0] in gains else 0.0 for key in effects.keys])
    plan = effects.best_plan(coefficients)
    for piece in range(PIECES):
        best = (gains["now"] + (2 * (piece + 0.5) / PIECES - 1) * gains["timing"]).argmax()
        assert np.flatnonzero(plan[piece]).tolist() == [best]


@pytest.mark.parametrize("rows", [2, 5, 9])
def test_no_single_change_improves_the_plan(rows: int) -> None:
    rng, effects = np.random.default_rng(rows), SelectionEffects(rows)
    for _ in range(3):
        coefficients = rng.standard_normal(len(effects.keys))
        plan = effects.best_plan(coefficients)
        assert plan.shape == (PIECES, rows)
        assert set(np.unique(plan)) <= {0, 1}
        assert plan.any(1).all()
        best = effects.gain(plan / plan.sum(1, keepdims=True), coefficients)
        for piece in range(PIECES):
            for candidate in effects.candidates:
                changed = plan.copy()
                changed[piece] = candidate
                assert effects.gain(changed / changed.sum(1, keepdims=True), coefficients) <= best + 1e-6 * abs(best)


def test_without_a_difference_everything_is_selected() -> None:
    for rows in (1, 3, 7, 10):
        effects = SelectionEffects(rows)
        assert effects.best_plan(np.zeros(len(effects.keys))).all()


def test_mixtures_are_selected_where_they_are_worth_more() -> None:
    effects = SelectionEffects(3)
    coefficients = np.array([{"mixing": -1.0}.get(str(key[0]), 0.0) for key in effects.keys])
    coefficients[effects.keys.index(("now", 2))] = -3.0
    assert effects.best_plan(coefficients).tolist() == [[1, 1, 0]] * PIECES

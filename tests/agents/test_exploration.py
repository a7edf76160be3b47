import json

import numpy as np
import pytest

from kselect.agents.exploration import CountBonus, DissimilarityBonus


def test_count_bonus_falls_with_the_root_of_the_count():
    bonus = CountBonus()
    assert bonus(np.array([1, 0, 1]), starts=True) == 1.0
    assert bonus(np.array([1, 0, 1]), starts=False) == pytest.approx(1 / 2**0.5)
    assert bonus(np.array([1, 1, 1]), starts=False) == 1.0
    assert bonus(np.array([1, 0, 1]), starts=True) == pytest.approx(1 / 3**0.5)  # a new episode forgets nothing


def test_dissimilarity_is_one_minus_the_cosine_with_the_action_before():
    bonus = DissimilarityBonus()
    assert bonus(np.array([1.0, 0.0]), starts=True) == 0.0
    assert bonus(np.array([0.5, 0.0]), starts=False) == pytest.approx(0.0)  # same direction
    assert bonus(np.array([0.0, 0.3]), starts=False) == pytest.approx(1.0)  # a right angle
    assert bonus(np.array([0.4, 0.3]), starts=False) == pytest.approx(1 - 0.6)  # 0.09 / (0.3 * 0.5) = 0.6
    assert bonus(np.array([1.0, 0.0]), starts=True) == 0.0  # the first of an episode has none before it


def test_dissimilarity_of_zeros():
    bonus = DissimilarityBonus()
    bonus(np.zeros(2), starts=True)
    assert bonus(np.zeros(2), starts=False) == 0.0
    assert bonus(np.ones(2), starts=False) == 1.0
    assert bonus(np.zeros(2), starts=False) == 1.0


@pytest.mark.parametrize("kind", [CountBonus, DissimilarityBonus])
def test_a_bonus_goes_on_from_its_state(kind: type):
    actions = [np.array([1, 1]), np.array([0, 1]), np.array([0, 1]), np.array([1, 1])]
    straight, first, second = kind(), kind(), kind()
    expected = [straight(action, starts=False) for action in actions]
    begun = [first(action, starts=False) for action in actions[:2]]
    second.restore(json.loads(json.dumps(first.state())))
    assert begun + [second(action, starts=False) for action in actions[2:]] == expected
    assert len(set(expected)) > 1

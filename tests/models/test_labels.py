"""The order of labels that answers suit best, chosen by one half of the examples and judged by the other."""

from __future__ import annotations

import numpy as np
import pytest

from kselect.models.labels import best_order


@pytest.mark.parametrize("meant", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_answers_in_another_order_are_found_out(meant: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 200)
    true = np.where(rng.random(200) < 0.9, gold, rng.integers(0, 3, 200))
    answers = np.argsort(meant)[true]
    order = best_order(answers, gold, 3)
    assert order.meant == meant
    assert order.judged == 100
    assert order.right == (answers[1::2] == gold[1::2]).mean()
    assert order.right_as_meant == (true[1::2] == gold[1::2]).mean()
    assert order.clear == (meant != (0, 1, 2))


def test_chance_is_not_clear() -> None:
    rng = np.random.default_rng(1)
    assert not any(best_order(rng.integers(0, 4, 60), rng.integers(0, 4, 60), 4).clear for _ in range(100))


@pytest.mark.parametrize(("swapped", "clear"), [(49, False), (51, True)])
def test_an_order_supported_by_few_answers_is_not_clear(swapped: int, clear: bool) -> None:
    gold = np.repeat([2, 0], [1000 - swapped, swapped]).repeat(2)  # one of each pair chooses, one judges
    answers = np.where(gold == 0, 1, gold)
    order = best_order(answers, gold, 3)
    assert order.meant == (1, 0, 2)
    assert order.right_as_meant - order.right == pytest.approx(swapped / 1000)
    assert order.clear == clear


def test_words_of_a_sentence_count_as_often_as_they_are_there_and_judge_together() -> None:
    rng = np.random.default_rng(0)
    tags = rng.integers(0, 2, (40, 5))
    answers, owner = (1 - tags).flatten(), np.repeat(np.arange(40), 5)
    order = best_order(answers, tags.flatten(), 2, owner)
    assert (order.meant, order.judged, order.right, order.right_as_meant) == ((1, 0), 100, 0.0, 1.0)
    assert order.clear
    few = owner < 16  # of which eight judge, all alike: 8 against a deviation of sqrt(8)
    assert not best_order(answers[few], tags.flatten()[few], 2, owner[few]).clear
    shuffled = rng.permutation(200)
    assert best_order(answers[shuffled], tags.flatten()[shuffled], 2, owner[shuffled]) == order

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kselect.tasks import metrics

# Predicted 1 four times, three of them right; missed one: TP 3, FP 1, FN 1, TN 3.
PREDICTED = [1, 1, 1, 1, 0, 0, 0, 0]
GOLD = [1, 1, 1, 0, 1, 0, 0, 0]


def test_hand_worked_confusion_matrix() -> None:
    values = metrics.score(("accuracy", "f1", "matthews"), PREDICTED, GOLD)
    assert values["accuracy"] == pytest.approx(6 / 8)
    assert values["f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    # (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)) = (9 - 1) / 16
    assert values["matthews"] == pytest.approx(0.5)
    assert values["score"] == pytest.approx((0.75 + 0.75 + 0.5) / 3)


def test_unequal_margins() -> None:
    # TP 1, FP 2, FN 0, TN 1
    values = metrics.score(("accuracy", "f1", "matthews"), [1, 1, 1, 0], [1, 0, 0, 0])
    assert values["accuracy"] == pytest.approx(0.5)
    assert values["f1"] == pytest.approx(2 / 4)
    assert values["matthews"] == pytest.approx(1 / (3 * 1 * 3 * 1) ** 0.5)


@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("gold", [[0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]])
def test_constant_predictions_are_defined_and_silent(constant: int, gold: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = metrics.score(("accuracy", "f1", "matthews"), [constant] * 4, gold)
    hits = sum(label == constant for label in gold) / 4
    ones = sum(gold)
    assert values["accuracy"] == hits
    assert values["f1"] == pytest.approx(2 * ones / (4 + ones) if constant else 0.0)
    assert values["matthews"] == 0


def test_perfect_and_reversed() -> None:
    assert metrics.score(("matthews",), GOLD, GOLD)["score"] == pytest.approx(1)
    assert metrics.score(("matthews",), [1 - label for label in GOLD], GOLD)["score"] == pytest.approx(-1)


def test_correlations_worked_by_hand() -> None:
    # Deviations (-2, -1, 0, 3) and (-1, -2, 1, 2): sums of products 10, of squares 14 and 10.
    values = metrics.score(("pearson", "spearman"), [0.0, 1.0, 2.0, 5.0], [2.0, 1.0, 4.0, 5.0])
    assert values["pearson"] == pytest.approx(10 / (14 * 10) ** 0.5)
    # Ranks (1, 2, 3, 4) and (2, 1, 3, 4): 1 - 6 * 2 / (4 * 15).
    assert values["spearman"] == pytest.approx(0.8)
    assert values["score"] == pytest.approx((values["pearson"] + values["spearman"]) / 2)


def test_ties_share_their_rank() -> None:
    # Ranks (1.5, 1.5, 3) against (1, 2, 3): deviations (-.5, -.5, 1) and (-1, 0, 1).
    assert metrics.spearman(np.array([1.0, 1.0, 9.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(1.5 / 3**0.5)


@pytest.mark.parametrize("sides", [([2.5, 2.5, 2.5], [0.0, 1.0, 5.0]), ([0.0, 1.0, 5.0], [1.0, 1.0, 1.0])])
def test_correlation_of_a_constant_is_zero_and_silent(sides: tuple[list[float], list[float]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.score(("pearson", "spearman"), *sides) == {"pearson": 0, "spearman": 0, "score": 0}


def test_macro_f1_is_the_mean_over_classes() -> None:
    # Class 0: TP 1, FP 0, FN 1; class 1: TP 1, FP 1, FN 0; class 2: TP 1.
    values = metrics.score(("macro_f1",), [0, 1, 1, 2], [0, 0, 1, 2])
    assert values["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics.score(("macro_f1",), [0, 0], [1, 0])["macro_f1"] == pytest.approx(1 / 3)


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match="shape"):
        metrics.score(("accuracy",), [0, 1], [0])
    with pytest.raises(ValueError, match="shape"):
        metrics.score(("accuracy",), [], [])
    with pytest.raises(Exception, match="Unknown metric 'acuracy': did you mean 'accuracy'"):
        metrics.score(("acuracy",), [0], [0])

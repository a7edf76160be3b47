from __future__ import annotations

import warnings

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


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match="shape"):
        metrics.score(("accuracy",), [0, 1], [0])
    with pytest.raises(ValueError, match="shape"):
        metrics.score(("accuracy",), [], [])
    with pytest.raises(Exception, match="Unknown metric 'acuracy': did you mean 'accuracy'"):
        metrics.score(("acuracy",), [0], [0])

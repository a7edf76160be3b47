"""How long a run is."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from kselect.config import TrainingConfig


@pytest.mark.parametrize("batches", [1, 3, 50, 97, 115, 12272])
def test_a_run_has_as_many_steps_as_its_epochs_are_written_to_have(batches: int) -> None:
    for hundredths in range(1, 1001):
        epochs = Fraction(hundredths, 100)
        assert TrainingConfig(epochs=float(epochs)).total_steps(batches) == math.ceil(epochs * batches)


def test_a_run_has_a_step_at_least() -> None:
    assert TrainingConfig(epochs=1e-12).total_steps(10) == 1

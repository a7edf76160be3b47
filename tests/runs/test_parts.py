"""Means over parts of a run, against a mean over every training step."""

from __future__ import annotations

import numpy as np
import pytest

from kselect.runs.parts import by_part


def test_by_part_counts_each_step_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        steps, parts = rng.integers(1, 9, 7), int(rng.integers(1, 6))
        values = rng.random((7, 3))
        fine = np.repeat(values, steps * parts, axis=0)  # each step in as many pieces as there are parts
        expected = fine.reshape(parts, -1, 3).mean(1).T
        assert by_part(values, steps, parts) == pytest.approx(expected)

from __future__ import annotations

import time

import pytest

from kselect.distillation.cost_account import CostAccount


def test_measure_does_not_count_nested_time_twice() -> None:
    account = CostAccount()
    start = time.perf_counter()
    with account.measure("student"):
        time.sleep(0.05)
        with account.measure("teacher"):
            time.sleep(0.1)
    elapsed = time.perf_counter() - start
    assert account.seconds["teacher"] == pytest.approx(0.1, abs=0.04)
    assert account.seconds["student"] == pytest.approx(0.05, abs=0.04)
    assert sum(account.seconds.values()) == pytest.approx(elapsed, abs=1e-3)


def test_settle_resets_the_account() -> None:
    account = CostAccount()
    with account.measure("reward"):
        pass
    assert account.settle()["reward"] > 0
    assert set(account.settle().values()) == {0.0}

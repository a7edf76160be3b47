from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kselect.config import PhaseConfig
from kselect.envs.phases import ENOUGH, SCHEDULERS, PhaseScheduler


def lengths(scheduler: PhaseScheduler, selections: list[list[float]]) -> list[int]:
    """Lengths of the phases of one run, the last selection going on to the end."""
    done = 0
    result: list[int] = []
    while done < scheduler.total_steps:
        selection = selections[min(len(result), len(selections) - 1)]
        length = min(scheduler.start_phase(np.array(selection, dtype=np.float32), done), scheduler.total_steps - done)
        done += length
        result.append(length)
        scheduler.finish_phase(done == scheduler.total_steps)
    return result


def make(config: PhaseConfig, total_steps: int) -> PhaseScheduler:
    return SCHEDULERS[config.phases](config, total_steps)


def test_constant() -> None:
    assert lengths(make(PhaseConfig("constant", 30), 100), [[1, 0]]) == [30, 30, 30, 10]


def test_growing() -> None:
    assert lengths(make(PhaseConfig("growing", 10, 1.5), 100), [[1, 0]]) == [10, 15, 22, 34, 19]


def test_adaptive_grows_while_the_agent_repeats_itself_and_falls_back() -> None:
    same, other = [1.0, 0.05], [0.0, 1.0]
    almost = [0.95, 0.0]
    config = PhaseConfig("adaptive", 10, 2.0)
    assert lengths(make(config, 200), [same, almost, same, other, other, same]) == [10, 20, 40, 10, 20, 10, 20, 40, 30]


@pytest.mark.parametrize("phases", sorted(SCHEDULERS))
def test_looking_at_the_length_changes_nothing(phases: Any) -> None:
    scheduler, selection = make(PhaseConfig(phases, 10), 100), np.ones(2, dtype=np.float32)
    for step in (0, 10):
        steps = scheduler.start_phase(selection, step)
        state = scheduler.state()
        assert scheduler.length == scheduler.length == steps
        assert scheduler.state() == state
        scheduler.finish_phase(False)


@pytest.mark.parametrize("phases", ["constant", "growing"])
@pytest.mark.parametrize("total_steps", [200, 600, 5000])
def test_about_twelve_phases_by_default(phases: Any, total_steps: int) -> None:
    assert 10 <= len(lengths(make(PhaseConfig(phases), total_steps), [[1, 0]])) <= 13


@pytest.mark.parametrize("phases", sorted(SCHEDULERS))
@pytest.mark.parametrize("total_steps", [1, 2, 7])
def test_short_runs_have_phases_too(phases: Any, total_steps: int) -> None:
    found = lengths(make(PhaseConfig(phases), total_steps), [[1, 0]])
    assert sum(found) == total_steps
    assert min(found) >= 1


@pytest.mark.parametrize("every", [1, 4, 100])
@pytest.mark.parametrize("config", [{}, {"phase_steps": 20}, {"phase_growth": 1.0}, {"phase_growth": 2.0}])
@pytest.mark.parametrize("phases", sorted(SCHEDULERS))
def test_measuring_rewards_costs_a_tenth_of_the_training_by_default(phases: Any, config: Any, every: int) -> None:
    scheduler = make(PhaseConfig(phases, reward_every=every, **config), 480)
    changing = [[1.0, 0.0], [0.0, 1.0]] * 50  # so that adaptive phases do not grow
    count = len(lengths(scheduler, changing if phases == "adaptive" else [[1, 0]]))
    measurements = 1 + -(-count // every)
    examples = scheduler.reward_examples(batch_size=8)
    assert measurements * examples / 8 / (3 * 480) == pytest.approx(0.1, rel=0.1)


def test_the_number_of_reward_examples_has_bounds() -> None:
    assert make(PhaseConfig(), 10).reward_examples(32) == 32
    assert make(PhaseConfig(), 10**6).reward_examples(32) == ENOUGH
    assert make(PhaseConfig("constant", reward_examples=7), 480).reward_examples(32) == 7


def test_rewards_are_measured_as_often_as_asked_and_at_the_end() -> None:
    scheduler = make(PhaseConfig("constant", 10, reward_every=3), 100)
    assert [scheduler.finish_phase(ended) for ended in (False, False, False, False, True)] == [
        False,
        False,
        True,
        False,
        True,
    ]
    scheduler.restart()
    assert not scheduler.finish_phase(False)

"""A schedule meets its stages exactly, and moves between weights in a straight line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kselect.agents import Schedule, load_agent
from tests.agents.identity import IdentityEnv


def schedule(stages: list[dict], soft: bool = True) -> Schedule:
    env = IdentityEnv(soft=soft, rows=2)
    return Schedule(env.observation_space, env.action_space, stages=stages)


def weights_at(agent: Schedule, progress: float) -> list[float]:
    observation = IdentityEnv(soft=True, rows=2).reset()[0]
    observation["context"][0] = progress
    return agent.act(observation).tolist()


@pytest.mark.parametrize("steps", [1, 3, 7, 10, 30, 49, 97, 1000])
@pytest.mark.parametrize("until", [0.1, 0.3, 1 / 3, 0.5, 0.7, 0.9])
def test_a_stage_ends_at_the_first_step_that_is_not_before_its_share(until: float, steps: int) -> None:
    agent = schedule([{"until": until, "weights": [1, 0]}, {"weights": [0, 1]}])
    taken = [weights_at(agent, step / steps)[0] for step in range(steps)]
    first = math.ceil(round(until * steps, 9))
    assert taken == [1] * first + [0] * (steps - first)


def test_a_moving_stage_worked_by_hand() -> None:
    agent = schedule(
        [
            {"until": 0.25, "weights": [1, 0]},
            {"until": 0.75, "weights": [1, 0], "to": [0.5, 1]},
            {"weights": [0, 1]},
        ]
    )
    assert agent.boundaries == (0.25, 0.75)
    assert weights_at(agent, 0.0) == weights_at(agent, 0.25) == [1, 0]
    assert weights_at(agent, 0.5) == pytest.approx([0.75, 0.5])
    assert weights_at(agent, 0.625) == pytest.approx([0.625, 0.75])
    assert weights_at(agent, 0.75) == weights_at(agent, 1.0) == [0, 1]


def test_the_slope_of_a_stage_is_its_change_over_a_whole_run() -> None:
    agent = schedule(
        [{"until": 0.25, "weights": [1, 0]}, {"until": 0.75, "weights": [1, 0], "to": [0.5, 1]}, {"weights": [0, 1]}]
    )
    for progress, slope in ((0.0, None), (0.25, [-1, 2]), (0.7, [-1, 2]), (0.75, None)):
        weights_at(agent, progress)
        assert (agent.slope if agent.slope is None else agent.slope.tolist()) == slope


def test_hard_stages_take_and_leave() -> None:
    agent = schedule([{"until": 0.5, "weights": [1, 0]}, {"weights": [1, 1]}], soft=False)
    assert weights_at(agent, 0.6) == [1, 1]
    assert agent.action_space.contains(np.array(weights_at(agent, 0.0), dtype=np.int8))


def test_a_schedule_is_saved_with_its_stages(tmp_path: Path) -> None:
    agent = schedule([{"until": 0.5, "weights": [1, 0], "to": [0, 0.5]}, {"weights": [0, 1]}])
    agent.save(tmp_path)
    loaded = load_agent(tmp_path)
    assert isinstance(loaded, Schedule)
    for progress in (0.0, 0.2, 0.5, 0.9):
        assert weights_at(loaded, progress) == weights_at(agent, progress)
    assert loaded.boundaries == agent.boundaries

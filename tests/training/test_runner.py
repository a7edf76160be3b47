"""Episodes that are stopped and gone on with are those that were never stopped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv

from kselect.agents.learner import Learner
from kselect.agents.registry import make_agent, wants_soft
from kselect.config import PhaseConfig
from kselect.distillation.cost_account import PARTS
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.runs.checkpoint import Checkpoint
from kselect.training.runner import EpisodeRunner
from tests.tiny import tiny_distiller, tiny_task


class StopError(Exception):
    pass


def make(agent: str = "actor-critic", phases: Any = "adaptive", episodes: int = 2, tasks: int = 1) -> EpisodeRunner:
    of_tasks = ("synthetic-acceptability", "synthetic-entailment")
    actions: Literal["hard", "soft"] = "soft" if wants_soft(agent) or agent == "schedule" else "hard"
    envs = [
        DistillationEnv(tiny_distiller(task=tiny_task(name)), actions, PhaseConfig(phases, 3, reward_every=2))
        for name in of_tasks[:tasks]
    ]
    spaces = (envs[0].observation_space, envs[0].action_space)
    names = envs[0].distiller.names
    moving = [{"weights": {"hidden": 1}, "to": {"gold": 1}}]
    by_agent: dict[str, dict[str, Any]] = {
        "fixed": {"weights": dict.fromkeys(names, 1)},
        "schedule": {"stages": moving},
    }
    learner = make_agent(agent, *spaces, names, **by_agent.get(agent, {}))
    return EpisodeRunner(learner, envs, episodes, seeds=[3, 4][:tasks], learning=learner.learns)


def stop_after(runner: EpisodeRunner, phases: int, checkpoint: Checkpoint) -> None:
    def stop(record: dict) -> None:
        if len(runner.records) == phases:
            checkpoint.save(runner.snapshot)
            raise StopError

    with pytest.raises(StopError):
        runner.run(stop)


def outcome(runner: EpisodeRunner) -> list:
    weights = runner.distillers[-1].student.model.state_dict()
    learned, facts = runner.agent.state()
    return [
        [(episode.task, episode.total_reward, episode.history) for episode in runner.episodes],
        {name: value.tolist() for name, value in weights.items()},
        {name: value.tolist() for name, value in learned.items()},
        facts,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "phases"),
    [
        ("actor-critic", "adaptive"),
        ("deterministic-actor-critic", "growing"),
        ("random-hard", "constant"),
        ("fixed", "adaptive"),
        ("schedule", "growing"),
    ],
)
def test_a_stopped_series_goes_on_bit_by_bit(agent: str, phases: str, tmp_path: Path) -> None:
    straight = make(agent, phases)
    straight.run()
    first = len(straight.episodes[0].history)
    # the first phase; within, at the end and at the start of an episode; the very last phase
    stops = (1, first - 1, first, first + 1, len(straight.records))
    for stop in stops if agent == "actor-critic" else stops[1:3]:
        checkpoint = Checkpoint(tmp_path / f"{stop}.safetensors")
        stop_after(make(agent, phases), stop, checkpoint)
        resumed = make(agent, phases)
        snapshot = checkpoint.load()
        assert snapshot is not None
        resumed.restore(snapshot)
        assert len(resumed.records) == stop
        resumed.run()
        assert outcome(resumed) == outcome(straight)


@pytest.mark.slow
def test_a_series_over_two_tasks_takes_turns_and_goes_on_too(tmp_path: Path) -> None:
    straight = make(episodes=4, tasks=2)
    straight.run()
    assert [episode.task.removeprefix("synthetic-") for episode in straight.episodes] == 2 * [
        *("acceptability", "entailment")
    ]
    assert straight.total_steps == sum(record["steps"] for record in straight.records)
    for stop in (len(straight.episodes[0].history) + 1, len(straight.records) - 1):
        checkpoint = Checkpoint(tmp_path / f"{stop}.safetensors")
        stop_after(make(episodes=4, tasks=2), stop, checkpoint)
        resumed = make(episodes=4, tasks=2)
        snapshot = checkpoint.load()
        assert snapshot is not None
        resumed.restore(snapshot)
        resumed.run()
        assert outcome(resumed) == outcome(straight)


def test_costs_add_up_over_the_pieces(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    stopped = make("fixed", episodes=1)
    stop_after(stopped, 3, checkpoint)
    snapshot = checkpoint.load()
    assert snapshot is not None
    (spent,) = snapshot.facts["costs"]
    resumed = make("fixed", episodes=1)
    probing = resumed.distillers[0].account.seconds["probing"]
    resumed.restore(snapshot)
    assert resumed.spent["student"] == spent["student"]
    assert resumed.spent["probing"] == spent["probing"] + probing
    (episode,) = resumed.run()
    assert episode.seconds["student"] > spent["student"]
    assert episode.seconds["other"] >= spent["other"] > 0
    assert sum(episode.seconds.values()) > sum(spent.values())


def test_costs_begin_anew_in_each_episode() -> None:
    runner = make("fixed", episodes=2)
    start = time.perf_counter()
    first, second = runner.run()
    wall = time.perf_counter() - start
    assert first.seconds["probing"] > 0
    assert second.seconds["probing"] == 0  # the run rests on what the first one paid for
    spent = [sum(episode.seconds.values()) for episode in (first, second)]
    assert sum(spent) - first.seconds["probing"] == pytest.approx(wall, rel=0.05)
    assert first.seconds.keys() == second.seconds.keys() == {*PARTS, "other"}


def test_the_agent_learns_from_rewards_in_units_of_the_task() -> None:
    runner = make(episodes=1)
    (episode,) = runner.run()
    assert isinstance(runner.agent, Learner)
    rewards = runner.agent.decisions.read()["reward"]
    (unit,) = runner.vector.get_attr("reward_unit")
    assert rewards * unit == pytest.approx([record["reward"] for record in episode.history], abs=1e-6)


def test_another_teacher_is_noticed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    runner = make()
    stop_after(runner, 1, checkpoint)
    snapshot = checkpoint.load()
    assert snapshot is not None
    other = make()
    for parameter in other.distillers[0].student.model.parameters():
        torch.nn.init.zeros_(parameter)
    other.distillers[0].initial_losses = other.distillers[0]._probe()
    with pytest.raises(KselectError, match="teacher or data have changed"):
        other.restore(snapshot)


def test_another_teacher_of_a_task_whose_turn_it_is_not_is_noticed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    stop_after(make(tasks=2), 1, checkpoint)
    snapshot = checkpoint.load()
    assert snapshot is not None
    other = make(tasks=2)
    distiller = other.distillers[1]
    distiller.initial_losses = {**distiller.initial_losses, "gold": 9.0}
    with pytest.raises(KselectError, match="teacher or data have changed, since the loss of gold"):
        other.restore(snapshot)


def test_an_episode_cut_off_does_not_join_the_next(tmp_path: Path) -> None:
    stopped = make(phases="constant", episodes=1)
    stop_after(stopped, 2, Checkpoint(tmp_path / "state.safetensors"))
    (vector,) = stopped.vectors
    assert isinstance(vector, SyncVectorEnv)
    assert isinstance(stopped.agent, Learner)
    later = EpisodeRunner(stopped.agent, vector.envs, 1, seeds=[3], learning=True)
    later.run()
    assert np.flatnonzero(stopped.agent.decisions.read()["starts"]).tolist() == [0, 2]


def test_one_policy_needs_one_kind_of_environment() -> None:
    offers = (["gold", "logits"], ["gold", "hidden"], ["logits", "gold"], ["gold"])
    first, *others = (DistillationEnv(tiny_distiller({"knowledge": names})) for names in offers)
    for other in others:  # as many kinds of another name, in another order, and fewer
        with pytest.raises(KselectError, match="offer the same knowledge in every task, in the same order"):
            EpisodeRunner(make().agent, [first, other], seeds=[0, 0], learning=True)
    soft = DistillationEnv(first.distiller, "soft")
    with pytest.raises(KselectError, match="the same kind of actions and observations"):
        EpisodeRunner(make().agent, [first, soft], seeds=[0, 0], learning=True)

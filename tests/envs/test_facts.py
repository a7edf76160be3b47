"""Facts in the observation: behind all else, the same throughout, and kept by runs that are stopped."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kselect.agents.registry import make_agent
from kselect.config import AgentConfig, PhaseConfig
from kselect.distillation.facts.facts import FACTS, KIND_FACTS, kind_facts
from kselect.distillation.facts.measure import measure_facts
from kselect.distillation.snapshot import Snapshot
from kselect.envs.distillation import DistillationEnv
from kselect.envs.observation import CODE_SIZE, CONTEXT, FEATURES, LIMIT
from kselect.errors import KselectError
from kselect.recipes.policies import build_policy, build_trainable_agent
from kselect.training.runner import EpisodeRunner
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

SEEING, BLIND = (PhaseConfig("constant", 4, observe_facts=seen) for seen in (True, False))


def play(env: DistillationEnv, seed: int = 1) -> list[Any]:
    trace: list[Any] = [env.reset(seed=seed)[0]]
    terminated = False
    while not terminated:
        observation, reward, terminated, _, info = env.step(np.ones(5))
        trace += [observation, reward, info]
    return trace


def test_facts_follow_what_is_observed_without_them() -> None:
    env, blind = (DistillationEnv(tiny_distiller(), phases=phases) for phases in (SEEING, BLIND))
    seen, unseen = play(env), play(blind)
    assert env.facts == measure_facts(tiny_distiller())
    assert blind.facts is None
    for one, other in zip(seen, unseen, strict=True):
        if isinstance(one, dict) and "context" in one:
            assert env.observation_space.contains(one)
            assert one["context"].shape == (len(CONTEXT) + len(FACTS),)
            assert one["knowledge"].shape == (5, len(FEATURES) + CODE_SIZE + len(KIND_FACTS))
            shown = np.clip(env.facts.vector(), -LIMIT, LIMIT)
            assert one["context"][len(CONTEXT) :].tolist() == shown.tolist()
            kinds = kind_facts(env.distiller.knowledge)
            assert one["knowledge"][:, -len(KIND_FACTS) :].tolist() == kinds.tolist()
            assert one["context"][: len(CONTEXT)].tolist() == other["context"].tolist()
            assert one["knowledge"][:, : -len(KIND_FACTS)].tolist() == other["knowledge"].tolist()
        else:
            assert pickle.dumps(one) == pickle.dumps(other)


def test_they_are_of_the_initial_student_in_every_episode() -> None:
    env = DistillationEnv(tiny_distiller(), phases=SEEING)
    env.distiller.advance(np.ones(5), 4)  # a distiller that something else has used
    first = play(env)
    assert env.facts == measure_facts(tiny_distiller({"teacher_cache": 0.0}))
    assert pickle.dumps(play(env)) == pickle.dumps(first)


def test_they_are_charged_to_the_first_episode_as_probing() -> None:
    seconds = {}
    for phases in (SEEING, BLIND):
        env = DistillationEnv(tiny_distiller(), phases=phases, measure_rewards=False)
        env.begin_costs()
        before = env.spent()["probing"]
        env.reset(seed=0)
        seconds[phases.observe_facts] = env.spent()["probing"] - before
        env.reset(seed=1)
        assert env.spent()["probing"] - before == seconds[phases.observe_facts]  # only once
    assert seconds[True] > seconds[False] == 0


def test_gymnasium_makes_it(tmp_path: Path) -> None:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path)
    plain: dict[str, Any] = {
        "task": "synthetic-acceptability",
        "train_limit": 80,
        "max_length": 32,
        "batch_size": 8,
        "epochs": 2,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain |= {"teacher": str(tmp_path), "layers": 2, "precision": "fp32"}
        env = gymnasium.make("kselect/Distillation-v0", observe_facts=True, **plain)
        check_env(env.unwrapped, skip_render_check=True)
    assert env.observation_space["context"].shape == (len(CONTEXT) + len(FACTS),)  # type: ignore[index]  # a Dict space


def runner(knowledge: dict[str, Any] | None = None) -> EpisodeRunner:
    env = DistillationEnv(tiny_distiller(knowledge), phases=SEEING)
    agent = make_agent("actor-critic", env.observation_space, env.action_space, env.names)
    return EpisodeRunner(agent, [env], 2, seeds=[3], learning=True)


@pytest.mark.slow
@pytest.mark.parametrize("phases", [2, 5])
def test_a_stopped_run_goes_on_bit_by_bit(phases: int, tmp_path: Path) -> None:
    """In the first and in the second of two episodes of four phases; there is no store, so facts are in the state."""
    live = {"teacher_cache": 0.0}
    straight = runner(live)
    straight.run()
    snapshots: list[Snapshot] = []
    stopped = runner(live)

    def save(record: dict[str, Any]) -> None:
        if len(stopped.records) == phases:
            snapshots.append(stopped.snapshot())
            snapshots[0].save(tmp_path / "state.safetensors")

    stopped.run(save)
    resumed = runner(live)
    resumed.restore(Snapshot.load(tmp_path / "state.safetensors"))
    resumed.run()
    assert [episode.history for episode in resumed.episodes] == [episode.history for episode in straight.episodes]
    learned = [{name: value.tolist() for name, value in one.agent.state()[0].items()} for one in (resumed, straight)]
    assert learned[0] == learned[1]
    assert resumed.facts == straight.facts == {"synthetic-acceptability": measure_facts(tiny_distiller())}


def test_a_policy_that_saw_facts_is_shown_them(tmp_path: Path) -> None:
    for name, phases in (("seeing", SEEING), ("blind", BLIND)):
        build_trainable_agent(AgentConfig("actor-critic"), tiny_distiller(), phases, 0).agent.save(tmp_path / name)
    for phases in (SEEING, BLIND):
        setup = build_policy(AgentConfig(str(tmp_path / "seeing")), tiny_distiller(), phases, 0)
        assert setup.env.phases.observe_facts
        setup.agent.act(setup.env.reset(seed=0)[0])
    setup = build_policy(AgentConfig(str(tmp_path / "blind")), tiny_distiller(), BLIND, 0)
    assert not setup.env.phases.observe_facts
    with pytest.raises(KselectError, match=f"reads 13 context features, and this environment gives {13 + len(FACTS)}"):
        build_policy(AgentConfig(str(tmp_path / "blind")), tiny_distiller(), SEEING, 0)

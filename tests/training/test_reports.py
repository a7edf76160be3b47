"""What is reported of an episode, from records by hand, and of decisions, from tiny runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from kselect.agents import ActorCritic, make_agent
from kselect.config import PhaseConfig
from kselect.envs.distillation import DistillationEnv
from kselect.envs.rendering import heat_map_image
from kselect.training.api import learn, rollout
from kselect.training.episode import Episode
from kselect.training.reports import decision_table, report_episode
from tests.tiny import tiny_distiller


def record(phase: int, gold: float, preference: float | None = None, **more: Any) -> dict[str, Any]:
    leaning = {} if preference is None else {"preference": {"gold": preference, "logits": 0.5}}
    weights = {"gold": gold, "logits": 1 - gold}
    return {"phase": phase, "step": 10 * (phase + 1), "steps": 10, "weights": weights, **leaning, **more}


def test_report_has_the_return_the_shares_and_the_drawing_of_render() -> None:
    history = [record(0, 1.0), record(1, 0.5)]
    report = report_episode(Episode("mrpc", 0.25, {"student": 1.0}, history))
    assert report.scalars == {"return": 0.25, "share_gold": 0.75, "share_logits": 0.25}
    assert (report.step, report.number, report.texts) == (20, None, {})
    expected = heat_map_image(("gold", "logits"), [(10, [1.0, 0.0]), (10, [0.5, 0.5])], 20)
    assert list(report.images) == ["heat_map/selection"]
    assert np.array_equal(report.images["heat_map/selection"], expected)


def test_a_single_kind_of_knowledge_has_no_heat_map() -> None:
    history = [{"phase": 0, "step": 4, "steps": 4, "weights": {"gold": 1.0}}]
    assert report_episode(Episode("mrpc", 0.0, {"student": 1.0}, history)).images == {}


def test_decision_table_has_a_row_for_each_change() -> None:
    features = {"progress": -1.5, "age/gold": 0.004, "grad_norm": 0.25}
    dropped = {"gold": {"before": 1.0, "after": 0.0, "features": features}}
    history = [
        record(0, 0.5, 0.7),
        record(1, 0.0, 0.3, changes=dropped),
        record(2, 0.5, 0.3, changes={"gold": {"before": 0.0, "after": 1.0}}),
        record(3, 0.5, 0.6, changes={"gold": {"before": 0.75, "after": 0.6}}),
    ]
    table = decision_table(history)
    assert table is not None
    assert table.splitlines()[2:5] == [
        "| 10 | `gold` | dropped | 0.70 → 0.30 | progress -1.50<br>grad_norm +0.25 |",
        "| 20 | `gold` | taken up by chance | 0.30 → 0.30 |  |",
        "| 30 | `gold` | lowered, 0.75 → 0.60 | 0.30 → 0.60 |  |",
    ]
    assert decision_table(history[:1]) is None


@pytest.fixture(scope="module")
def env() -> DistillationEnv:
    knowledge = {"knowledge": ["gold", "logits", "hidden"]}
    return DistillationEnv(tiny_distiller(knowledge), phases=PhaseConfig("constant", 2))


@pytest.fixture(scope="module")
def agent(env: DistillationEnv) -> ActorCritic:
    """A policy whose critic has learned, and whose preferences are random, around a half, and change during a run."""
    agent = ActorCritic(env.observation_space, env.action_space)
    learn(agent, env, 1)
    with torch.no_grad():
        agent.policy.head.weight.normal_(generator=torch.Generator().manual_seed(0))
        logits = agent.log_odds(*(torch.from_numpy(agent.decisions.read()[key]) for key in agent.observation_keys))
        agent.policy.head.bias.sub_(logits.median())
    return agent


def test_advantages_of_an_episode_add_up_to_what_it_gained_over_the_first_value(
    env: DistillationEnv, agent: ActorCritic
) -> None:
    history = rollout(agent, env).history
    gained = sum(record["advantage"] for record in history)
    total = sum(record["reward"] for record in history) / env.reward_unit
    assert gained == pytest.approx(total - history[0]["value"], abs=1e-9)
    assert history[0]["value"] != 0


def test_a_change_is_explained_by_the_features_of_the_state(env: DistillationEnv, agent: ActorCritic) -> None:
    """Under a policy that no longer learns, contributions add up to the difference of the log-odds."""
    history = rollout(agent, env).history
    odds = [{name: np.log(p / (1 - p)) for name, p in record["preference"].items()} for record in history]
    changes = [(i, *item) for i, record in enumerate(history) for item in record.get("changes", {}).items()]
    assert changes, "the policy selects the same throughout"
    for i, name, change in changes:
        assert abs(change["after"] - change["before"]) == 1
        assert set(change["features"]) == set(history[i]["state"])
        assert sum(change["features"].values()) == pytest.approx(odds[i][name] - odds[0][name], abs=1e-4)


def test_the_state_of_a_decision_is_what_the_phase_before_left(env: DistillationEnv, agent: ActorCritic) -> None:
    history = rollout(agent, env).history
    for before, after in pairwise(history):
        assert after["state"]["progress"] == pytest.approx(before["step"] / env.total_steps)
        assert after["state"]["last_weight/gold"] == pytest.approx(before["weights"]["gold"], abs=1e-5)
        for name, loss in before["relative_losses"].items():
            assert after["state"][f"relative_loss/{name}"] == pytest.approx(loss, rel=1e-5)


def test_a_fixed_selection_has_neither_state_nor_preference(env: DistillationEnv) -> None:
    fixed = make_agent(
        "schedule", env.observation_space, env.action_space, env.names, stages=[{"weights": {"gold": 1}}]
    )
    history = rollout(fixed, env).history
    assert {"state", "preference", "value", "changes"}.isdisjoint(history[-1])

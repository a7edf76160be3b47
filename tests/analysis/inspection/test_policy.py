"""What is said of policies whose behaviour is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect.agents import ActorCritic, PosteriorSampling
from kselect.agents.attributions import attribute
from kselect.agents.registry import load_agent, make_agent
from kselect.agents.schedule import Schedule
from kselect.analysis.inspection.observations import (
    at_progress,
    context_features,
    initial_observation,
    recorded_observation,
    row_features,
)
from kselect.analysis.inspection.policy import report_of_policy
from kselect.analysis.inspection.report import Report
from kselect.analysis.inspection.run import report_of_run
from kselect.analysis.inspection.sensitivity import by_feature, sensitivity
from kselect.config import TEXT_SOURCES
from kselect.envs.observation import CONTEXT, FEATURES
from kselect.envs.worlds import NAMES, World
from kselect.runs.history import read_run
from tests.agents.identity import IdentityEnv, TowerEnv, train
from tests.agents.test_attributions import learned
from tests.analysis.inspection.histories import odds_of_progress, play, reader_of_progress, write_run


def cells(report: Report, title: str) -> dict[str, list[str]]:
    (section,) = [section for section in report.sections if section.title.startswith(title)]
    return {row[0]: list(row[1:]) for row in section.rows}


def test_a_policy_that_reads_the_progress_alone() -> None:
    agent = reader_of_progress()
    report = report_of_policy(Path("policy"), agent)
    expected = [f"{1 / (1 + np.exp(-odds_of_progress(at))):.2f}" for at in (0, 0.25, 0.5, 0.75)]
    assert cells(report, "Preference as a run goes on") == {name: expected for name in NAMES}
    moved = np.mean([odds_of_progress(at) - odds_of_progress(0) for at in (0.25, 0.5, 0.75)])
    assert cells(report, "Sensitivity") == {"progress": [f"{moved:.3f}"] * len(NAMES)}


@pytest.fixture(scope="module")
def planner() -> PosteriorSampling:
    """A policy that has learned the world `progress`: gold or logits in the first half, hidden or attention then."""
    world = World("progress")
    agent = PosteriorSampling(world.observation_space, world.action_space)
    agent.names = NAMES
    train(agent, world, 8)
    return agent


def test_the_best_policy_of_a_world(planner: PosteriorSampling, tmp_path: Path) -> None:
    planner.save(tmp_path / "policy")
    report = report_of_policy(tmp_path / "policy", load_agent(tmp_path / "policy"))
    found = np.array(list(cells(report, "Preference as a run goes on").values()), dtype=float)
    assert found[:2, :2].any(0).all()
    assert found[2:4, 2:].any(0).all()
    assert not found[:2, 2:].any()
    assert not found[2:4, :2].any()
    assert not found[4].any()
    assert len(report.sections) == 1  # it has no log-odds


def test_a_schedule_has_its_stages() -> None:
    world = World("const", "soft")
    stages = [{"weights": {"gold": 1}, "until": 0.5}, {"weights": {"logits": 0.5}}]
    agent = make_agent("schedule", world.observation_space, world.action_space, NAMES, stages=stages)
    assert isinstance(agent, Schedule)
    found = cells(report_of_policy(Path("policy"), agent), "Preference as a run goes on")
    assert found["gold"] == ["1.00", "1.00", "0.00", "0.00"]
    assert found["logits"] == ["0.00", "0.00", "0.50", "0.50"]


def test_what_it_saw_in_training_is_shown_where_it_remembers_it() -> None:
    env = TowerEnv()
    agent = make_agent("paper", env.observation_space, env.action_space, NAMES[:4])
    train(agent, env, 3)
    report = report_of_policy(Path("policy"), agent)
    assert [section.title for section in report.sections] == ["Sensitivity of the log-odds"]
    assert set(cells(report, "Sensitivity")) <= {"student_cls", "teacher_cls"}
    rows = IdentityEnv(soft=False)
    hard = make_agent("actor-critic", rows.observation_space, rows.action_space, NAMES[:4])
    train(hard, rows, 3)
    report = report_of_policy(Path("policy"), hard)
    assert len(cells(report, "Preference at what it saw in training")["gold"]) == 4
    assert "feature 1" in " ".join(cells(report, "Sensitivity"))  # the flags, in an environment with other features


def test_contributions_by_feature_add_up_to_the_same() -> None:
    agent, state, start = learned(ActorCritic)
    whole = attribute(agent, state, start)
    merged = by_feature(whole)
    total = sum(each.reshape(agent.rows, -1).sum(1) for each in whole.values())
    assert sum(merged.values()) == pytest.approx(total, abs=1e-5)


def test_an_indifferent_policy_reacts_to_nothing() -> None:
    agent = reader_of_progress(slope=0.0)
    section = sensitivity(agent, [at_progress(initial_observation(agent), 0.5)], initial_observation(agent))
    assert section is not None
    assert section.rows == []
    assert "reacts to nothing" in section.note


def test_the_initial_observation_is_that_of_a_world() -> None:
    """But for the noise of the world's signals, which are not there before the first step of a distillation."""
    agent = reader_of_progress()
    found, shown = initial_observation(agent), World("progress").reset(seed=0)[0]
    assert (found["knowledge"][:, len(FEATURES) :] == shown["knowledge"][:, len(FEATURES) :]).all()
    for name in ("progress", "learning_rate", "reward_loss", "regression", "teacher_age"):
        assert found["context"][CONTEXT.index(name)] == shown["context"][CONTEXT.index(name)]
    agent.names = ("gold", "logits", "hidden", "attention", next(iter(TEXT_SOURCES)))
    assert initial_observation(agent)["knowledge"][:, 0].tolist() == [1, 1, 1, 1, 0]


def test_a_recorded_state_is_the_observation_again() -> None:
    agent = reader_of_progress()
    shown = World("progress").reset(seed=5)[0]
    contexts = dict(zip(context_features(len(CONTEXT)), shown["context"].tolist(), strict=True))
    rows = {
        f"{feature}/{name}": float(shown["knowledge"][row, i])
        for row, name in enumerate(NAMES)
        for i, feature in enumerate(row_features(shown["knowledge"].shape[1])[: len(FEATURES)])
    }
    again = recorded_observation(agent, contexts | rows, NAMES)
    assert all((again[key] == shown[key]).all() for key in shown)


def test_a_run_in_a_world_is_that_of_its_policy(planner: PosteriorSampling, tmp_path: Path) -> None:
    phases = play(planner, World("progress"))
    report = report_of_run(read_run(write_run(tmp_path / "run", phases)), {})
    found = cells(report, "Selection, share of the training steps")
    shares = np.array([[float(cell.removesuffix(" %")) for cell in found[name]] for name in NAMES])
    assert not shares[:2, 2:4].any()
    assert not shares[2:4, :2].any()
    assert (shares[:2, :2].sum(0) >= 100).all()
    assert (shares[2:4, 2:4].sum(0) >= 100).all()
    assert not shares[4].any()
    timing = cells(report, "Tests of the whole selection")["selections do not depend on the time within a run"]
    assert float(timing[0].removeprefix("< ")) < 0.01
    changes = next(section for section in report.sections if section.title.startswith("Decisions"))
    half_way = {row[1] for row in changes.rows if row[0] == "30"}  # of 12 phases of 5 steps
    assert half_way & {"gold dropped", "logits dropped"}
    assert half_way & {"hidden taken up", "attention taken up"}

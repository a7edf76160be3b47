"""A portfolio as a policy: fitted to a generated pool, saved, and followed by a distillation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect.agents.portfolio import Portfolio
from kselect.agents.registry import load_agent
from kselect.agents.stages import Stages
from kselect.cli.main import main
from kselect.collection.actor_critic_policy import make_actor_critic
from kselect.collection.fit import Trial
from kselect.collection.policy import READ, choose_on_left_out_tasks, make_portfolio, save_policy
from kselect.collection.suite import Suite
from kselect.collection.traits import traits_of
from kselect.config import KnowledgeConfig
from kselect.io import read_json

SELECTIONS: dict[str, Stages] = {
    "gold": [{"weights": {"gold": 1, "transfer": 0}}],
    "logits": [{"weights": {"logits": 1, "transfer": 0}}],
    "texts": [{"weights": {"logits": 1, "transfer": 1}}],
    "late": [{"until": 0.5, "weights": {"logits": 1, "transfer": 1}}, {"weights": {"gold": 1, "transfer": 0}}],
}
SUITE = Suite({}, {}, KnowledgeConfig(knowledge=["gold", "logits"], scales={"logits": 0.5}), SELECTIONS)


def pool(effect: float, tasks: int = 5) -> list[Trial]:
    """Runs in which the teacher's outputs are worth `effect` times how far it is ahead."""
    generator = np.random.default_rng(0)
    traits = {name: traits_of(stages) for name, stages in SELECTIONS.items()}
    found = []
    for number in range(tasks * 6):
        facts = dict.fromkeys(READ, 0.0) | {READ[0]: float(generator.normal())}
        for name, own in traits.items():
            _, outputs, _, texts, *_ = own
            score = 60 + effect * facts[READ[0]] * (outputs + texts) + generator.normal()
            found.append(Trial((f"c{number}", 0), str(number % tasks), name, own, facts, score))
    return found


def test_choices_on_left_out_tasks_follow_the_facts() -> None:
    observed = pool(effect=5.0)
    scores = {(trial.group, trial.selection): trial.score for trial in observed}
    choices = choose_on_left_out_tasks(observed)
    assert len(choices) == 30
    gains = np.array([scores[each.group, each.selection] - scores[each.group, each.default] for each in choices])
    assert gains.mean() > 1.5
    assert {choice.selection for choice in choices} >= {"gold", "texts"}
    for choice in choices:
        assert set(choice.gains) == set(SELECTIONS) - {choice.selection}


@pytest.mark.slow
def test_intervals_cover_what_is_observed() -> None:
    observed = pool(effect=5.0, tasks=20)
    scores = {(trial.group, trial.selection): trial.score for trial in observed}
    covered = []
    for choice in choose_on_left_out_tasks(observed):
        for other in choice.gains:
            low, high = choice.interval(other)
            covered.append(low < scores[choice.group, choice.selection] - scores[choice.group, other] < high)
    assert 0.85 < np.mean(covered) < 0.95


def test_without_an_effect_the_default_is_kept() -> None:
    choices = choose_on_left_out_tasks(pool(effect=0.0), confidence=0.9)
    assert np.mean([choice.selection == choice.default for choice in choices]) > 0.8


def test_a_saved_policy_is_followed_by_a_distillation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_policy(make_portfolio(pool(effect=5.0), SUITE), SUITE, tmp_path / "policy")
    agent = load_agent(tmp_path / "policy")
    assert isinstance(agent, Portfolio)
    small = ["--task", "synthetic-acceptability", "--train_limit", "120"]
    assert main(["train-teacher", *small, "--epochs", "1", "--run_name", "teacher"]) == 0
    distill = ["distill", *small, "--teacher", "runs/teacher/model", "--layers", "2", "--epochs", "1"]
    assert main([*distill, "--agent", "policy", "--run_name", "student"]) == 0
    results = read_json(tmp_path / "runs" / "student" / "results.json")
    assert results["scales"]["logits"] == 0.5
    assert results["facts"]["teacher_less_probe"] is not None
    chosen = results["choice"]["selection"]
    assert chosen in ("gold", "logits")  # the others read texts, and there are none
    weights = results["history"][0]["weights"]
    stage = SELECTIONS[chosen][0]["weights"]
    assert {name for name, weight in weights.items() if weight} == {name for name, weight in stage.items() if weight}
    assert "chose" in capsys.readouterr().out
    assert main(["inspect", "runs/student"]) == 0
    shown = capsys.readouterr().out
    assert results["choice"]["line"] in shown
    assert "Tests of the whole selection" not in shown  # one choice is no sample
    save_policy(make_actor_critic(pool(effect=5.0), SUITE), SUITE, tmp_path / "offline")
    assert main([*distill, "--agent", "offline", "--run_name", "other"]) == 0
    other = read_json(tmp_path / "runs" / "other" / "results.json")
    assert other["choice"]["selection"] in ("gold", "logits")
    assert f"chose {other['choice']['selection']}, by" in capsys.readouterr().out
    doctor = ["doctor", *distill[1:], "--run_name", "doctor"]
    assert main([*doctor, "--policy", "policy"]) == 0
    advice = read_json(tmp_path / "runs" / "doctor" / "results.json")["advice"]
    assert advice["choice"] == results["choice"]
    assert advice["facts"] == results["facts"]
    assert f"would choose {chosen}" in capsys.readouterr().out
    assert main([*doctor, "--policy", "nowhere", "--fresh"]) == 2
    assert "nowhere" in capsys.readouterr().err

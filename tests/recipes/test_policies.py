"""Who decides, setup for real runs: recipes, schedules, the paper's agent, and policies that travel."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from kselect.agents.registry import LEARNERS, load_agent
from kselect.config import AgentConfig, PhaseConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.models.heads import Answer
from kselect.models.shrink import shrink
from kselect.recipes import resolve
from kselect.recipes.policies import build_policy, build_trainable_agent
from kselect.tasks.splits import Split
from kselect.tasks.task import Task, TextTask
from kselect.training.api import run_episode
from tests.command_line import settings_of
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import task_for, word_classifier

PHASES = PhaseConfig("constant", 4)


def distiller_for(agent: AgentConfig, **knowledge: Any) -> Distiller:
    return tiny_distiller(vars(resolve(agent, **knowledge)))


def play(agent: AgentConfig, distiller: Distiller, phases: PhaseConfig = PHASES) -> list[dict[str, Any]]:
    setup = build_policy(agent, distiller, phases, seed=0)
    return run_episode(setup.agent, setup.env, seed=0, learning=setup.learning).history


def test_a_schedule_switches_at_its_very_step() -> None:
    stages = [{"until": 0.3, "weights": {"hidden": 1}}, {"weights": {"gold": 1, "logits": 0.5}}]
    agent = AgentConfig("schedule", {"stages": stages})
    history = play(agent, distiller_for(agent), PhaseConfig("growing", 3))
    by_step = {phase["step"]: phase["weights"] for phase in history}
    assert by_step[5] == {"hidden": 1.0, "gold": 0.0, "logits": 0.0}  # 0.3 of 16 steps is in the fifth
    after = [weights for step, weights in by_step.items() if step > 5]
    assert after[0] == pytest.approx({"hidden": 0, "gold": 2 / 3, "logits": 1 / 3}, abs=1e-5)
    assert all(weights == after[0] for weights in after)


def test_measured_rewards_change_nothing_else() -> None:
    fixed = AgentConfig("vanilla-kd")
    plain, measured = (
        play(fixed, distiller_for(fixed), PhaseConfig("constant", 4, measure_rewards=measure, reward="loss"))
        for measure in (False, True)
    )
    assert not any("reward_loss" in record for record in plain)
    gains = [before["reward_loss"] - after["reward_loss"] for before, after in pairwise(measured)]
    assert [record["reward"] for record in measured[1:]] == pytest.approx(gains, abs=1e-6)
    assert [record["losses"] for record in plain] == [record["losses"] for record in measured]


def test_the_schedule_that_is_shipped_runs() -> None:
    config = Path(__file__).parents[2] / "configs" / "mrpc-schedule.yaml"
    agent = settings_of("distill", ["--config", str(config)]).agent
    distiller = distiller_for(agent)
    assert distiller.names == ("hidden", "attention", "gold", "logits")
    history = play(agent, distiller)
    assert history[0]["weights"] == {"hidden": 0.5, "attention": 0.5, "gold": 0.0, "logits": 0.0}
    assert {5, 13} <= {phase["step"] for phase in history}  # 0.3 and 0.8 of 16 steps are in the fifth and thirteenth
    assert history[-1]["weights"]["gold"] == 1


@pytest.mark.parametrize("phases", [PHASES, PhaseConfig()])
def test_a_stage_that_moves_is_followed_step_by_step(phases: PhaseConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, teacher = AgentConfig("structural-kd"), word_classifier("crf")
    training = TrainingConfig(batch_size=2, epochs=4, precision="fp32")
    distiller = Distiller(task_for("crf"), teacher, shrink(teacher, 1), training, resolve(agent))
    seen = []
    plain = distiller.weighting.forward

    def spy(losses: Tensor, weights: Tensor, scales: Tensor, names: tuple[str, ...], answer: Answer) -> Tensor:
        seen.append(dict.fromkeys(distiller.names, 0.0) | dict(zip(names, weights.tolist(), strict=True)))
        return plain(losses, weights, scales, names, answer)

    monkeypatch.setattr(distiller.weighting, "forward", spy)
    history = play(agent, distiller, phases)
    steps = distiller.total_steps
    assert len(seen) == steps > 2 * len(history)
    assert [weights["marginals"] for weights in seen] == pytest.approx([1 - step / steps for step in range(steps)])
    assert seen[-1]["marginals"] < 0.05
    assert [weights["gold"] for weights in seen] == pytest.approx([step / steps for step in range(steps)], abs=1e-6)
    for phase in history:
        taken = seen[phase["step"] - phase["steps"] : phase["step"]]
        for name, weight in phase["weights"].items():
            assert weight == pytest.approx(np.mean([weights[name] for weights in taken]), abs=1e-6)


@pytest.mark.parametrize("name", ["dynamic-kd", "uncertainty"])
def test_a_recipe_runs_and_needs_its_own_distiller(name: str) -> None:
    agent = AgentConfig(name)
    history = play(agent, distiller_for(agent))
    assert {tuple(phase["weights"].values()) for phase in history} == {tuple(history[0]["weights"].values())}
    with pytest.raises(KselectError, match=f"'{name}' has its own weighting .*: leave out weighting selection"):
        build_policy(agent, tiny_distiller({**vars(resolve(agent)), "weighting": "selection"}), PHASES, seed=0)


def test_a_recipe_can_be_compared_in_another_way() -> None:
    agent = AgentConfig("pkd")
    distiller = tiny_distiller(vars(resolve(agent, layer_map="uniform", scales={"hidden-cls": 2.0})))
    assert distiller.offered.layer_maps == {}
    assert play(agent, distiller)


def regression_task() -> Task:
    splits = {
        name: Split(split.text_a, split.text_b, [label * 2.5 for label in split.labels])
        for name, split in tiny_task().splits.items()
    }
    return TextTask("score", (), splits, ("pearson",))


def regression_distiller(**knowledge: Any) -> Distiller:
    return tiny_distiller(knowledge, task=regression_task())


def test_dynamic_kd_is_refused_on_a_regression() -> None:
    with pytest.raises(KselectError, match="which a regression does not have: leave it out, or use another agent than"):
        regression_distiller(**vars(resolve(AgentConfig("dynamic-kd"))))


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AgentConfig]:
    """A policy of every learner, trained over gold, logits and hidden states of the tiny task."""
    distiller, folder = tiny_distiller({"knowledge": ["gold", "logits", "hidden"]}), tmp_path_factory.mktemp("policies")
    for name in LEARNERS:
        settings = {"warmup": 2} if name in ("deterministic-actor-critic", "paper") else {}
        setup = build_trainable_agent(AgentConfig(name, settings), distiller, PHASES, seed=0)
        assert run_episode(setup.agent, setup.env, seed=0, learning=True).history[-1]["agent"]
        setup.agent.save(folder / name)
    return {name: AgentConfig(str(folder / name)) for name in LEARNERS}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_policy_says_what_it_was_trained_with_and_repeats_itself(name: str, policies: dict[str, AgentConfig]) -> None:
    policy = policies[name]
    knowledge = resolve(policy)
    assert knowledge.knowledge == ["gold", "logits", "hidden"]
    distiller = tiny_distiller(vars(knowledge))
    first, again = (play(policy, distiller) for _ in range(2))
    assert [phase["preference"] for phase in first] == [phase["preference"] for phase in again]


@pytest.mark.parametrize("name", ["actor-critic", "deterministic-actor-critic", "posterior-sampling"])
def test_a_policy_travels(name: str, policies: dict[str, AgentConfig]) -> None:
    policy = policies[name]
    others = {
        "the same in another order": tiny_distiller({"knowledge": ["hidden", "gold", "logits"]}),
        "fewer kinds": tiny_distiller({"knowledge": ["gold", "relations"]}),
        "more kinds": tiny_distiller(),
        "another task": tiny_distiller(task=tiny_task("synthetic-entailment")),
        "a regression": regression_distiller(),
    }
    for what, distiller in others.items():
        history = play(policy, distiller)
        preferences = np.array([list(phase["preference"].values()) for phase in history])
        assert preferences.shape == (len(history), len(distiller.names)), what
        assert np.isfinite(preferences).all()
    setup = build_policy(policy, others["more kinds"], PHASES, seed=0)
    assert run_episode(setup.agent, setup.env, seed=0, learning=True).history[-1]["agent"]  # and learns on there


@pytest.mark.parametrize("name", ["actor-critic", "deterministic-actor-critic", "posterior-sampling"])
def test_a_policy_decides_by_the_knowledge_and_not_by_its_place(name: str, policies: dict[str, AgentConfig]) -> None:
    policy = policies[name]
    orders = (["gold", "logits", "hidden"], ["hidden", "gold", "logits"])
    firsts = [play(policy, tiny_distiller({"knowledge": order}))[0]["preference"] for order in orders]
    assert firsts[0] == pytest.approx(firsts[1], abs=1e-5)


def test_the_papers_policy_serves_its_own_models_and_knowledge_only(policies: dict[str, AgentConfig]) -> None:
    policy = policies["paper"]
    with pytest.raises(KselectError) as caught:
        build_policy(policy, tiny_distiller({"knowledge": ["gold", "hidden", "logits"]}), PHASES, seed=0)
    assert str(caught.value) == (
        f"The policy in {policy.agent} weighs gold, logits, hidden, and on offer are gold, hidden, logits: offer what "
        "it weighs, in this order, or train one for these."
    )
    with pytest.raises(KselectError, match="weighs gold, logits, hidden, and on offer are gold, logits, hidden, atten"):
        build_policy(policy, tiny_distiller(), PHASES, seed=0)
    wide = tiny_classifier(tiny_task(), hidden_size=32)
    other = tiny_distiller({"knowledge": ["gold", "logits", "hidden"]}, teacher=wide)
    with pytest.raises(KselectError, match="reads 16 numbers of student_cls, and this environment gives 32"):
        build_policy(policy, other, PHASES, seed=0)


def test_a_hard_policy_does_not_give_soft_actions(policies: dict[str, AgentConfig]) -> None:
    policy = policies["actor-critic"]
    soft = build_trainable_agent(AgentConfig("deterministic-actor-critic"), tiny_distiller(), PHASES, seed=0).env
    with pytest.raises(KselectError, match="ActorCritic gives hard actions only, and this environment takes soft ones"):
        load_agent(policy.agent, soft.observation_space, soft.action_space)


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (
            "pkd",
            "pkd has nothing to learn: train one of actor-critic, deterministic-actor-critic, paper, "
            "linear-actor-critic, posterior-sampling.",
        ),
        ("online", "online learns while it distils: to train a policy, give actor-critic."),
        ("actor-critik", "Unknown agent 'actor-critik': did you mean 'actor-critic'?"),
    ],
)
def test_only_learners_learn(agent: str, message: str) -> None:
    with pytest.raises(KselectError) as caught:
        build_trainable_agent(AgentConfig(agent), tiny_distiller(), PHASES, seed=0)
    assert str(caught.value).startswith(message)

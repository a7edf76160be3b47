"""A portfolio fitted to generated tables whose gains are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from kselect.agents.chooser import FARTHEST
from kselect.agents.portfolio import Portfolio
from kselect.agents.registry import load_agent
from kselect.collection.fact_scaling import FactScaling
from kselect.collection.fit import (
    Trial,
    best_fixed,
    by_group,
    fit,
    inflation,
    leave_tasks_out,
)
from kselect.collection.policy import set_coefficients
from kselect.collection.traits import traits_of
from kselect.errors import KselectError

STAGES: dict[str, list[dict[str, Any]]] = {
    "gold": [{"weights": {"gold": 1, "transfer": 0}}],
    "logits": [{"weights": {"logits": 1, "transfer": 0}}],
    "all": [{"weights": {"gold": 1, "logits": 1, "hidden": 1, "transfer": 0}}],
    "texts": [{"weights": {"logits": 1, "transfer": 1}}],
    "late": [{"until": 0.5, "weights": {"logits": 1, "transfer": 1}}, {"weights": {"gold": 1, "transfer": 0}}],
}
TRAITS = {name: traits_of(stages) for name, stages in STAGES.items()}
FACTS = ("ahead", "unrelated")


def true_score(selection: str, ahead: float) -> float:
    """The teacher's share is worth `ahead`, and its texts as much again; all loses a little everywhere."""
    _, outputs, inner, texts, *_ = TRAITS[selection]
    return 70 + 4 * ahead * outputs + 4 * ahead * texts - 1.0 * inner


def table(noise: float, tasks: int = 6, seeds: int = 3, seed: int = 0, blur: float = 0.05) -> list[Trial]:
    generator = np.random.default_rng(seed)
    runs = []
    for task in range(tasks):
        for condition in range(4):
            ahead = generator.normal()
            for number in range(seeds):
                level = generator.normal(0, 10)  # of the condition: no selection has a part in it
                facts = {"ahead": ahead + blur * generator.normal(), "unrelated": generator.normal()}
                runs += [
                    Trial(
                        (f"{task}-{condition}", number),
                        str(task),
                        name,
                        TRAITS[name],
                        facts,
                        level + true_score(name, ahead) + noise * generator.normal(),
                    )
                    for name in STAGES
                ]
    return runs


def test_gains_are_recovered_on_tasks_that_were_left_out() -> None:
    runs = table(noise=1.0)
    errors, right = [], []
    for task, model in leave_tasks_out(runs, FACTS).items():
        for members in by_group([run for run in runs if run.task == task]).values():
            for name in STAGES:
                expected, _ = model.gain(name, members[0].facts)
                ahead = members[0].facts["ahead"]
                truth = true_score(name, ahead) - true_score(model.default, ahead)
                errors.append(expected - truth)
                if abs(truth) > 1:
                    right.append(np.sign(expected) == np.sign(truth))
    assert np.sqrt(np.mean(np.square(errors))) < 0.5
    assert np.mean(right) > 0.95


def test_noise_is_estimated() -> None:
    for noise in (0.5, 2.0):
        assert fit(table(noise), FACTS).noise == pytest.approx(noise, rel=0.25)


def test_intervals_cover_what_they_say() -> None:
    inside = []
    for seed in range(20):
        model = fit(table(2.0, seed=seed), FACTS)
        for ahead in (-1.0, 0.0, 1.5):
            facts = {"ahead": ahead, "unrelated": 0.0}
            for name in STAGES:
                if name != model.default:
                    mean, error = model.gain(name, facts)
                    truth = true_score(name, ahead) - true_score(model.default, ahead)
                    inside.append(abs(mean - truth) < 1.645 * error)
    assert 0.8 < np.mean(inside) <= 1


def test_errors_grow_where_tasks_differ_in_what_no_fact_says() -> None:
    runs = table(1.0, blur=0.0)
    plain = inflation(runs, FACTS)
    assert 1 <= plain < 3  # the noise of the runs hides small errors of the fit
    odd = {"0": 6.0, "1": -6.0}  # on these tasks texts are worth more, or less, than any fact explains
    shifted = [replace(run, score=run.score + odd.get(run.task, 0.0) * TRAITS[run.selection][3]) for run in runs]
    assert inflation(shifted, FACTS) > 2 * plain


def test_each_task_counts_once_for_the_best_fixed_selection() -> None:
    facts = {"ahead": 0.0, "unrelated": 0.0}
    scores = [("a", number, {"gold": 1.0, "all": 0.0}) for number in range(5)] + [("b", 0, {"gold": 0.0, "all": 3.0})]
    runs = [Trial((t, n), t, name, TRAITS[name], facts, score) for t, n, both in scores for name, score in both.items()]
    assert best_fixed(runs) == "all"


def portfolio(names: tuple[str, ...] = ("gold", "logits", "hidden", "transfer"), confidence: float = 0.9) -> Portfolio:
    runs = table(1.0)
    model = fit(runs, FACTS)
    rows = len(names)
    observation_space = spaces.Dict(
        {"context": spaces.Box(-5, 5, (4,), np.float32), "knowledge": spaces.Box(-5, 5, (rows, 3), np.float32)}
    )
    agent = Portfolio(
        observation_space,
        spaces.Box(0, 1, (rows,), np.float32),
        selections={name: {"stages": STAGES[name], "traits": dict(enumerate(TRAITS[name]))} for name in model.ranking},
        facts={"ahead": 2, "unrelated": 3},
        known={"ahead": 1},
        confidence=confidence,
    )
    agent.names = names
    set_coefficients(agent, model)
    return agent


def observation(ahead: float, progress: float = 0.0, rows: int = 4) -> dict[str, Any]:
    context = np.array([progress, not math.isnan(ahead), np.nan_to_num(ahead), 0], dtype=np.float32)
    return {"context": context, "knowledge": np.zeros((rows, 3), dtype=np.float32)}


def test_a_portfolio_takes_what_the_facts_say() -> None:
    agent = portfolio()
    assert agent.choose(observation(2.0)) == "texts"
    assert agent.choose(observation(-2.0)) == "gold"
    gains = agent.gains(observation(2.0))
    best = max(gains, key=lambda name: gains[name].mean)
    assert best == "texts" or agent.default == "texts"
    for gain in gains.values():
        assert set(gain.parts) == set(FACTS)
        assert abs(gain.parts["ahead"]) >= abs(gain.parts["unrelated"])


def test_an_undefined_fact_counts_as_its_mean_and_a_far_one_as_the_edge() -> None:
    agent = portfolio()
    agent.centre = np.array([1.5, 0.0])
    mean, undefined = observation(1.5), observation(math.nan)
    for name, gain in agent.gains(undefined).items():
        assert gain == agent.gains(mean)[name]
        assert gain.parts["ahead"] == 0

    for far, farther in ((1.5 + 3 * agent.scale[0], 1e6), (1.5 - 3 * agent.scale[0], -1e6)):
        assert agent.gains(observation(far)) == agent.gains(observation(farther))

    scaling = FactScaling.fit(
        [
            {"disagreement_known": 1.0, "disagreement": 0.2},
            {"disagreement_known": 0.0, "disagreement": 0.0},
            {"disagreement_known": 1.0, "disagreement": 0.4},
        ],
        ["disagreement"],
    )
    assert (scaling.centre, scaling.scale) == (pytest.approx(0.3), pytest.approx(0.1))
    assert scaling({"disagreement_known": 0.0, "disagreement": 0.0}) == [0]
    assert scaling({"disagreement_known": 1.0, "disagreement": 0.4}) == pytest.approx([1])
    assert scaling({"disagreement_known": 1.0, "disagreement": 1.0}) == [FARTHEST]


def test_a_portfolio_keeps_its_default_in_doubt() -> None:
    agent = portfolio(confidence=1.0)
    for ahead in (-2.0, 0.0, 2.0):
        assert agent.choose(observation(ahead)) == agent.default
    unsure = portfolio()
    unsure.covariance = unsure.covariance + 1e4 * np.eye(len(unsure.mean))
    assert unsure.choose(observation(2.0)) == unsure.default


def test_a_choice_is_kept_for_the_run_and_made_anew_in_the_next() -> None:
    agent = portfolio()
    agent.begin()
    assert agent.act(observation(2.0)).tolist() == [0, 1, 0, 1]
    assert agent.act(observation(-2.0, progress=0.5)).tolist() == [0, 1, 0, 1]
    agent.begin()
    assert agent.act(observation(-2.0)).tolist() == [1, 0, 0, 0]


def test_what_is_not_on_offer_is_not_chosen() -> None:
    agent = portfolio(("gold", "hidden"))
    assert set(agent.gains(observation(2.0, rows=2))) <= {"gold", "all"}
    assert agent.choose(observation(2.0, rows=2)) in {"gold", "all"}


def test_a_saved_portfolio_chooses_the_same(tmp_path: Path) -> None:
    agent = portfolio()
    agent.begin()
    first = agent.act(observation(2.0))
    agent.save(tmp_path)
    loaded = load_agent(tmp_path)
    assert isinstance(loaded, Portfolio)
    assert loaded.chosen == agent.chosen
    assert np.array_equal(loaded.act(observation(-2.0, progress=0.25)), first)
    loaded.begin()
    assert loaded.choose(observation(-2.0)) == agent.choose(observation(-2.0))
    reordered = load_agent(tmp_path, names=("transfer", "hidden", "logits", "gold"))
    reordered.begin()
    assert reordered.act(observation(2.0)).tolist() == [1, 0, 1, 0]


def test_faults_are_refused() -> None:
    agent = portfolio()
    spaces_ = agent.observation_space, agent.action_space
    settings = agent.settings
    odd = {**agent.selections, "x": {"stages": [], "traits": {"other": 1}}}
    with pytest.raises(KselectError, match="different traits"):
        Portfolio(*spaces_, **{**settings, "selections": odd})
    with pytest.raises(KselectError, match="no traits: fit it anew"):
        Portfolio(*spaces_, **{**settings, "selections": {"x": {"stages": []}}})
    with pytest.raises(KselectError, match="position of ahead"):
        Portfolio(*spaces_, **{**settings, "facts": {"ahead": 9}})

"""An actor-critic fitted to episodes of worlds, and to generated pools whose best selections are known."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from kselect.agents.agent import Observation
from kselect.agents.offline_actor_critic import OfflineActorCritic
from kselect.agents.registry import load_agent
from kselect.agents.stages import Stages, selected_during
from kselect.collection.actor_critic_policy import choose_by_actor_critic, combinations, make_actor_critic
from kselect.collection.fit import Trial, by_group
from kselect.collection.fit_actor_critic import fit_actor_critic
from kselect.collection.policy import READ
from kselect.envs.worlds import DECISIONS, HALF, NAMES, World, score
from kselect.errors import KselectError
from tests.collection.test_policy import SELECTIONS, SUITE, pool

SUBSETS = [np.array(subset) for subset in product((0, 1), repeat=len(NAMES)) if any(subset)]
BARS = {"const": 0.9, "progress": 0.9, "delayed": 0.85}


def shares_of(early: np.ndarray, late: np.ndarray) -> tuple[float, ...]:
    """Traits of a plan: each kind's share, as a mean over the run and as its change."""
    first, second = early / early.sum(), late / late.sum()
    return (*(first + second) / 2, *second - first)


def learned_score(world: str, seed: int, episodes: int = 16) -> float:
    """Return the score of what is learned from the returns of episodes of random selections, two in each."""
    env, generator = World(world, noise=0.3, seed=seed), np.random.default_rng([seed, 3])
    runs = []
    for episode in range(episodes):
        halves = [SUBSETS[generator.integers(len(SUBSETS))] for _ in range(2)]
        env.reset()
        returned = sum(env.step(halves[step >= HALF])[1] for step in range(DECISIONS))
        runs.append(Trial((world, 0), world, str(episode), shares_of(*halves), {}, returned))
    fitted = fit_actor_critic(runs, ())
    plans = list(product(SUBSETS, SUBSETS))
    early, late = plans[int(np.argmax(np.array([shares_of(*plan) for plan in plans]) @ fitted.actor))]
    return score(world, lambda seen: early if seen["context"][0] < 0.5 else late)


@pytest.mark.parametrize("world", BARS)
def test_sixteen_noisy_episodes_suffice(world: str) -> None:
    assert np.mean([learned_score(world, seed) for seed in range(5)]) >= BARS[world]


def test_choices_on_left_out_tasks_follow_the_facts() -> None:
    observed = pool(effect=5.0)
    choices = choose_by_actor_critic(observed)
    groups = by_group(observed)
    assert choices.keys() == groups.keys()
    gained, best = [], []
    for group, name in choices.items():
        scores = {trial.selection: trial.score for trial in groups[group]}
        gained.append(scores[name] - np.mean(list(scores.values())))
        best.append(max(scores.values()) - np.mean(list(scores.values())))
    assert np.mean(gained) > 0.8 * np.mean(best)


def test_critics_that_disagree_make_a_selection_less_likely() -> None:
    """On two tasks of five a selection is worth much and on the others it loses: its mean is best, and uncertain."""
    traits, runs = {"safe": (1.0, 0.0), "bold": (0.0, 1.0), "poor": (0.0, 0.0)}, []
    for task in range(5):
        for condition in range(6):
            scores = {"safe": 62.0, "bold": 72.0 if task < 2 else 57.0, "poor": 58.0}
            group = (f"{task}-{condition}", 0)
            runs += [Trial(group, str(task), name, traits[name], {}, value) for name, value in scores.items()]
    odds = {
        pessimism: {name: float(np.dot(row, fitted.actor)) for name, row in traits.items()}
        for pessimism in (0.0, 2.0)
        for fitted in [fit_actor_critic(runs, (), pessimism=pessimism)]
    }
    assert odds[0.0]["bold"] > odds[0.0]["safe"]
    assert odds[2.0]["bold"] < odds[2.0]["safe"]


def test_combinations_have_halves_that_were_seen() -> None:
    found = combinations(SELECTIONS)
    assert list(found)[: len(SELECTIONS)] == list(SELECTIONS)
    plans = [selected_during(stages) for stages in found.values()]
    assert all(plan not in plans[:place] for place, plan in enumerate(plans))
    first = [{"gold": 1}, {"logits": 1}, {"logits": 1, "transfer": 1}]
    assert len(found) == len(first) * len(first)  # those of the last selection are among them
    early: dict[str, Stages] = {
        **SELECTIONS,
        "early": [{"until": 0.25, "weights": {"gold": 1}}, {"weights": {"logits": 1}}],
    }
    assert "gold>logits" in combinations(early)  # which changes at half, and is another
    moving = {"moves": [{"weights": {"gold": 1}, "to": {"logits": 1}}]}
    assert list(combinations(moving)) == ["moves"]


def observation(agent: OfflineActorCritic, ahead: float, progress: float = 0.0) -> Observation:
    context = np.zeros(agent.context_size, dtype=np.float32)
    context[0], context[agent.facts[READ[0]]] = progress, ahead
    context[list(agent.known.values())] = 1
    return {"context": context, "knowledge": np.zeros((agent.rows, agent.features), dtype=np.float32)}


def test_a_saved_policy_is_small_and_chooses_the_same(tmp_path: Path) -> None:
    agent = make_actor_critic(pool(effect=5.0), SUITE, combine=True)
    assert agent.choose(observation(agent, 3.0)) == "texts"
    assert agent.choose(observation(agent, -3.0)) == "gold"
    agent.act(observation(agent, 3.0))
    agent.save(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000
    loaded = load_agent(tmp_path)
    assert isinstance(loaded, OfflineActorCritic)
    assert loaded.chosen == "texts"
    assert loaded.act(observation(agent, -3.0, progress=0.5)).tolist() == [0, 1, 1, 0]
    loaded.begin()
    assert loaded.log_odds(observation(agent, -3.0)) == agent.log_odds(observation(agent, -3.0))
    scores = loaded.scores(observation(agent, 1.0))  # 5 points for each of two traits
    assert np.mean(scores["texts"] - scores["gold"]) == pytest.approx(10.0, rel=0.3)
    loaded = load_agent(tmp_path, names=("gold", "logits", "a", "b"))
    assert isinstance(loaded, OfflineActorCritic)
    assert loaded.choose(observation(agent, 3.0)) == "logits"  # further texts are not on offer
    unknown = load_agent(tmp_path, names=("a", "b", "c", "d"))
    assert isinstance(unknown, OfflineActorCritic)
    with pytest.raises(KselectError, match="No selection of the policy"):
        unknown.choose(observation(agent, 3.0))


def test_the_facts_are_those_of_a_portfolio() -> None:
    agent = make_actor_critic(pool(effect=1.0), SUITE)
    assert list(agent.facts) == list(READ)
    assert agent.selections.keys() == SELECTIONS.keys()

"""The linear critic and its actor; how much they learn is in test_worlds.py, saving in test_serialization.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect.agents import LinearActorCritic, load_agent
from kselect.agents.selection_critic import LEVELS, SelectionCritic
from kselect.envs.observation import observation_space
from kselect.envs.worlds import NAMES, World, score
from kselect.errors import KselectError
from tests.agents.identity import train


def trained(world: str = "progress", episodes: int = 6, size: float = 0.05) -> LinearActorCritic:
    env = World(world, noise=0.1, seed=1, size=size)
    agent = LinearActorCritic(env.observation_space, env.action_space, seed=1)
    agent.names = NAMES
    train(agent, env, episodes)
    return agent


def test_features_times_coefficients_add_up_to_the_values_of_the_actions() -> None:
    """What an episode returns is the sum of its actions' values, each to the end of the episode."""
    generator = np.random.default_rng(0)
    critic = SelectionCritic(rows=3, ridge=1.0)
    critic.coefficients = generator.normal(size=LEVELS + 9)
    critic.coefficients[:LEVELS] = 0.0
    ends = np.sort([*generator.random(4), 1.0])
    trace, returned, valued, begin = np.zeros(3), 0.0, 0.0, 0.0
    for end in ends:
        weights, length = generator.dirichlet(np.ones(3)) - 1 / 3, end - begin
        returned += float(critic.features(weights, trace, begin, length) @ critic.coefficients)
        valued += length * critic.advantages(weights, begin + length / 2)
        trace, begin = trace + length * weights, end
    assert returned == pytest.approx(valued)


def test_the_critic_recovers_the_coefficients_of_its_rewards() -> None:
    generator = np.random.default_rng(1)
    critic = SelectionCritic(rows=2, ridge=1e-9)
    truth = generator.normal(size=LEVELS + 6)
    truth[LEVELS:] -= np.repeat(truth[LEVELS:].reshape(3, 2).mean(1), 2)  # only differences between kinds matter
    for _ in range(40):
        trace = np.zeros(2)
        for step in range(4):
            share = generator.random()
            weights = np.array([share, 1 - share]) - 0.5
            features = critic.features(weights, trace, step / 4, 0.25)
            critic.add(features, float(features @ truth))
            trace = trace + weights / 4
    critic.fit()
    assert critic.coefficients == pytest.approx(truth, abs=1e-3)


def test_everything_is_equally_likely_before_an_episode_is_over() -> None:
    env = World("const")
    agent = LinearActorCritic(env.observation_space, env.action_space)
    observation, _ = env.reset()
    assert agent.act(observation).tolist() == [1] * 5
    assert np.ptp(agent.probabilities(0.0)) == 0
    action = np.eye(5)[1]
    following, reward, *_ = env.step(action)
    agent.observe(observation, action, reward, following, False)
    assert agent.update() == {}
    agent.observe(observation, action, reward, following, True)
    assert agent.update().keys() == {"entropy", "spread"}


def test_the_size_of_rewards_does_not_matter() -> None:
    small, large = trained(size=1e-4), trained(size=10.0)
    for progress in (0.0, 0.5, 0.9):
        assert small.probabilities(progress) == pytest.approx(large.probabilities(progress), rel=1e-4)
    assert score("progress", small.act) > 0.85


def test_streams_are_episodes_of_their_own() -> None:
    """Two episodes in turn teach the same as one after the other."""
    one, two = (LinearActorCritic(World("const").observation_space, World("const").action_space) for _ in range(2))
    episodes = []
    for seed in range(2):
        env, generator = World("delayed", noise=0.3, seed=seed), np.random.default_rng(seed)
        observation, _ = env.reset()
        decisions = []
        for _ in range(12):
            action = generator.integers(2, size=5).astype(np.int8)
            following, reward, terminated, *_ = env.step(action)
            decisions.append((observation, action, reward, following, terminated))
            observation = following
        episodes.append(decisions)
    for decisions in episodes:
        one.begin()
        for decision in decisions:
            one.observe(*decision)
    two.begin()
    for pair in zip(*episodes, strict=True):
        for stream, decision in enumerate(pair):
            before, action, reward, after, over = decision
            two.observe(before, action, reward, after, over, stream=stream)
    assert one.critic.gram == pytest.approx(two.critic.gram)
    assert one.critic.moment == pytest.approx(two.critic.moment)


def test_its_files_are_small_and_for_its_own_kinds_alone(tmp_path: Path) -> None:
    agent = trained()
    agent.save(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000
    with pytest.raises(KselectError, match="on offer are a, b"):
        load_agent(tmp_path, observation_space(2), World("const").action_space, names=("a", "b"))

"""The learning agents learn, from a start that does not know the answer, in seconds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect.agents import ActorCritic, DeterministicActorCritic, TowerActorCritic
from tests.agents.identity import IdentityEnv, TimingEnv, TowerEnv, distance, train

Kind = type[ActorCritic | DeterministicActorCritic]
LEARNERS = [(ActorCritic, 16, 0.1), (DeterministicActorCritic, 24, 0.05)]  # every one of seeds 0 to 7 did


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "episodes", "bar"), LEARNERS)
def test_learns_the_identity(kind: Kind, episodes: int, bar: float):
    env = IdentityEnv(soft=kind is DeterministicActorCritic)
    agent = kind(env.observation_space, env.action_space)
    assert distance(agent, env) > 0.2
    train(agent, env, episodes)
    assert distance(agent, env) < bar


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "episodes", "bar"), LEARNERS)
def test_what_was_learned_serves_other_knowledge_too(kind: Kind, episodes: int, bar: float, tmp_path: Path):
    env = IdentityEnv(soft=kind is DeterministicActorCritic)
    agent = kind(env.observation_space, env.action_space)
    train(agent, env, episodes)
    agent.save(tmp_path)
    for rows in (2, 6):
        other = IdentityEnv(soft=env.soft, rows=rows)
        other.codes = other.codes[::-1]
        assert distance(kind.load(tmp_path, other.observation_space, other.action_space), other) < bar


@pytest.mark.slow
@pytest.mark.parametrize("hard", [False, True])
def test_the_towers_learn_from_what_they_see_of_the_student(hard: bool):
    env = TowerEnv()
    agent = TowerActorCritic(env.observation_space, env.action_space, hard=hard)
    assert distance(agent, env) > 0.2
    train(agent, env, 40)
    assert distance(agent, env) < 0.05


def test_a_thresholded_actor_takes_or_leaves():
    env = IdentityEnv(soft=True)
    agent = DeterministicActorCritic(env.observation_space, env.action_space, hard=True)
    train(agent, env, 2)
    assert set(np.concatenate(env.taken)) == {0.0, 1.0}
    assert len(agent.state()[1]["bonus"]["counts"]) > 1  # rarely taken selections earn the exploration reward


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "episodes"), [(ActorCritic, 64), (DeterministicActorCritic, 24)])
def test_learns_when_to_change(kind: Kind, episodes: int):
    """No constant selection is nearer than 1/2 (hard) or 1/4 (soft): being nearer is timing."""
    soft = kind is DeterministicActorCritic
    env = TimingEnv(soft=soft)
    agent = kind(env.observation_space, env.action_space)
    train(agent, env, episodes)
    assert distance(agent, env) < (0.15 if soft else 0.3)


@pytest.mark.parametrize("size", [1e-4, 10.0])
def test_the_size_of_rewards_does_not_matter(size: float):
    env = IdentityEnv(soft=False, size=size)
    agent = ActorCritic(env.observation_space, env.action_space)
    train(agent, env, 16)
    assert distance(agent, env) < 0.1


def test_learns_within_a_single_long_run():
    env = IdentityEnv(soft=False)
    env.length = 256
    agent = ActorCritic(env.observation_space, env.action_space, update_every=8)
    assert len(train(agent, env, 1)) == 256 / 8
    memory = agent.decisions.read()
    wrong = np.abs(memory["action"] - memory["knowledge"][:, :, 0])[-64:].mean()
    assert wrong < 0.15  # exploring still; it began at about 1/2


@pytest.mark.parametrize("every", [None, 6])
@pytest.mark.parametrize("kind", [ActorCritic, DeterministicActorCritic])
def test_updates_are_due_every_so_often_and_at_the_end(kind: Kind, every: int | None):
    env = IdentityEnv(soft=kind is DeterministicActorCritic)
    options: dict[str, Any] = {"warmup": 1} if kind is DeterministicActorCritic else {}
    agent = kind(env.observation_space, env.action_space, update_every=every, **options)
    # 16 decisions an episode: after 6, 12 and 16, or after 16 alone; two episodes
    assert len(train(agent, env, 2)) == 2 * (1 if every is None else 3)


@pytest.mark.parametrize("kind", [ActorCritic, DeterministicActorCritic])
@pytest.mark.parametrize("reward", [0.0, 0.25, 1e-12, 1e6])
def test_uninformative_rewards_do_no_harm(kind: Kind, reward: float):
    env = IdentityEnv(soft=kind is DeterministicActorCritic)
    agent = kind(env.observation_space, env.action_space)
    observation, _ = env.reset()
    for step in range(32):
        agent.observe(observation, agent.act(observation, explore=True), reward, observation, step % 16 == 15)
        assert np.isfinite(list(agent.update().values())).all()
    assert agent.preference is not None
    agent.act(observation)
    assert np.isfinite(agent.preference).all()
    for module in agent.modules.values():
        assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


def test_the_actor_critic_starts_at_its_initial_probability():
    env = IdentityEnv(soft=False)
    observation, _ = env.reset()
    agent = ActorCritic(env.observation_space, env.action_space, initial_probability=0.8)
    assert agent.act(observation).tolist() == [1, 1, 1, 1]
    assert agent.preference == pytest.approx([0.8] * 4)
    taken = np.mean([agent.act(observation, explore=True) for _ in range(500)])
    assert taken == pytest.approx(0.8, abs=0.05)


def test_the_deterministic_one_adds_noise_only_when_exploring():
    env = IdentityEnv(soft=True)
    observation, _ = env.reset()
    agent = DeterministicActorCritic(env.observation_space, env.action_space, noise=0.1)
    assert agent.act(observation).tolist() == [0.5] * 4
    assert np.std([agent.act(observation, explore=True) for _ in range(500)]) == pytest.approx(0.1, abs=0.01)


def test_an_episode_that_was_cut_off_is_not_continued():
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)
    observation, _ = env.reset()
    for cut in (False, True):
        if cut:
            agent.begin()
        for _ in range(2):
            agent.observe(observation, np.ones(4, dtype=np.int8), 0.1, observation, False)
    assert agent.decisions.read()["starts"].tolist() == [1, 0, 1, 0]

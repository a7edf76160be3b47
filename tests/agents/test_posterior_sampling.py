"""The agent for few episodes; how much it learns is in test_worlds.py, saving and loading in test_serialization.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from kselect.agents import PosteriorSampling, load_agent
from kselect.envs.observation import observation_space
from kselect.envs.worlds import NAMES, World, score
from kselect.errors import KselectError
from tests.agents.identity import IdentityEnv, TimingEnv, distance, train


def trained(world: str, episodes: int = 8, seed: int = 0) -> PosteriorSampling:
    env = World(world, noise=0.1, seed=seed)
    agent = PosteriorSampling(env.observation_space, env.action_space, seed=seed)
    agent.names = NAMES
    train(agent, env, episodes)
    return agent


def decisions(agent: PosteriorSampling, count: int, seed: int = 0) -> list[tuple[Any, ...]]:
    """Return random decisions of one episode, as `observe` takes them, with the reward of every second one measured."""
    env, rng = World("const", noise=0.1, seed=seed), np.random.default_rng(seed)
    observation, _ = env.reset()
    taken = []
    for step in range(count):
        action = rng.integers(2, size=agent.rows)
        following, reward, terminated, *_ = env.step(action)
        taken.append((observation, action, reward * (step % 2), following, terminated))
        observation = following
    return taken


def blank(**settings: Any) -> PosteriorSampling:
    env = World("const")
    return PosteriorSampling(env.observation_space, env.action_space, **settings)


def test_it_begins_with_everything() -> None:
    agent = blank()
    observation, _ = World("const").reset()
    assert agent.act(observation).tolist() == [1] * 5
    assert agent.preference is not None
    assert agent.preference.tolist() == [1.0] * 5


@pytest.mark.parametrize("length", [6, 16, 50])
@pytest.mark.parametrize("soft", [False, True])
def test_learns_when_to_change_whatever_the_number_of_decisions(length: int, soft: bool) -> None:
    env = TimingEnv(soft=soft)
    env.length = length
    agent = PosteriorSampling(env.observation_space, env.action_space)
    train(agent, env, 12)
    assert distance(agent, env) < 0.1


@pytest.mark.parametrize("size", [1e-4, 10.0])
def test_the_size_of_rewards_does_not_matter(size: float) -> None:
    env = World("progress", noise=0.1, size=size)
    agent = PosteriorSampling(env.observation_space, env.action_space)
    train(agent, env, 12)
    assert score("progress", agent.act) > 0.9


def test_a_reward_for_several_decisions_belongs_to_all_of_them() -> None:
    agent = blank()
    taken = decisions(agent, 4)
    for decision in taken:
        agent.observe(*decision)
    assert agent.regression.count == 2
    assert agent.regression.squares == pytest.approx(sum(decision[2] ** 2 for decision in taken))
    level = agent.regression.gram[0, 0]  # the sum of squares of the constant feature, which is 1 for each decision
    assert level == pytest.approx(2 * 2**2)


def test_parallel_streams_are_as_good_as_one_after_the_other() -> None:
    one, other = blank(), blank()
    streams = [decisions(one, 12, seed=seed) for seed in (1, 2)]
    for taken in streams:
        one.begin()
        for decision in taken:
            one.observe(*decision)
    other.begin()
    for step in range(12):
        for stream, taken in enumerate(streams):
            observation, action, reward, following, terminated = taken[step]
            other.observe(observation, action, reward, following, terminated, stream=stream)
    assert one.regression.count == other.regression.count == 12
    assert one.regression.gram == pytest.approx(other.regression.gram)
    assert one.regression.moment == pytest.approx(other.regression.moment)


def test_the_rest_of_an_episode_that_was_cut_off_is_dropped() -> None:
    agent, plain = blank(), blank()
    for decision in decisions(agent, 5):  # the fifth reward is not measured
        agent.observe(*decision)
    agent.begin()
    for decision in decisions(plain, 4):
        plain.observe(*decision)
    plain.begin()
    for decision in decisions(agent, 12, seed=3):
        agent.observe(*decision)
        plain.observe(*decision)
    assert np.array_equal(agent.regression.gram, plain.regression.gram)


def test_updates_are_due_every_so_often_and_at_the_end_if_rewards_were_measured() -> None:
    for every, world, expected in ((None, "const", 2), (6, "const", 4), (5, "const", 6), (6, "delayed", 2)):
        env = World(world, noise=0.1)
        agent = PosteriorSampling(env.observation_space, env.action_space, update_every=every)
        statistics = train(agent, env, 2)  # 12 decisions an episode
        assert len(statistics) == expected
        assert all(update.keys() == {"gain", "noise", "blocks"} for update in statistics)


@pytest.mark.parametrize("reward", [0.0, 0.25, 1e-12, 1e6])
def test_uninformative_rewards_do_no_harm(reward: float) -> None:
    env = IdentityEnv(soft=False)
    agent = PosteriorSampling(env.observation_space, env.action_space)
    observation, _ = env.reset()
    for step in range(32):
        agent.observe(observation, agent.act(observation, explore=True), reward, observation, step % 16 == 15)
        assert np.isfinite(list(agent.update().values())).all()
    assert np.isfinite(agent.coefficients).all()


def test_it_says_what_the_plan_is_expected_to_gain_and_how_noisy_rewards_are() -> None:
    env = World("const", noise=0.3, size=1.0)
    agent = PosteriorSampling(env.observation_space, env.action_space)
    last = train(agent, env, 16)[-1]
    assert last["gain"] == pytest.approx(12 * (1 - 0.5), abs=1.0)
    assert last["noise"] == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("order", [[3, 0, 4, 1, 2], [1, 3, 0]])
def test_what_was_learned_of_a_kind_goes_where_the_kind_is(order: list[int], tmp_path: Path) -> None:
    agent = trained("const")
    agent.save(tmp_path)
    names = [NAMES[row] for row in order]
    loaded = load_agent(tmp_path, observation_space(len(order)), spaces.MultiBinary(len(order)), names)
    assert isinstance(loaded, PosteriorSampling)
    here, there = (dict(zip(a.effects.keys, a.coefficients, strict=True)) for a in (loaded, agent))
    for row, old in enumerate(order):
        assert here["now", row] == there["now", old]
        for other, older in enumerate(order):
            assert here["carry", row, other] == there["carry", old, older]
    if len(order) == len(NAMES):
        assert np.array_equal(loaded.plan, agent.plan[:, order])
        assert loaded.regression.log_evidence() == pytest.approx(agent.regression.log_evidence())
    useful = [names.index("logits"), names.index("attention")]
    assert loaded.plan[:, useful].any(1).all()


def test_of_new_kinds_nothing_is_known(tmp_path: Path) -> None:
    agent = trained("const")
    agent.save(tmp_path)
    env = World("const")
    loaded = load_agent(tmp_path, env.observation_space, env.action_space, ["gold", "logits", "a", "b", "c"])
    assert isinstance(loaded, PosteriorSampling)
    coefficients = dict(zip(loaded.effects.keys, loaded.coefficients, strict=True))
    assert [coefficients["now", row] for row in (2, 3, 4)] == [0.0] * 3
    assert coefficients["now", 1] > 0
    train(loaded, env, 2)  # and learns on


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sweeps": 0}, "sweeps is 0: give a whole number of at least 1."),
        ({"presence": 1.0}, "presence is 1.0: give a number of at least 0.01 and at most 0.99."),
        ({"optimism": 0}, "optimism is 0: give a number of at least 0.01 and at most 0.99."),
        ({"update_every": 0}, "update_every is 0: give a whole number of at least 1."),
    ],
)
def test_a_setting_outside_its_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(KselectError) as caught:
        blank(**settings)
    assert str(caught.value) == message


def test_a_reward_that_is_none_is_refused() -> None:
    agent = blank()
    observation, action, _, following, _ = decisions(agent, 1)[0]
    with pytest.raises(KselectError, match="The reward is nan"):
        agent.observe(observation, action, float("nan"), following, False)

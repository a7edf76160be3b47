"""Attributions against sums, closed forms and finite differences."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from kselect.agents import ActorCritic, DeterministicActorCritic, TowerActorCritic
from kselect.agents.attributions import attribute, integrated_gradients
from kselect.agents.learner import Learner, observation_tensors
from tests.agents.identity import IdentityEnv, TowerEnv, train


@cache
def learned(kind: type[Learner]) -> tuple[Learner, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """An agent that has learned a little, a state far from its inputs' mean, and the first state of an episode."""
    env = TowerEnv() if kind is TowerActorCritic else IdentityEnv(soft=kind is DeterministicActorCritic)
    agent = kind(env.observation_space, env.action_space)  # type: ignore[call-arg]  # a concrete class has a bonus
    train(agent, env, 4)
    baseline, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    state = {key: rng.normal(size=value.shape).astype(np.float32) for key, value in baseline.items()}
    return agent, state, baseline


def log_odds(agent: Learner, observation: dict[str, np.ndarray]) -> Tensor:
    with torch.inference_mode():
        return agent.log_odds(*observation_tensors(observation, agent.observation_keys))[0]


@pytest.mark.parametrize("kind", [ActorCritic, DeterministicActorCritic, TowerActorCritic])
def test_attribute_adds_up_to_the_difference_of_the_log_odds(kind: type[Learner]) -> None:
    agent, state, baseline = learned(kind)
    found = attribute(agent, state, baseline)
    assert {key: each.shape for key, each in found.items()} == {
        key: (agent.rows, *agent.shapes[key]) for key in agent.observation_keys
    }
    total = sum(each.reshape(agent.rows, -1).sum(1) for each in found.values())
    difference = (log_odds(agent, state) - log_odds(agent, baseline)).numpy()
    assert np.abs(difference).max() > 0.01
    assert total == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize("kind", [ActorCritic, DeterministicActorCritic])
def test_log_odds_are_those_of_the_preference(kind: type[Learner]) -> None:
    agent, state, _ = learned(kind)
    agent.act(state)
    assert agent.preference == pytest.approx(torch.sigmoid(log_odds(agent, state)).numpy())


def test_attribute_of_an_unchanged_state_is_zero() -> None:
    agent, state, _ = learned(ActorCritic)
    assert not any(each.any() for each in attribute(agent, state, state).values())


def test_integrated_gradients_of_a_product() -> None:
    """From the origin, half of x y is due to each, by symmetry; a sum is due to its terms."""

    def function(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([x[:, 0] * y[:, 0], 3 * x[:, 0] + y[:, 0] ** 2], 1)

    zero = torch.zeros(1, 1)
    of_x, of_y = integrated_gradients(function, [torch.tensor([[2.0]]), torch.tensor([[5.0]])], [zero, zero])
    assert of_x[:, 0].tolist() == pytest.approx([5.0, 6.0])
    assert of_y[:, 0].tolist() == pytest.approx([5.0, 25.0])


def test_integrated_gradients_agree_with_finite_differences() -> None:
    agent, state, baseline = learned(ActorCritic)
    assert isinstance(agent, ActorCritic)
    agent.policy.double()
    ends, starts = ([each.double() for each in observation_tensors(one)] for one in (state, baseline))
    shares, step, entry = (np.arange(200) + 0.5) / 200, 1e-5, 1

    def moved(share: float, offset: float) -> Tensor:
        context, knowledge = (start + share * (end - start) for start, end in zip(starts, ends, strict=True))
        context[0, entry] += offset
        with torch.inference_mode():
            return agent.log_odds(context, knowledge)[0]

    slopes = torch.stack([(moved(share, step) - moved(share, -step)) / (2 * step) for share in shares])
    expected = slopes.mean(0) * (ends[0] - starts[0])[0, entry]
    agent.policy.float()
    assert attribute(agent, state, baseline)["context"][:, entry] == pytest.approx(expected.numpy(), abs=1e-5)

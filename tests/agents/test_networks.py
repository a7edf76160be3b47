import numpy as np
import pytest
import torch

from kselect.agents.critic import RidgeCritic
from kselect.agents.networks import RowNetwork


def network(pool: bool, seed: int = 0) -> RowNetwork:
    generator = torch.Generator().manual_seed(seed)
    made = RowNetwork(3, 4, hidden=8, pool=pool, generator=generator, start=0.6)
    torch.nn.init.orthogonal_(made.head.weight, generator=generator)  # an untrained head ignores its input
    return made


def inputs(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    return torch.randn(2, 3, generator=generator), torch.randn(2, rows, 4, generator=generator)


def test_starts_at_the_same_output_everywhere():
    made = RowNetwork(3, 4, hidden=8, pool=False, generator=torch.Generator().manual_seed(0), start=0.6)
    torch.testing.assert_close(made(*inputs(5)), torch.full((2, 5), 0.6))


def test_outputs_follow_the_rows_and_the_pool_ignores_their_order():
    context, knowledge = inputs(5)
    order = torch.tensor([3, 0, 4, 1, 2])
    policy, value = network(pool=False), network(pool=True)
    plain = policy(context, knowledge)
    assert plain.std() > 0.01
    torch.testing.assert_close(policy(context, knowledge[:, order]), plain[:, order])
    torch.testing.assert_close(value(context, knowledge[:, order]), value(context, knowledge))


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_any_number_of_rows(rows: int):
    assert network(pool=False)(*inputs(rows)).shape == (2, rows)
    assert network(pool=True)(*inputs(rows)).shape == (2,)


def test_a_row_is_seen_in_the_light_of_context_and_of_the_others():
    context, knowledge = inputs(3)
    policy = network(pool=False)
    before = policy(context, knowledge)[:, 0]
    other = knowledge.clone()
    other[:, 1] += 1
    assert (policy(context, other)[:, 0] - before).abs().min() > 1e-4
    assert (policy(context + 1, knowledge)[:, 0] - before).abs().min() > 1e-4


def test_ridge_critic_finds_a_parabola_of_progress():
    rng = np.random.default_rng(0)
    context, knowledge = rng.random((200, 1)), rng.random((200, 3, 2))
    returns = 2.0 - context[:, 0] + 3.0 * context[:, 0] ** 2 + knowledge.mean(1)[:, 1]
    critic = RidgeCritic(1, 2, ridge=1e-6)
    assert critic.value(context, knowledge).tolist() == [0.0] * 200
    critic.fit(context, knowledge, returns)
    np.testing.assert_allclose(critic.value(context, knowledge), returns, atol=1e-3)


def test_ridge_critic_worked_by_hand():
    # Two states, contexts -1 and 1 (squares alike), standardised the same: slope = x.y / (n + ridge) = 4 / 4.
    critic = RidgeCritic(1, 1, ridge=2.0)
    context, knowledge = np.array([[-1.0], [1.0]]), np.zeros((2, 3, 1))
    critic.fit(context, knowledge, np.array([5.0, 9.0]))
    np.testing.assert_allclose(critic.value(context, knowledge), [6.0, 8.0])

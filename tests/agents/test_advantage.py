import numpy as np
import pytest

from kselect.agents.critic import gae

NO = np.zeros(3, dtype=bool)


def test_gae_worked_by_hand():
    # gamma 0.5, lam 0.5: delta = r + V'/2 - V = (1 + 2 - 2, 2 + 3 - 4, 3 + 4 - 6) = (1, 1, 1)
    # A = (1 + 1.25 / 4, 1 + 1 / 4, 1)
    advantages = gae(
        np.array([1.0, 2.0, 3.0]),
        np.array([2.0, 4.0, 6.0]),
        np.array([4.0, 6.0, 8.0]),
        NO,
        np.array([False, False, True]),
        gamma=0.5,
        lam=0.5,
    )
    assert advantages.tolist() == [1.3125, 1.25, 1.0]


@pytest.mark.parametrize(("terminated", "first"), [(True, 1.0 + 0.5 * 0.5 * -2.0), (False, 1.0 + 0.25 * 1.0)])
def test_gae_of_a_terminated_and_of_a_cut_off_episode(terminated: bool, first: float):
    # Decision 1 ends an episode. Terminated: 2 - 4 = -2. Cut off: the 6 it led to counts, 2 + 3 - 4 = 1.
    # Decision 2, of another episode, leaves both alone either way.
    advantages = gae(
        np.array([1.0, 2.0, 3.0]),
        np.array([2.0, 4.0, 6.0]),
        np.array([4.0, 6.0, 8.0]),
        np.array([False, terminated, False]),
        np.array([False, True, True]),
        gamma=0.5,
        lam=0.5,
    )
    assert advantages.tolist() == [first, -2.0 if terminated else 1.0, 1.0]


def test_gae_spans_the_returns_and_the_one_step_error():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=20), rng.normal(size=21)
    ends = np.zeros(20, dtype=bool)
    ends[[7, 19]] = True
    values[[8, 20]] = 0.0  # what follows a terminated state is worth nothing
    whole = gae(rewards, values[:-1], values[1:], ends, ends, gamma=0.9, lam=1.0)
    returns = [sum(rewards[i] * 0.9 ** (i - t) for i in range(t, 8 if t < 8 else 20)) for t in range(20)]
    np.testing.assert_allclose(whole + values[:-1], returns)
    single = gae(rewards, values[:-1], values[1:], ends, ends, gamma=0.9, lam=0.0)
    np.testing.assert_allclose(single, rewards + 0.9 * values[1:] - values[:-1])

import numpy as np
import pytest

from kselect.agents.replay_buffer import ReplayBuffer, RewardScale


def test_memory_keeps_the_latest_in_order():
    memory = ReplayBuffer(3)
    for number in range(5):
        memory.append(pair=np.array([number, -number]), reward=float(number))
    assert len(memory) == 3
    assert memory.read()["reward"].tolist() == [2, 3, 4]
    assert memory.read(np.array([2, 0]))["pair"].tolist() == [[4, -4], [2, -2]]


def test_a_restored_memory_goes_on_alike():
    memory, other = ReplayBuffer(3), ReplayBuffer(3)
    for number in range(4):
        memory.append(reward=float(number))
    other.restore(memory.read(), {"reward": ()})
    for each in (memory, other):
        each.append(reward=9.0)
    assert memory.read()["reward"].tolist() == other.read()["reward"].tolist() == [2, 3, 9]
    other.restore({}, {"reward": ()})
    assert len(other) == 0


def test_reward_scale_worked_by_hand():
    scale = RewardScale()
    assert scale.value == 1.0
    scale.add(3.0)
    assert scale.value == 3.0  # no spread yet: the size
    scale.add(1.0)
    scale.add(2.0)
    assert scale.value == pytest.approx((14 / 3 - 4) ** 0.5)


def test_reward_scale_of_zeros_is_one():
    scale = RewardScale()
    for _ in range(3):
        scale.add(0.0)
    assert scale.value == 1.0

"""Environments whose right answer is in the observation, so that an agent that learns must find it."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces

from kselect.agents.agent import Agent


class IdentityEnv(gymnasium.Env):
    """Each row carries a flag, 0 or 1, that is its right action; reward: minus the distance, times `size`.

    Hard: the share of wrong rows. Soft: the mean squared distance. Flags are drawn anew at every decision.
    """

    length = 16

    def __init__(self, *, soft: bool, rows: int = 4, seed: int = 0, size: float = 0.05) -> None:
        self.soft, self.rows, self.size = soft, rows, size
        self.observation_space = spaces.Dict(
            {
                "context": spaces.Box(-np.inf, np.inf, (2,), np.float32),
                "knowledge": spaces.Box(-np.inf, np.inf, (rows, 2 + 2), np.float32),
            }
        )
        self.action_space = spaces.Box(0, 1, (rows,), np.float32) if soft else spaces.MultiBinary(rows)
        self.taken: list[np.ndarray] = []
        self.rng = np.random.default_rng(seed)
        self.codes = np.stack([np.cos(np.arange(rows)), np.sin(np.arange(rows))], axis=1)

    def right(self) -> np.ndarray:
        return self.flags

    def reset(self, **_: object) -> tuple[dict[str, np.ndarray], dict]:
        self.step_count = 0
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        assert self.action_space.contains(action)
        self.taken.append(action)
        reward = -self.size * float(np.mean((action - self.right()) ** 2))
        self.step_count += 1
        return self._observe(), reward, self.step_count == self.length, False, {}

    def _observe(self) -> dict[str, np.ndarray]:
        progress = self.step_count / self.length
        self.flags = self.rng.integers(2, size=self.rows)
        rows = np.column_stack([self.flags, self.rng.random(self.rows), self.codes])
        return {
            "context": np.array([progress, 1 - progress], dtype=np.float32),
            "knowledge": rows.astype(np.float32),
        }


class TowerEnv(IdentityEnv):
    """The flags (as 1 and -1) and progress are in the student's [CLS]; rows and the teacher's are uninformative."""

    length = 8

    def __init__(self, *, rows: int = 2, seed: int = 0, teacher: int = 3) -> None:
        super().__init__(soft=True, rows=rows, seed=seed)
        self.teacher = np.ones(teacher, dtype=np.float32)
        widths = {"student_cls": rows + 1, "teacher_cls": teacher}
        boxes = {part: spaces.Box(-5, 5, (width,), np.float32) for part, width in widths.items()}
        assert isinstance(self.observation_space, spaces.Dict)
        self.observation_space = spaces.Dict({**self.observation_space.spaces, **boxes})

    def _observe(self) -> dict[str, np.ndarray]:
        observation = super()._observe()
        observation["knowledge"][:, 0] = 0
        student = np.append(2 * self.flags - 1, observation["context"][0]).astype(np.float32)
        return observation | {"student_cls": student, "teacher_cls": self.teacher}


class TimingEnv(IdentityEnv):
    """Two rows: one is right in the first half of an episode, the other in the second. Flags mean nothing."""

    def __init__(self, *, soft: bool, seed: int = 0) -> None:
        super().__init__(soft=soft, rows=2, seed=seed)

    def right(self) -> np.ndarray:
        late = self.step_count >= self.length / 2
        return np.array([0, 1] if late else [1, 0])


def train(agent: Agent, env: gymnasium.Env, episodes: int) -> list[dict[str, float]]:
    """Let an agent explore and learn; return the statistics of its updates."""
    statistics = []
    for _ in range(episodes):
        observation, _ = env.reset()
        terminated = False
        while not terminated:
            action = agent.act(observation, explore=True)
            following, reward, terminated, _, _ = env.step(action)
            agent.observe(observation, action, float(reward), following, terminated)
            statistics.append(agent.update())
            observation = following
    return [update for update in statistics if update]


def distance(agent: Agent, env: IdentityEnv, episodes: int = 8) -> float:
    """Return how far an agent's settled actions are from the right ones: 0 at best; a guess: 1/2 or 1/4."""
    total = 0.0
    for _ in range(episodes):
        observation, _ = env.reset()
        terminated = False
        while not terminated:
            observation, reward, terminated, _, _ = env.step(agent.act(observation))
            total -= reward / env.size / env.length / episodes
    return total

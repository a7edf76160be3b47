"""Worlds: small environments in the shape of `DistillationEnv` whose best selections are known.

They show in seconds whether an agent learns, and how much after how many episodes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, Literal, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.envs.observation import CONTEXT, FEATURES, name_code, observation_space
from kselect.errors import unknown

Observation = dict[str, NDArray[np.float32]]
Weights = NDArray[np.float64]

WORLDS = {
    "const": "two kinds gain 1 at every decision, one gains 0.5, two gain nothing",
    "progress": "two kinds gain 1 in the first half of a run, two others in the second, one never",
    "delayed": "the same, and the whole return is the reward of the last decision",
    "invest": "one kind gains more the more another, which gains nothing, was selected in the first half",
}
"""The worlds by name, with a line that says what is to be learned."""

NAMES = ("gold", "logits", "hidden", "attention", "relations")
DECISIONS = 12
HALF = DECISIONS // 2
NOTHING_YET, PER_SELECTION, LIMIT = 0.3, 0.4, 1.5  # invest: the first gain, and how it grows


class World(gymnasium.Env[Observation, NDArray[Any]]):
    """An episode of 12 decisions over five kinds of knowledge, with observations like those of a distillation.

    A selection is normalised to weights with the sum 1, and its gain is a weighted mean of the kinds' gains. Only
    progress, last weights, last reward and the codes of the names mean anything in an observation; the rest is noise
    around a typical course.

    Args:
        world: A name out of `WORLDS`.
        actions: "hard" or "soft".
        noise: Standard deviation of the noise of each decision's gain.
        seed: Of this noise and that of the observations.
        size: What a gain of 1 is as a reward.

    Attributes:
        gains: The gains of this episode's decisions so far, without noise.
    """

    def __init__(
        self,
        world: str,
        actions: Literal["hard", "soft"] = "hard",
        *,
        noise: float = 0.0,
        seed: int = 0,
        size: float = 0.05,
    ) -> None:
        if world not in WORLDS:
            raise unknown("world", world, WORLDS)
        self.world, self.noise, self.size = world, noise, size
        self.np_random = np.random.default_rng(seed)
        k = len(NAMES)
        self.observation_space = cast(spaces.Space[Observation], observation_space(k))
        self.action_space = spaces.MultiBinary(k) if actions == "hard" else spaces.Box(0.0, 1.0, (k,), np.float32)
        self.codes = np.stack([name_code(name) for name in NAMES])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; `seed` restarts the noise."""
        super().reset(seed=seed)
        self.gains: list[float] = []
        self.weights = np.zeros(len(NAMES))
        self.stock = self.total = self.reward = 0.0
        return self._observation(), {}

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Gain by a selection `[5]`; that of nothing is gold alone."""
        weights = np.asarray(action, dtype=np.float64)
        self.weights = weights / weights.sum() if weights.any() else np.eye(len(NAMES))[0]
        self.gains.append(self._gain(self.weights))
        gain = self.gains[-1] + self.noise * self.np_random.standard_normal()
        self.total += gain
        terminated = len(self.gains) == DECISIONS
        self.reward = gain if self.world != "delayed" else self.total if terminated else 0.0
        return self._observation(), self.size * self.reward, terminated, False, {}

    def _gain(self, weights: Weights) -> float:
        early = len(self.gains) < HALF
        if self.world == "const":
            return float(weights @ [0.5, 1.0, 0.0, 1.0, 0.0])
        if self.world != "invest":
            return float(weights @ ([1.0, 1.0, 0.0, 0.0, 0.0] if early else [0.0, 0.0, 1.0, 1.0, 0.0]))
        gain = float(weights[0] * (NOTHING_YET + self.stock))
        if early:
            self.stock = min(LIMIT, self.stock + PER_SELECTION * float(weights[2]))
        return gain

    def _observation(self) -> Observation:
        progress = len(self.gains) / DECISIONS
        context = 0.5 + 0.3 * progress + 0.05 * self.np_random.standard_normal(len(CONTEXT))
        known = {
            "progress": progress,
            "learning_rate": 1.0 - progress,
            "teacher_age": 0.0,
            "reward_loss": 1.0 - 0.5 * progress,
            "last_reward": self.size * self.reward,
            "regression": 0.0,
        }
        for name, value in known.items():
            context[CONTEXT.index(name)] = value
        rows = np.zeros((len(NAMES), len(FEATURES)))
        rows[:, FEATURES.index("relative_loss")] = np.exp(-progress) + 0.05 * self.np_random.standard_normal(len(NAMES))
        rows[:, FEATURES.index("slope")] = 0.1 * self.np_random.standard_normal(len(NAMES))
        rows[:, FEATURES.index("last_weight")] = self.weights
        knowledge = np.concatenate([rows, self.codes], axis=1)
        return {"context": context.astype(np.float32), "knowledge": knowledge.astype(np.float32)}


def best_return(world: str) -> float:
    """Return the highest possible sum of gains of an episode.

    In `invest` it is found by enumeration: each of the first six decisions gives the investment a share in steps of a
    quarter, and everything else goes to the kind that gains.
    """
    if world != "invest":
        return float(DECISIONS)
    best = 0.0
    for shares in product((0.0, 0.25, 0.5, 0.75, 1.0), repeat=HALF):
        stock = total = 0.0
        for share in shares:
            total += (1.0 - share) * (NOTHING_YET + stock)
            stock = min(LIMIT, stock + PER_SELECTION * share)
        best = max(best, total + (DECISIONS - HALF) * (NOTHING_YET + stock))
    return best


def mean_return(world: str, act: Callable[[Observation], NDArray[Any]], episodes: int = 3) -> float:
    """Return the mean sum of gains of episodes in which `act` decides, without the noise of gains."""
    env = World(world)
    total = 0.0
    for _ in range(episodes):
        observation, _ = env.reset()
        terminated = False
        while not terminated:
            observation, _, terminated, _, _ = env.step(act(observation))
        total += sum(env.gains)
    return total / episodes


def score(world: str, act: Callable[[Observation], NDArray[Any]]) -> float:
    """Return what share `act` reaches of the way from all kinds alike (0) to the best selections (1)."""
    alike = mean_return(world, lambda _: np.ones(len(NAMES)), episodes=1)
    return (mean_return(world, act) - alike) / (best_return(world) - alike)

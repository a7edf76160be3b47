"""The actor-critic for few episodes: a linear critic of whole episodes, and the actor that it defines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.agents.selection_critic import SelectionCritic
from kselect.agents.selection_effects import candidates
from kselect.agents.validation import POSITIVE, Range

ARRAYS = ("gram", "moment", "coefficients")


@dataclass
class _Open:
    """An episode that is not over.

    Attributes:
        trace: `[k]`, the integral of the centred weights over the run so far.
        features: `[n]`, sums over the decisions since the last measured reward; empty right after one.
    """

    trace: list[float]
    features: list[float] = field(default_factory=list)


class LinearActorCritic(Agent):
    """Actor-critic with a linear critic of all episodes so far, and credit over whole episodes.

    `ActorCritic` remembers the latest decisions and credits each with the rewards soon after it. Here the critic
    (`SelectionCritic`) remembers all, in sums, and credits a decision with all that follows, so that it learns as well
    where the whole reward comes at the end.

    The actor is the solution of advantage-weighted regression (Peng et al. 2019, arXiv 1910.00177, equation 7) over
    selections that are all equally likely beforehand. There are few of them, so that no network has to be fitted:

        p(w | x) ~ exp(A(x, w) / temperature)

    with A the critic's advantage and the temperature `entropy` times its standard deviation over the selections, so
    that the size of the rewards does not matter. Before anything is learned, all selections are equally likely. It
    explores by samples; otherwise it takes the most likely selection.

    It reads the progress of the run and its own selections, and nothing else of an observation. A reward of exactly 0
    counts as not measured: its gain is part of the next reward.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment; selections are 0 or 1 with soft actions, too.
        seed: Of the samples.
        entropy: Temperature of the actor, in standard deviations of the advantages.
        ridge: Penalty on the critic's squared coefficients.

    Raises:
        KselectError: a setting outside its range.
    """

    learns = True
    reads_state: ClassVar[bool] = False
    transferable = False
    ranges: ClassVar[dict[str, Range]] = {"entropy": POSITIVE, "ridge": POSITIVE}

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        seed: int = 0,
        entropy: float = 0.5,
        ridge: float = 0.3,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        self.entropy = entropy
        self.ridge = ridge
        self.check_settings()
        self.critic = SelectionCritic(self.rows, ridge)
        self.selections = candidates(self.rows)
        self._weights = self._centred(self.selections)
        self._length = 0.0  # share of the run that the last decision took
        self._open: dict[int, _Open] = {}
        self._due = False

    def begin(self) -> None:
        """Start an episode in each stream; the rest of one that was cut off is dropped."""
        self._open = {}

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return `[k]` in {0, 1}: a sample if `explore`, else the most likely selection."""
        self._check(observation)
        probabilities = self.probabilities(float(observation["context"][0]))
        self.preference = (probabilities @ self.selections).astype(np.float32)
        chosen = self.rng.choice(len(self.selections), p=probabilities) if explore else probabilities.argmax()
        return self.selections[chosen].astype(np.float32 if self.soft else np.int8)

    def probabilities(self, progress: float) -> NDArray[np.float64]:
        """Return the probability of each of `selections` at a share of the run."""
        advantages = self.critic.advantages(self._weights, min(progress + self._length / 2, 1.0))
        temperature = self.entropy * advantages.std()
        if temperature == 0:
            return np.full(len(advantages), 1.0 / len(advantages))
        odds = np.exp((advantages - advantages.max()) / temperature)
        probabilities: NDArray[np.float64] = odds / odds.sum()
        return probabilities

    def observe(
        self,
        observation: Observation,
        action: NDArray[Any],
        reward: float,
        next_observation: Observation,
        terminated: bool,
        stream: int = 0,
    ) -> None:
        """Give a decision to the critic, once its reward is measured; see `Agent.observe`."""
        self._check_outcome(observation, reward, next_observation)
        progress = float(observation["context"][0])
        self._length = length = float(next_observation["context"][0]) - progress
        weights = self._centred(np.asarray(action, dtype=np.float64))
        episode = self._open.pop(stream, None) or _Open([0.0] * self.rows)
        trace = np.array(episode.trace)
        features = self.critic.features(weights, trace, progress, length)
        if episode.features:
            features += episode.features
        measured = reward != 0 or terminated
        if measured:
            self.critic.add(features, float(reward))
        if not terminated:
            self._open[stream] = _Open((trace + length * weights).tolist(), [] if measured else features.tolist())
        self._due |= terminated

    def update(self) -> dict[str, float]:
        """Fit the critic to all episodes, after each of them.

        Returns:
            The `entropy` of the actor at the middle of a run, in nats, and the critic's `spread` there: the standard
            deviation of the advantages, in the unit of the rewards.
        """
        if not self._due:
            return {}
        self._due = False
        self.critic.fit()
        probabilities = self.probabilities(0.5)
        return {
            "entropy": float(-(probabilities * np.log(probabilities + 1e-300)).sum()),
            "spread": float(self.critic.advantages(self._weights, 0.5).std()),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the critic and what is not measured yet; see `Agent.state`."""
        arrays = {name: getattr(self.critic, name).copy() for name in ARRAYS}
        facts = super().state()[1] | {
            "open": {str(stream): asdict(episode) for stream, episode in sorted(self._open.items())},
            "length": self._length,
            "due": self._due,
        }
        return arrays, facts

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        super().restore(arrays, facts)
        for name in ARRAYS:
            if arrays[name].shape != getattr(self.critic, name).shape:
                raise ValueError(f"{name} of the critic has the shape {arrays[name].shape}")
            setattr(self.critic, name, arrays[name].copy())
        self._open = {int(stream): _Open(**episode) for stream, episode in facts["open"].items()}
        self._length, self._due = float(facts["length"]), bool(facts["due"])

    def _centred(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Return weights `[..., k]` over their sum, less 1 / k; 0 for a selection of nothing."""
        totals = weights.sum(-1, keepdims=True)
        shares: NDArray[np.float64] = np.where(totals > 0, weights / np.maximum(totals, 1e-12), 1.0 / self.rows)
        return shares - 1.0 / self.rows

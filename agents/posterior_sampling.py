"""The learning agent for few episodes: posterior sampling of a linear model of rewards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.agents.bayesian_regression import INITIAL, BlockRegression
from kselect.agents.selection_effects import PIECES, SelectionEffects
from kselect.agents.validation import COUNT, Range, check_range

ROUNDING = 1e-3  # progress is in single precision


@dataclass
class _Open:
    """An episode that is not over.

    Attributes:
        exposure: `[k]`, the share of the run that each kind has had.
        previous: `[k]`, the last weights; None before the first decision.
        features: `[d]`, sums over the decisions since the last measured reward.
    """

    exposure: list[float]
    previous: list[float] | None = None
    features: list[float] = field(default_factory=list)


class PosteriorSampling(Agent):
    """Posterior (Thompson) sampling of a Bayesian linear model of the rewards, with a plan for the whole run.

    The model (`SelectionEffects`) knows what a policy network has to find out: that rewards add up over a run, that a
    kind of knowledge may gain more early or late, and that a selection may pay later. It has one coefficient for each
    kind and effect, learned by a regression that drops effects without evidence (`BlockRegression`), so a few episodes
    suffice. It reads the progress of the run and the previous selections, and nothing else of an observation.

    To explore, the agent draws the model's coefficients from their posterior and follows the plan that is best under
    this draw until the next update (Thompson 1933; Osband et al. 2013, "(More) efficient reinforcement learning via
    posterior sampling", for whole episodes). Otherwise it follows the plan that is best under the posterior mean. Its
    selections are 0 or 1, in environments with soft actions too.

    A reward of exactly 0 counts as not measured: its gain is part of the next reward. This is how the environment gives
    rewards, and does no harm elsewhere, since rewards and features both add up.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        seed: Of the draws.
        update_every: Decisions between updates; None for the ends of episodes only. Without new rewards, nothing is
            updated.
        sweeps: Gibbs sweeps over the blocks' scales per update, whose posterior means are averaged.
        presence: Prior probability of each optional effect: mixing, change, and what each kind adds to later ones.
        optimism: The same probability when coefficients are drawn to explore; higher, so that effects which would pay
            late are tried.

    Raises:
        KselectError: a setting outside its range.
    """

    learns = True
    reads_state: ClassVar[bool] = False
    ranges: ClassVar[dict[str, Range]] = {
        "sweeps": COUNT,
        "presence": Range(0.01, 0.99),
        "optimism": Range(0.01, 0.99),
    }

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        seed: int = 0,
        update_every: int | None = 6,
        sweeps: int = 8,
        presence: float = 0.1,
        optimism: float = 0.9,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        self.update_every = update_every
        self.sweeps = sweeps
        self.presence = presence
        self.optimism = optimism
        self.check_settings()
        if update_every is not None:
            check_range("update_every", update_every, COUNT)
        self._open: dict[int, _Open] = {}
        self._pending, self._due = 0, False
        self._fitted = 0  # observations at the last update
        self.effects = SelectionEffects(self.rows)
        self.regression = BlockRegression(self.effects.blocks, self.effects.optional)
        self.coefficients = np.zeros(len(self.effects.keys))
        self._plan()

    def begin(self) -> None:
        """Start an episode in each stream; the rest of one that was cut off is dropped."""
        self._open = {}

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return `[k]` in {0, 1}: the selection of the plan, or of the plan to explore, at this point of the run."""
        self._check(observation)
        piece = min(int(float(observation["context"][0]) * PIECES + ROUNDING), PIECES - 1)
        self.preference = self.plan[piece].astype(np.float32)
        action = self.exploring_plan[piece] if explore else self.plan[piece]
        return action.astype(np.float32 if self.soft else np.int8)

    def observe(
        self,
        observation: Observation,
        action: NDArray[Any],
        reward: float,
        next_observation: Observation,
        terminated: bool,
        stream: int = 0,
    ) -> None:
        """Add a decision to the model, once its reward is measured; see `Agent.observe`."""
        self._check_outcome(observation, reward, next_observation)
        progress = float(observation["context"][0])
        length = float(next_observation["context"][0]) - progress
        weights = np.asarray(action, dtype=np.float64)
        equal = np.full(self.rows, 1.0 / self.rows)
        weights = weights / weights.sum() if weights.any() else equal
        episode = self._open.pop(stream, None) or _Open([0.0] * self.rows)
        previous = equal if episode.previous is None else np.array(episode.previous)
        exposure = np.array(episode.exposure)
        features = self.effects.features(weights, previous, exposure, progress, length)
        if episode.features:
            features += episode.features
        measured = reward != 0 or terminated
        if measured:
            self.regression.add(features, float(reward))
        if not terminated:
            rest = [] if measured else features.tolist()
            self._open[stream] = _Open((exposure + length * weights).tolist(), weights.tolist(), rest)
        self._pending += 1
        if terminated or self._pending == self.update_every:
            self._pending, self._due = 0, True

    def update(self) -> dict[str, float]:
        """Fit the model and plan anew, if an update is due and rewards were measured since the last one.

        Returns:
            The expected `gain` of the plan over equal weights, in the unit of the rewards, the standard deviation
            of their `noise`, and how many `blocks` of effects are in the model.
        """
        if not self._due or self.regression.count == self._fitted:
            self._due = False
            return {}
        self._due, self._fitted = False, self.regression.count
        total = np.zeros(len(self.coefficients))
        for _ in range(self.sweeps):
            self.regression.sample_levels(self.rng, self.presence)
            total += self.regression.mean()
        self.coefficients = total / self.sweeps
        self._plan()
        shares = self.plan / self.plan.sum(1, keepdims=True)
        return {
            "gain": float(self.effects.gain(shares, self.coefficients)),
            "noise": self.regression.noise(),
            "blocks": float((self.regression.levels > 0).sum()),
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the model, both plans and what is not measured yet; see `Agent.state`."""
        arrays, sums = self.regression.state()
        arrays |= {"coefficients": self.coefficients, "plan": self.plan, "exploring_plan": self.exploring_plan}
        facts = super().state()[1] | {
            "regression": sums,
            "open": {str(stream): asdict(episode) for stream, episode in sorted(self._open.items())},
            "pending": self._pending,
            "due": self._due,
            "fitted": self._fitted,
        }
        return arrays, facts

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned, with what it knows of the kinds of knowledge here, if others."""
        super().restore(arrays, facts)
        names = facts.get("names")
        known = names is not None and self.names is not None
        if facts["rows"] == self.rows and (not known or list(self.names or ()) == names):
            self.regression.restore(arrays, facts["regression"])
            self.coefficients = arrays["coefficients"].copy()
            self.plan, self.exploring_plan = arrays["plan"].copy(), arrays["exploring_plan"].copy()
            self._open = {int(stream): _Open(**episode) for stream, episode in facts["open"].items()}
            self._pending, self._due, self._fitted = facts["pending"], facts["due"], facts["fitted"]
        else:
            strangers = [("saved", row) for row in range(facts["rows"])]  # equal to no row here
            self._transfer(SelectionEffects(facts["rows"], names if known else strangers), arrays, facts["regression"])
            self._plan()

    def _transfer(self, saved: SelectionEffects, arrays: dict[str, NDArray[Any]], sums: dict[str, Any]) -> None:
        """Take over the coefficients of the kinds that are known here; of others, nothing is known."""
        regression = BlockRegression(saved.blocks, saved.optional)
        regression.restore(arrays, sums)
        here = SelectionEffects(self.rows, self.names)
        shared = [key for key in here.keys if key in saved.keys]
        source, target = (np.array([effects.keys.index(key) for key in shared]) for effects in (saved, here))
        gram, moment, squares = regression.integrate_out(source)
        self.regression.gram[np.ix_(target, target)], self.regression.moment[target] = gram, moment
        self.regression.squares, self.regression.count = squares, sums["count"]
        levels = dict(zip(saved.block_keys, sums["levels"], strict=True))
        self.regression.levels = np.array([levels.get(key, INITIAL) for key in here.block_keys])
        self.coefficients[target] = arrays["coefficients"][source]
        self._fitted = sums["count"]

    def _plan(self) -> None:
        """Plan under the posterior mean, and under a draw from the posterior."""
        self.plan = self.effects.best_plan(self.coefficients)
        levels = self.regression.levels.copy()
        self.regression.sample_levels(self.rng, self.optimism)
        self.exploring_plan = self.effects.best_plan(self.regression.draw(self.rng))
        self.regression.levels = levels

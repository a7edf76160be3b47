"""An agent that chooses one of a few fixed selections by what is known of a run before it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Observation
from kselect.agents.chooser import Chooser
from kselect.agents.validation import Range
from kselect.errors import KselectError


@dataclass(frozen=True)
class Gain:
    """What a selection is expected to gain over the default.

    Attributes:
        mean: expected gain, in the unit that the agent was fitted in, such as points of a score.
        error: standard deviation of that expectation.
        parts: the part of it that each fact contributes, by name; the rest is the same in every run.
    """

    mean: float
    error: float
    parts: dict[str, float] = field(default_factory=dict)

    def interval(self, noise: float, coverage: float = 0.9) -> tuple[float, float]:
        """Return what one run will gain over another one, with this probability.

        Args:
            noise: Standard deviation of a run's score around its expectation.
            coverage: The probability.
        """
        width = NormalDist().inv_cdf(0.5 + coverage / 2) * math.hypot(self.error, noise * math.sqrt(2))
        return self.mean - width, self.mean + width

    @property
    def probability(self) -> float:
        """Probability that the selection is better than the default."""
        if self.error == 0:
            return float(self.mean > 0)
        return 0.5 * math.erfc(-self.mean / self.error / math.sqrt(2))


class Portfolio(Chooser):
    """Takes a default selection unless another one is better with a high probability.

    The expected gain of a selection over the default is linear in how their traits differ, times 1 and each of `facts`:
    entries of an observation's context that are known at the first decision. So what is known of the labels, the
    outputs, the inner states or the texts of one selection counts for all that have them. The coefficients have a
    normal distribution, which `kselect.collection.fit` learns from runs of every selection under many conditions. The
    choice is made once; its stages then follow the run.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        selections: See `Chooser`. The first that can be taken is taken in doubt.
        facts: Positions in the context of the facts that are read, by name.
        known: See `Chooser`.
        confidence: Probability of being better above which another selection is taken.
        seed: Accepted as by every agent; nothing is random.

    Attributes:
        mean: Of the coefficients, `[t (1 + p)]`: of t traits times 1 and each of p facts.
        covariance: Of the coefficients, `[t (1 + p), t (1 + p)]`.
        noise: Standard deviation of a run's score around its expectation, `[1]`.
        expected: What the chosen selection is expected to gain over the default; None where it is the default.
    """

    ranges: ClassVar[dict[str, Range]] = {"confidence": Range(0.5, 1.0)}
    learned = ("mean", "covariance", "noise", "centre", "scale")

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        selections: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, int],
        known: Mapping[str, int] | None = None,
        confidence: float = 0.9,
        seed: int = 0,
    ) -> None:
        super().__init__(observation_space, action_space, selections=selections, facts=facts, known=known, seed=seed)
        self.confidence = confidence
        self.check_settings()
        size = len(self.traits) * (1 + len(self.facts))
        self.mean, self.covariance, self.noise = np.zeros(size), np.zeros((size, size)), np.zeros(1)
        self.expected: Gain | None = None

    def begin(self) -> None:
        """Forget the choice of the last episode."""
        super().begin()
        self.expected = None

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return the weights `[k]` of the selection that is chosen at the first decision."""
        is_first = self.chosen is None
        action = super().act(observation, explore=explore)
        if is_first and self.chosen is not None:
            self.expected = self.gains(observation).get(self.chosen)
        return action

    @property
    def default(self) -> str:
        """Name of the selection that is taken in doubt."""
        possible = self.possible()
        if not possible:
            raise KselectError(
                "No selection of the portfolio can be taken with the knowledge on offer: offer what it weights, "
                "or give another agent.",
                setting="knowledge",
            )
        return possible[0]

    def choose(self, observation: Observation) -> str:
        """Return the name of the selection for a run, of which nothing but the first observation is read."""
        gains = self.gains(observation)
        better = {name: gain for name, gain in gains.items() if gain.probability > self.confidence}
        return max(better, key=lambda name: better[name].mean) if better else self.default

    def gains(self, observation: Observation) -> dict[str, Gain]:
        """Return the expected gain over the default of every other selection that can be taken, by name."""
        first, *others = self.possible() or [""]
        return {name: self.gain(observation, name, first) for name in others}

    def gain(self, observation: Observation, name: str, over: str) -> Gain:
        """Return the expected gain of one selection over another."""
        facts = self.scaled_facts(observation)
        row = self.products(name, facts) - self.products(over, facts)
        parts = (row * self.mean).reshape(len(self.traits), 1 + len(facts)).sum(axis=0)
        error = math.sqrt(max(float(row @ self.covariance @ row), 0.0))
        return Gain(float(row @ self.mean), error, dict(zip(self.facts, parts[1:].tolist(), strict=True)))

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return what was fitted, the choice of the current episode, and what it is expected to gain."""
        arrays, facts = super().state()
        return arrays, {**facts, "expected": None if self.expected is None else asdict(self.expected)}

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        super().restore(arrays, facts)
        self.expected = None if facts["expected"] is None else Gain(**facts["expected"])

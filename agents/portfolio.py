"""An agent that chooses one of a few fixed selections by what is known of a run before it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.agents.schedule import Schedule
from kselect.agents.stages import row_stages
from kselect.agents.validation import Range, check_range
from kselect.errors import KselectError, unknown


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

    @property
    def probability(self) -> float:
        """Probability that the selection is better than the default."""
        if self.error == 0:
            return float(self.mean > 0)
        return 0.5 * math.erfc(-self.mean / self.error / math.sqrt(2))


class Portfolio(Agent):
    """Takes a default selection unless another one is better with a high probability.

    The expected gain of a selection over the default is linear in `facts`: entries of an observation's context that are
    known at the first decision. Its coefficients have a normal distribution, which `kselect.collection.fit` learns from
    runs of every selection under many conditions. The choice is made once; its stages then follow the run.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        selections: By name, a mapping with the `stages` of weights by kind of knowledge; `traits`, numbers that
            describe it, as many for each; and, optionally, `requires`, names without which it cannot be taken.
        default: Name of the selection that is taken in doubt.
        facts: Positions in the context of the facts that are read, by name.
        confidence: Probability of being better above which another selection is taken.
        seed: Accepted as by every agent; nothing is random.

    Attributes:
        mean: Of the coefficients, `[d]`; the first are a gain of each selection, the others of each trait times 1 and
            each fact.
        covariance: Of the coefficients, `[d, d]`.
        centre: Mean of each fact over the runs that it was fitted to, `[p]`.
        scale: Standard deviation of each fact over these, `[p]`.
        chosen: Name of the selection of the current episode; None before its first decision.
        expected: What that is expected to gain over the default; None where it is the default.
    """

    reads_state: ClassVar[bool] = False
    ranges: ClassVar[dict[str, Range]] = {"confidence": Range(0.5, 1.0)}

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        selections: Mapping[str, Mapping[str, Any]],
        default: str,
        facts: Mapping[str, int],
        confidence: float = 0.9,
        seed: int = 0,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        self.selections = {name: dict(selection) for name, selection in selections.items()}
        self.default, self.facts, self.confidence = default, dict(facts), confidence
        self.check_settings()
        if default not in self.selections:
            raise unknown("selection", default, self.selections)
        for name, position in self.facts.items():
            check_range(f"The position of {name}", position, Range(0, self.context_size - 1, whole=True))
        traits = {len(selection["traits"]) for selection in self.selections.values()}
        if len(traits) != 1:
            raise KselectError("The selections of a portfolio have different numbers of traits: give as many for each.")
        size = len(self.selections) + traits.pop() * (1 + len(self.facts))
        self.mean, self.covariance = np.zeros(size), np.zeros((size, size))
        self.centre, self.scale = np.zeros(len(self.facts)), np.ones(len(self.facts))
        self.chosen: str | None = None
        self.expected: Gain | None = None
        self._schedule: Schedule | None = None
        ends = {stage.get("until", 1.0) for selection in self.selections.values() for stage in selection["stages"]}
        self.boundaries = tuple(sorted(end for end in ends if end < 1))

    def begin(self) -> None:
        """Forget the choice of the last episode."""
        self.chosen, self.expected, self._schedule = None, None, None

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return the weights `[k]` of the selection that is chosen at the first decision."""
        self._check(observation)
        if self.chosen is None:
            self.chosen = self.choose(observation)
            self.expected = self.gains(observation).get(self.chosen)
        if self._schedule is None:
            self._schedule = Schedule(self.observation_space, self.action_space, stages=self._stages(self.chosen))
        action = self._schedule.act(observation)
        self.slope = self._schedule.slope
        return action

    def choose(self, observation: Observation) -> str:
        """Return the name of the selection for a run, of which nothing but the first observation is read.

        Where the default cannot be taken, since it weights what is not on offer, the best of the others is.
        """
        gains = self.gains(observation)
        if not self._is_possible(self.default):
            if not gains:
                raise KselectError("No selection of the portfolio can be taken with the knowledge on offer.")
            return max(gains, key=lambda name: gains[name].mean)
        better = {name: gain for name, gain in gains.items() if gain.probability > self.confidence}
        return max(better, key=lambda name: better[name].mean) if better else self.default

    def gains(self, observation: Observation) -> dict[str, Gain]:
        """Return the expected gain over the default of every other selection that can be taken, by name."""
        values = np.asarray(observation["context"], dtype=np.float64)[list(self.facts.values())]
        facts = (values - self.centre) / self.scale
        traits = {name: selection["traits"] for name, selection in self.selections.items()}
        found = {}
        for name in self.selections:
            if name == self.default or not self._is_possible(name):
                continue
            row = features(name, traits, facts) - features(self.default, traits, facts)
            products = (row * self.mean)[len(self.selections) :].reshape(-1, 1 + len(facts)).sum(axis=0)
            error = math.sqrt(max(float(row @ self.covariance @ row), 0.0))
            parts = dict(zip(self.facts, products[1:].tolist(), strict=True))
            found[name] = Gain(float(row @ self.mean), error, parts)
        return found

    def _is_possible(self, name: str) -> bool:
        """Return whether what a selection requires is on offer, and some knowledge of each of its stages."""
        missing = set(self.selections[name].get("requires", ())).difference(self.names or ())
        return not missing and all(any(stage["weights"]) for stage in self._stages(name))

    def _stages(self, name: str) -> list[dict[str, Any]]:
        if self.names is None:
            raise KselectError("A portfolio weights kinds of knowledge by name, which are not known: set its names.")
        return row_stages(self.selections[name]["stages"], self.names)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the coefficients, and the choice of the current episode; see `Agent.state`."""
        arrays = {name: getattr(self, name) for name in LEARNED}
        expected = None if self.expected is None else asdict(self.expected)
        return {**super().state()[0], **arrays}, {**super().state()[1], "chosen": self.chosen, "expected": expected}

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        super().restore(arrays, facts)
        for name in LEARNED:
            if arrays[name].shape != getattr(self, name).shape:
                raise KselectError(f"The portfolio's {name} has the shape {arrays[name].shape}: fit it again.")
            setattr(self, name, np.asarray(arrays[name], dtype=np.float64))
        self.chosen, self._schedule = facts["chosen"], None
        self.expected = None if facts["expected"] is None else Gain(**facts["expected"])


LEARNED = ("mean", "covariance", "centre", "scale")


def features(selection: str, traits: Mapping[str, Sequence[float]], facts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the coefficients multiply: which of s selections it is, and its t traits times 1 and each of p facts.

    Args:
        selection: Name of the selection.
        traits: Of every selection by name, `[t]` each, in the order of their coefficients.
        facts: Less their centre, over their scale, `[p]`.

    Returns:
        `[s + t (1 + p)]`.
    """
    own = np.array([other == selection for other in traits], dtype=np.float64)
    return np.concatenate([own, np.outer(traits[selection], np.concatenate([[1.0], facts])).ravel()])

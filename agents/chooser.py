"""Agents that choose the selection of a whole run at its first decision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.agents.schedule import Schedule
from kselect.agents.stages import row_stages
from kselect.agents.validation import Range, check_range
from kselect.errors import KselectError

FARTHEST = 2.5
"""How many standard deviations a fact counts for at most: few of the runs that a policy was fitted to lie beyond."""


class Chooser(Agent):
    """Chooses one of several selections by facts of the run, once, and follows its stages.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        selections: By name, a mapping with the `stages` of weights by kind of knowledge; `traits`, numbers by name that
            describe it, the same for each; and, optionally, `requires`, names without which it cannot be taken.
        facts: Positions in the context of the facts that are read, by name.
        known: Positions of entries that are 0 where a fact is undefined, by the name of the fact. What is undefined
            counts as its mean.
        seed: Accepted as by every agent; nothing is random.

    Attributes:
        learned: Names of the arrays that were fitted.
        traits: Names of the traits of every selection.
        centre: Mean of each fact over the runs that it was fitted to, `[p]`.
        scale: Standard deviation of each fact over these, `[p]`.
        chosen: Name of the selection of the current episode; None before its first decision.
    """

    reads_state: ClassVar[bool] = False
    learned: tuple[str, ...] = ("centre", "scale")

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        selections: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, int],
        known: Mapping[str, int] | None = None,
        seed: int,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        self.selections = {name: dict(selection) for name, selection in selections.items()}
        if not all("traits" in selection for selection in self.selections.values()):
            raise KselectError("A selection of this policy has no traits: fit it anew with this version of kselect.")
        traits = {tuple(selection["traits"]) for selection in self.selections.values()}
        if len(traits) != 1:
            raise KselectError("The selections of a policy have different traits: give the same for each.")
        (self.traits,) = traits
        self.facts = dict(facts)
        self.known = dict(known or {})
        for name, position in [*self.facts.items(), *self.known.items()]:
            check_range(f"The position of {name}", position, Range(0, self.context_size - 1, whole=True))
        self.centre, self.scale = np.zeros(len(self.facts)), np.ones(len(self.facts))
        self.chosen: str | None = None
        self._schedule: Schedule | None = None
        ends = {stage.get("until", 1.0) for selection in self.selections.values() for stage in selection["stages"]}
        self.boundaries = tuple(sorted(end for end in ends if end < 1))

    @abstractmethod
    def choose(self, observation: Observation) -> str:
        """Return the name of the selection for a run, of which nothing but the first observation is read."""

    def begin(self) -> None:
        """Forget the choice of the last episode."""
        self.chosen, self._schedule = None, None

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return the weights `[k]` of the selection that is chosen at the first decision."""
        self._check(observation)
        if self.chosen is None:
            self.chosen = self.choose(observation)
        if self._schedule is None:
            self._schedule = Schedule(self.observation_space, self.action_space, stages=self._stages(self.chosen))
        action = self._schedule.act(observation)
        self.slope = self._schedule.slope
        return action

    def scaled_facts(self, observation: Observation) -> NDArray[np.float64]:
        """Return the facts of an observation less their centre, over their scale, `[p]`.

        It is 0 where a fact is undefined, and at most `FARTHEST` on either side: nothing is known of what lies beyond.
        """
        context = np.asarray(observation["context"], dtype=np.float64)
        values = context[list(self.facts.values())]
        defined = np.array([name not in self.known or context[self.known[name]] > 0 for name in self.facts], dtype=bool)
        scaled = np.clip((values - self.centre) / self.scale, -FARTHEST, FARTHEST)
        return np.where(defined, scaled, 0.0)

    def products(self, name: str, facts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what coefficients multiply for a selection; see the function of that name."""
        return products(list(self.selections[name]["traits"].values()), facts)

    def possible(self) -> list[str]:
        """Return the selections that can be taken with the knowledge on offer."""
        return [name for name in self.selections if self._is_possible(name)]

    def _is_possible(self, name: str) -> bool:
        """Return whether what a selection requires is on offer, and some knowledge of each of its stages."""
        missing = set(self.selections[name].get("requires", ())).difference(self.names or ())
        return not missing and all(any(stage["weights"]) for stage in self._stages(name))

    def _stages(self, name: str) -> list[dict[str, Any]]:
        if self.names is None:
            raise KselectError(
                f"A {type(self).__name__} weights kinds of knowledge by name, which are not known: set its names."
            )
        return row_stages(self.selections[name]["stages"], self.names)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return what was fitted, and the choice of the current episode; see `Agent.state`."""
        arrays, facts = super().state()
        return {**arrays, **{name: getattr(self, name) for name in self.learned}}, {**facts, "chosen": self.chosen}

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        super().restore(arrays, facts)
        for name in self.learned:
            if arrays[name].shape != getattr(self, name).shape:
                raise KselectError(f"Its {name} has the shape {arrays[name].shape}: fit the policy again.")
            setattr(self, name, np.asarray(arrays[name], dtype=np.float64))
        self.chosen, self._schedule = facts["chosen"], None


def products(traits: Sequence[float], facts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return t traits times 1 and each of p facts, `[t (1 + p)]`, which coefficients multiply.

    Args:
        traits: `[t]`.
        facts: Less their centre, over their scale, `[p]`.
    """
    return np.outer(traits, np.concatenate([[1.0], facts])).ravel()

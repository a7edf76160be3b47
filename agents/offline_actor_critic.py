"""An actor-critic that was fitted to collected runs, and chooses the selection of a run before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Observation
from kselect.agents.chooser import Chooser
from kselect.agents.validation import COUNT, Range
from kselect.errors import KselectError


class OfflineActorCritic(Chooser):
    """Takes the selection that its actor finds most likely; `kselect.collection.fit_actor_critic` fits both parts.

    Actor and critics are linear in the traits of a selection, times 1 and each of a few facts of the run. The actor
    gives selections log-odds. An ensemble of critics, each fitted to a resampling of the tasks, gives what a selection
    scores at the end of the run relative to others; the actor has learned from their pessimistic estimate.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        selections: See `Chooser`.
        facts: Positions in the context of the facts that are read, by name.
        known: See `Chooser`.
        critics: Size of the ensemble.
        seed: Accepted as by every agent; nothing is random.

    Attributes:
        actor: Coefficients of the log-odds, `[d]`, of t traits times 1 and each of p facts.
        critic: Coefficients of the score, `[m, d]`, in the unit that they were fitted in.
    """

    ranges: ClassVar[dict[str, Range]] = {"critics": COUNT}
    learned = ("actor", "critic", "centre", "scale")

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        selections: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, int],
        known: Mapping[str, int] | None = None,
        critics: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(observation_space, action_space, selections=selections, facts=facts, known=known, seed=seed)
        self.critics = critics
        self.check_settings()
        size = len(self.traits) * (1 + len(self.facts))
        self.actor, self.critic = np.zeros(size), np.zeros((critics, size))

    def choose(self, observation: Observation) -> str:
        """Return the most likely selection of those that can be taken with the knowledge on offer."""
        odds = self.log_odds(observation)
        if not odds:
            raise KselectError("No selection of the policy can be taken with the knowledge on offer.")
        return max(odds, key=lambda name: odds[name])

    def log_odds(self, observation: Observation) -> dict[str, float]:
        """Return the actor's log-odds of every selection that can be taken, up to a constant, by name."""
        return {name: float(row @ self.actor) for name, row in self._rows(observation).items()}

    def scores(self, observation: Observation) -> dict[str, NDArray[np.float64]]:
        """Return what each critic expects of every selection that can be taken, up to a constant, `[m]` by name."""
        return {name: self.critic @ row for name, row in self._rows(observation).items()}

    def _rows(self, observation: Observation) -> dict[str, NDArray[np.float64]]:
        facts = self.scaled_facts(observation)
        return {name: self.products(name, facts) for name in self.possible()}

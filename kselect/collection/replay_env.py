"""A pool as an environment: an episode is one of its runs, replayed in a millisecond and without any model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.stages import selected_during
from kselect.collection.replay import END
from kselect.collection.table import Run, read_pool, runs_by_group
from kselect.distillation.facts.facts import FACTS
from kselect.distillation.weighting import selection_weights
from kselect.envs.registration import METADATA
from kselect.envs.rendering import heat_map_image, heat_map_text
from kselect.errors import KselectError, unknown

Observation = NDArray[np.float32]
LIMIT = 5.0
STEPS = 100  # of a run, for drawings
OPTIONS = ("condition", "seed")  # of `reset`
SCORES = ("score", "teacher_score")  # both less the constant prediction's


@dataclass(frozen=True)
class ReplayState:
    """A moment of a replay, see `ReplayEnv.clone_state`."""

    group: int
    run: str
    decision: int
    random: Mapping[str, Any]


class ReplayEnv(gymnasium.Env[Observation, np.int64]):
    """The selection of knowledge at a few decisions, replayed from the runs of a pool.

    ## Description
    An episode is one condition under one seed. At the start of the run, at a quarter and at half, the agent chooses
    among the selections of the pool; the run then follows the chosen one until the next decision. Every score is one
    that was measured: no student is trained, and nothing is interpolated.

    ## Action Space
    `Discrete(n)`: the selections of the pool in the order of `names`. An action means what its selection does *between
    this decision and the next*.

    ## Observation Space
    `Box(-5, 5, (3 + f + n,), float32)`: share of the run that is over; score on the reward split, and the teacher's,
    each less the constant prediction's on dev; the f facts of the run in the order of
    `kselect.distillation.facts.facts.FACTS` (0 where the pool has none); the run that is followed, one-hot.

    ## Rewards
    The change of the score on the reward split since the last decision, where the first is relative to the constant
    prediction. They add up to the final score less the constant prediction's.

    ## Limits
    A pool holds a branch only where a run has it. In a pool of constant selections and of some that change at half, the
    first decision is free, the second can only go on, and the third has the changes that were run. An action without a
    branch goes on with the present run instead; `info["action_mask"]` has 1 for each action that has one. Runs that
    are the same until a decision are taken to be the same student, as they are where training is deterministic. Scores
    on the reward split are noisy, and those of an episode are the same each time: an agent that sees one condition
    often learns its noise. The last info has the score to report, `dev_score`.

    ## Episode End
    The episode terminates at the end of the run. It is never truncated.

    ## Arguments
    * `ledger`: the `runs.jsonl` of a pool, or several.
    * `selections`: names of the selections; by default all of the largest group. A condition and seed that lacks a run
      of one is left out, and so are runs in which an agent selected.
    * `conditions`: names of the conditions; by default all.
    * `decisions`: shares of a run at which is decided: 0, and marks at which the runs were measured.
    * `render_mode`: `"ansi"`, `"rgb_array"` or None; see `DistillationEnv`.

    `reset(options={"condition": ..., "seed": ...})` starts that run; by default one is drawn.

    ## Version History
    * v0: initial version.
    """

    metadata = METADATA

    def __init__(
        self,
        ledger: str | Path | Sequence[str | Path],
        selections: Sequence[str] | None = None,
        conditions: Sequence[str] | None = None,
        decisions: Sequence[float] = (0.0, 0.25, 0.5),
        render_mode: Literal["ansi", "rgb_array"] | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in METADATA["render_modes"]:
            raise unknown("render_mode", render_mode, METADATA["render_modes"])
        ledgers = [ledger] if isinstance(ledger, (str, Path)) else ledger
        runs = [run for path in ledgers for run in read_pool(path)]
        self.render_mode = render_mode
        self.decisions = tuple(decisions)
        self.groups = _groups(runs, selections, conditions)
        self.names = tuple(self.groups[0])
        self._check_marks()
        self.action_space = spaces.Discrete(len(self.names))
        size = 1 + len(SCORES) + len(FACTS) + len(self.names)
        self.observation_space = spaces.Box(-LIMIT, LIMIT, (size,), np.float32)

    def _check_marks(self) -> None:
        measured = [set(run.marks) for group in self.groups for run in group.values()]
        allowed = [0.0, *sorted(mark for mark in set.intersection(*measured) if mark < END)]
        if self.decisions[:1] != (0.0,) or list(self.decisions) != sorted(set(self.decisions) & set(allowed)):
            given, possible = (", ".join(f"{share:g}" for share in each) for each in (self.decisions, allowed))
            raise KselectError(f"Decisions at {given} cannot be replayed: give 0 and rising ones of {possible}.")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Of the draw of conditions and seeds.
            options: `condition` and `seed`, of the run; where one is missing, it is drawn.

        Raises:
            KselectError: the pool has no such condition and seed, or another option.
        """
        super().reset(seed=seed)
        wanted = dict.fromkeys(OPTIONS) | (options or {})
        for name in wanted:
            if name not in OPTIONS:
                raise unknown("option of reset", name, OPTIONS)
        fitting = [
            number
            for number, group in enumerate(self.groups)
            for run in [group[self.names[0]]]
            if wanted["condition"] in (None, run.condition) and wanted["seed"] in (None, run.seed)
        ]
        if not fitting:
            raise KselectError(f"The pool has no complete runs of {wanted['condition']} under seed {wanted['seed']}.")
        self._group = fitting[int(self.np_random.integers(len(fitting)))]
        self._decision, self._run = 0, ""
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Follow a selection until the next decision, or go on with the run where the pool has no such branch."""
        before = self._score()
        branch = self._branch(self.names[int(action)])
        self._run = self._run if branch is None else branch
        self._decision += 1
        terminated = self._decision == len(self.decisions)
        return self._observation(), self._score() - before, terminated, False, self._info()

    def action_mask(self) -> NDArray[np.int8]:
        """Return 1 for each action that the pool has a branch for, `[n]`; zeros at the end of an episode."""
        if self._decision == len(self.decisions):
            return np.zeros(len(self.names), dtype=np.int8)
        return np.array([self._branch(name) is not None for name in self.names], dtype=np.int8)

    def clone_state(self) -> ReplayState:
        """Return everything that the rest of the episode, and the draw of the next, depend on."""
        return ReplayState(self._group, self._run, self._decision, self.np_random.bit_generator.state)

    def restore_state(self, state: ReplayState) -> None:
        """Return to the moment of `clone_state`."""
        self._group, self._run, self._decision = state.group, state.run, state.decision
        self.np_random.bit_generator.state = dict(state.random)

    def render(self) -> Any:
        """Return the selection so far as a heat map of kinds of knowledge by time; None without a `render_mode`."""
        if self.render_mode is None:
            return None
        names = self._runs[self.names[0]].rows
        phases = []
        for begin, end in pairwise(self._marks[: self._decision + 1]):
            for weights, to, start, stop in selected_during(self._runs[self._run].stages, begin, end):
                low, high = max(start, begin), min(stop, end)
                first, last = (np.array([dict(each).get(name, 0.0) for name in names]) for each in (weights, to))
                moved = ((low + high) / 2 - start) / (stop - start) if to else 0.0
                middle = selection_weights(first + moved * (last - first), names)
                phases.append((round(STEPS * (high - low)), middle.tolist()))
        if self.render_mode == "ansi":
            return heat_map_text(names, phases, STEPS)
        return heat_map_image(names, phases, STEPS)

    @property
    def _runs(self) -> Mapping[str, Run]:
        return self.groups[self._group]

    @cached_property
    def _marks(self) -> tuple[float, ...]:
        return (*self.decisions, END)

    @cached_property
    def _parts(self) -> list[dict[str, list[object]]]:
        """What each run selects between decisions, equal for equal selections."""
        spans = list(pairwise(self._marks))
        return [
            {name: [selected_during(run.stages, *span) for span in spans] for name, run in group.items()}
            for group in self.groups
        ]

    def _branch(self, name: str) -> str | None:
        """Return a run that is the present one so far, and goes on as `name` does; None where there is none."""
        parts, now = self._parts[self._group], self._decision
        wanted = [*(parts[self._run][:now] if now else []), parts[name][now]]
        candidates = [each for each in dict.fromkeys([name, self._run, *parts]) if each]
        return next((each for each in candidates if parts[each][: now + 1] == wanted), None)

    def _score(self) -> float:
        """Return the present score on the reward split less the constant prediction's."""
        if not self._decision:
            return 0.0
        run = self._runs[self._run]
        return _known(run.score(self._marks[self._decision], "reward")) - run.constant_score

    def _observation(self) -> Observation:
        run = self._runs[self._run or self.names[0]]  # what is read before a decision is the same in all
        teacher = _known(run.teacher["reward"]["score"]) - run.constant_score
        facts = run.read_facts().vector() if run.facts is not None else np.zeros(len(FACTS))
        last = [float(name == self._run) for name in self.names]
        values = np.concatenate([[self._marks[self._decision], self._score(), teacher], facts, last])
        return values.clip(-LIMIT, LIMIT).astype(np.float32)

    def _info(self) -> dict[str, Any]:
        run = self._runs[self._run or self.names[0]]
        final = {"dev_score": _known(run.score(END, "dev"))} if self._decision == len(self.decisions) else {}
        return {
            "condition": run.condition,
            "seed": run.seed,
            "selection": self._run,
            "reward_score": self._score() + run.constant_score,
            "action_mask": self.action_mask(),
            **final,
        }


def _groups(
    runs: Sequence[Run], selections: Sequence[str] | None, conditions: Sequence[str] | None
) -> list[dict[str, Run]]:
    """Return the runs of each condition and seed that has all selections, in their order."""
    found = runs_by_group(run for run in runs if run.stages and (conditions is None or run.condition in conditions))
    names = list(selections or max(found.values(), key=len, default=()))
    complete = [{name: group[name] for name in names} for group in found.values() if set(names) <= group.keys()]
    if not complete or not names:
        wanted = ", ".join(names) or "any selection"
        raise KselectError(f"No condition has a run of each of {wanted}: leave one out, or collect it.")
    return complete


def _known(score: float | None) -> float:
    return 0.0 if score is None or math.isnan(score) else float(score)

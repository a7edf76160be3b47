"""What every agent is: something that selects knowledge, and may learn to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from gymnasium import spaces

from kselect.agents.serialization import read_description, read_learned, write_agent
from kselect.agents.validation import Range, check_range, setting_names
from kselect.errors import KselectError

Observation = dict[str, np.ndarray]
AGENT_STREAM = 2  # keeps an agent's draws apart from those of a run under the same seed
AnyAgent = TypeVar("AnyAgent", bound="Agent")


class Agent(ABC):
    """Selects knowledge, one decision a phase.

    The loop calls `begin` at the start of an episode, and at each decision `act`, steps the environment, and then calls
    `observe` and `update`. Observations are dicts
    of "context" `[c]`, the first of which is the share of the run that is over, and "knowledge" `[k, f]`, and
    may have further parts; actions are `[k]`, int8 in {0, 1} (hard, MultiBinary) or float32 in [0, 1] (soft,
    Box). A subclass keeps each keyword argument of its constructor as an attribute of the same name; those are
    its settings, saved with it. An agent draws from random streams of its own, never from the global ones.
    """

    learns: ClassVar[bool] = False
    """Whether `observe` and `update` do anything."""
    actions: ClassVar[tuple[str, ...]] = ("hard", "soft")
    """The kinds of action it can give."""
    reads: ClassVar[tuple[str, ...]] = ("context", "knowledge")
    """The parts of an observation that it looks at."""
    travels: ClassVar[bool] = True
    """Whether it serves other knowledge, and other numbers of rows, than it was made for."""
    ranges: ClassVar[dict[str, Range]] = {}
    """Values allowed for its settings, by name."""

    preference: np.ndarray | None = None
    """`[k]` in [0, 1]: the last `act`'s leaning to each knowledge, before sampling, noise, threshold."""
    slope: np.ndarray | None = None
    """`[k]`: how fast the last `act`'s weights are to move while its phase lasts, as the change over a whole run; None
    where they stay."""
    boundaries: tuple[float, ...] = ()
    """Shares of a run at which it changes its mind by the clock, and must be asked."""
    names: tuple[str, ...] | None = None
    """The knowledge of each row, where whoever made the agent said so; saved with it."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space, *, seed: int = 0) -> None:
        self.context_size, self.rows, self.features = _observation_shape(observation_space)
        self.shapes = {part: self._shape(observation_space, part) for part in self.reads}
        self.soft = _is_soft(action_space, self.rows)
        if self.kind not in self.actions:
            raise KselectError(
                f"{type(self).__name__} gives {self.actions[0]} actions only, and this environment takes "
                f"{self.kind} ones: make the environment with {self.actions[0]} actions."
            )
        self.observation_space = observation_space
        self.action_space = action_space
        check_range("seed", seed, Range(0, whole=True))
        self.seed = seed
        self.rng = np.random.default_rng([seed, AGENT_STREAM])

    @property
    def kind(self) -> str:
        """Return "soft" or "hard", the kind of action it gives here."""
        return "soft" if self.soft else "hard"

    def begin(self) -> None:
        """Say that the next decision starts an episode, whether or not the last one came to its end."""
        return None

    @abstractmethod
    def act(self, observation: Observation, *, explore: bool = False) -> np.ndarray:
        """Return an action `[k]` out of the action space; `explore` samples or adds noise."""

    def observe(
        self,
        observation: Observation,
        action: np.ndarray,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        stream: int = 0,
    ) -> None:
        """Take in what an action led to; an agent that does not learn lets it pass.

        Of episodes played side by side, `stream` says which one it belongs to.
        """
        return None

    def update(self) -> dict[str, float]:
        """Learn if an update is due; return its statistics by name, {} when none was due."""
        return {}

    @property
    def settings(self) -> dict[str, Any]:
        """Return every setting by name; `type(agent)(*spaces, **agent.settings)` makes its equal."""
        return {name: getattr(self, name) for name in setting_names(type(self))}

    def check_settings(self) -> None:
        """Refuse settings outside their ranges."""
        for name, allowed in self.ranges.items():
            check_range(name, getattr(self, name), allowed)

    def save(self, folder: str | Path) -> None:
        """Write agent.json and agent.safetensors to a folder; once loaded, it goes on exactly as this one."""
        write_agent(Path(folder), self._description(), *self.state())

    @classmethod
    def load(
        cls: type[AnyAgent],
        folder: str | Path,
        observation_space: spaces.Space | None = None,
        action_space: spaces.Space | None = None,
        names: Sequence[str] | None = None,
    ) -> AnyAgent:
        """Read a saved agent of this class, by default for spaces of the shapes that it was saved with.

        Given other spaces, and the `names` of the knowledge there, one that `travels` serves whatever they are, as
        long as context and row features are as before; any other serves its own knowledge only.
        """
        description = read_description(Path(folder))
        if description["class"] != cls.__name__:
            raise KselectError(f"{folder} holds a {description['class']}, not a {cls.__name__}: use agents.load_agent.")
        learned = read_learned(Path(folder), description)
        saved_observation, saved_action = _spaces(description)
        if not cls.travels:
            rows = _observation_shape(observation_space or saved_observation)[1]
            _check_same_knowledge(folder, description, rows, names)
        agent = cls(observation_space or saved_observation, action_space or saved_action, **description["settings"])
        for noun, saved, here in (
            ("context features", description["context"], agent.context_size),
            ("features in each knowledge row", description["knowledge"][1], agent.features),
            *((f"numbers of {part}", size, agent.shapes[part][0]) for part, size in _further(description)),
        ):
            if saved != here:
                raise KselectError(
                    f"The policy in {folder} reads {saved} {noun}, and this environment gives {here}: "
                    "use it in an environment like the one it was trained in, or train a new one."
                )
        agent.names = tuple(names or description.get("names") or ()) or None
        agent.restore(*learned)
        return agent

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that changes while it runs: arrays, and facts that JSON can hold."""
        names = None if self.names is None else list(self.names)
        return {}, {"rows": self.rows, "names": names, "random": self.rng.bit_generator.state}

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        self.rng.bit_generator.state = facts["random"]

    def _description(self) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "settings": self.settings,
            "context": self.context_size,
            "knowledge": [self.rows, self.features],
            "further": {part: self.shapes[part][0] for part in self.reads if part not in Agent.reads},
            "actions": self.kind,
            "names": None if self.names is None else list(self.names),
        }

    @classmethod
    def _shape(cls, space: spaces.Space, part: str) -> tuple[int, ...]:
        """Return the shape of a part of the observations."""
        assert isinstance(space, spaces.Dict)
        if part not in space.spaces:
            raise KselectError(
                f"{cls.__name__} reads {part}, which this environment does not show: make one that does."
            )
        shape = space[part].shape
        assert shape is not None
        return shape

    def _check(self, observation: Observation) -> None:
        """Refuse an observation of other shapes than the spaces say."""
        given = {part: observation[part].shape for part in self.reads}
        if given != self.shapes:
            raise KselectError(
                f"{type(self).__name__} reads {_listed(self.shapes)}, not {_listed(given)}: "
                "load it with the spaces of this environment."
            )


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{part} {shape}" for part, shape in shapes.items())


def _check_same_knowledge(
    folder: str | Path, description: dict[str, Any], rows: int, names: Sequence[str] | None
) -> None:
    """Refuse other knowledge than a policy was saved with, or the same in another order."""
    saved = description.get("names")
    if saved is not None and names is not None:
        if list(names) != saved:
            raise KselectError(
                f"The policy in {folder} weighs {', '.join(saved)}, and on offer are {', '.join(names)}: "
                f"offer what it weighs, in this order, or train one for these."
            )
    elif description["knowledge"][0] != rows:
        raise KselectError(
            f"The policy in {folder} weighs {description['knowledge'][0]} kinds of knowledge, and {rows} are on offer: "
            "offer those it was made for, or train one for these."
        )


def _observation_shape(space: spaces.Space) -> tuple[int, int, int]:
    """Return (c, k, f)."""
    if isinstance(space, spaces.Dict) and {"context", "knowledge"} <= set(space.spaces):
        context, knowledge = space["context"].shape, space["knowledge"].shape
        if context is not None and knowledge is not None and len(context) == 1 and len(knowledge) == 2:
            return context[0], knowledge[0], knowledge[1]
    raise KselectError(f"An agent reads a Dict of Boxes 'context' [c] and 'knowledge' [k, f], not {space}.")


def _is_soft(space: spaces.Space, rows: int) -> bool:
    if isinstance(space, (spaces.MultiBinary, spaces.Box)) and space.shape == (rows,):
        return isinstance(space, spaces.Box)
    raise KselectError(
        f"An agent gives one action a knowledge, MultiBinary({rows}) or Box(0, 1, ({rows},)), not {space}."
    )


def _further(description: dict[str, Any]) -> Iterable[tuple[str, int]]:
    """Return the sizes of the parts of an observation that only some agents read."""
    return description.get("further", {}).items()


def _spaces(description: dict[str, Any]) -> tuple[spaces.Dict, spaces.Space]:
    """Build spaces of the saved shapes."""
    rows = description["knowledge"][0]
    observation = spaces.Dict(
        {
            "context": spaces.Box(-np.inf, np.inf, (description["context"],), np.float32),
            "knowledge": spaces.Box(-np.inf, np.inf, tuple(description["knowledge"]), np.float32),
            **{part: spaces.Box(-np.inf, np.inf, (size,), np.float32) for part, size in _further(description)},
        }
    )
    soft = description["actions"] == "soft"
    return observation, spaces.Box(0.0, 1.0, (rows,), np.float32) if soft else spaces.MultiBinary(rows)

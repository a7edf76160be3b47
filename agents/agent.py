"""The interface of agents: they select knowledge, and some learn to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.compatibility import (
    check_same_knowledge,
    check_shapes,
    is_soft,
    observation_shape,
    saved_spaces,
)
from kselect.agents.serialization import FILES, read_description, read_learned, restoring, write_agent
from kselect.agents.validation import Range, check_range, check_reward, setting_names
from kselect.errors import KselectError
from kselect.hub import local_folder, model_card, push_folder

Observation = dict[str, NDArray[Any]]
ROWS = ("context", "knowledge")
AGENT_STREAM = 2  # separates an agent's random stream from those of a run under the same seed
AnyAgent = TypeVar("AnyAgent", bound="Agent")


class Agent(ABC):
    """Selects knowledge: one decision per phase.

    The training loop calls `begin` at the start of an episode. At each decision it calls `act`, steps the environment,
    and calls `observe` and `update`.

    Observations are dicts of `context` `[c]`, whose first entry is the share of the run that is over, `knowledge`
    `[k, f]`, one row per kind of knowledge, and possibly further entries. Actions are `[k]`: int8 in {0, 1} (hard,
    `MultiBinary`) or float32 in [0, 1] (soft, `Box`).

    A subclass stores each keyword argument of its constructor as an attribute of the same name; these are its settings
    and are saved with it. An agent draws random numbers from its own generator, never from the global ones.

    Attributes:
        learns: Whether `observe` and `update` do anything.
        actions: The kinds of action that it can give, out of "hard" and "soft".
        observation_keys: The entries of an observation that it reads.
        transferable: Whether it works with other kinds of knowledge, and other numbers of them, than it was made for.
        reads_state: Whether its decisions depend on the state of a run, beyond how much of it is over and its facts.
        ranges: The allowed values of its settings, by name.
        preference: `[k]` in [0, 1], what the last `act` preferred before sampling, noise or a threshold; None where
            that is the action itself.
        slope: `[k]`, how fast the weights of the last `act` move during its phase, as the change over a whole run; None
            where they are constant.
        boundaries: Shares of a run at which a phase must end, because the agent then decides anew.
        names: The kind of knowledge of each row, where known; saved with the agent.
        gamma: Discount of rewards in `value`, from one decision to the next.
    """

    learns: ClassVar[bool] = False
    actions: ClassVar[tuple[str, ...]] = ("hard", "soft")
    observation_keys: tuple[str, ...] = ROWS
    transferable: ClassVar[bool] = True
    reads_state: ClassVar[bool] = True
    ranges: ClassVar[dict[str, Range]] = {}

    preference: NDArray[Any] | None = None
    slope: NDArray[Any] | None = None
    boundaries: tuple[float, ...] = ()
    names: tuple[str, ...] | None = None
    gamma: float = 1.0

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space, *, seed: int = 0) -> None:
        self.context_size, self.rows, self.features = observation_shape(observation_space)
        self.shapes = {key: self._shape(observation_space, key) for key in self.observation_keys}
        self.soft = is_soft(action_space, self.rows)
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
        """The kind of its actions, "soft" or "hard"."""
        return "soft" if self.soft else "hard"

    def begin(self) -> None:
        """Start an episode, whether or not the previous one was finished."""
        return None

    @abstractmethod
    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Select knowledge for the next phase.

        Args:
            observation: What the environment shows.
            explore: Whether to sample or add noise, in order to learn.

        Returns:
            `[k]`, an element of the action space.
        """

    def value(self, observation: Observation) -> float | None:
        """Return the expected sum of discounted rewards from an observation on; None without such an estimate.

        Rewards are in the unit that `observe` receives, and include rewards for exploration.
        """
        return None

    def observe(
        self,
        observation: Observation,
        action: NDArray[Any],
        reward: float,
        next_observation: Observation,
        terminated: bool,
        stream: int = 0,
    ) -> None:
        """Record what an action led to; does nothing in an agent that does not learn.

        Args:
            observation: What `act` was given.
            action: `[k]`, what it returned.
            reward: What the phase gained.
            next_observation: What the environment shows after it.
            terminated: Whether the episode is over.
            stream: Index of the environment, where several are played in parallel.
        """
        return None

    def update(self) -> dict[str, float]:
        """Learn, if an update is due.

        Returns:
            The update's statistics by name; empty when none was due.
        """
        return {}

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by name; `type(agent)(*spaces, **agent.settings)` makes an equal, untrained agent."""
        return {name: getattr(self, name) for name in setting_names(type(self))}

    def check_settings(self) -> None:
        """Check every setting against `ranges`."""
        for name, allowed in self.ranges.items():
            check_range(name, getattr(self, name), allowed)

    def save(self, folder: str | Path) -> None:
        """Write agent.json and agent.safetensors; a loaded agent continues exactly as this one would."""
        write_agent(Path(folder), self._description(), *self.state())

    def save_pretrained(self, folder: str | Path) -> None:
        """Save the agent, under the name that this method has on the Hugging Face Hub; see `save`."""
        self.save(folder)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload the agent to the Hugging Face Hub, with a model card.

        Args:
            repo_id: The repository, such as "user/policy".
            options: Such as `private`, `token` and `commit_message`; see `kselect.hub.push_folder`.

        Returns:
            The address of the commit.

        Raises:
            KselectError: the Hub refuses, or cannot be reached.
        """
        names = "" if self.names is None else f" It weighs {', '.join(self.names)}."
        card = model_card(
            "Knowledge selection policy",
            f"An agent of the class `{type(self).__name__}` that selects which kinds of knowledge to distil.{names}\n\n"
            f'```python\nimport kselect\n\nagent = kselect.Agent.from_pretrained("{repo_id}")\n```',
            ["knowledge-distillation", "reinforcement-learning"],
            library_name="kselect",
        )
        return push_folder(self.save, repo_id, card, **options)

    @classmethod
    def from_pretrained(
        cls: type[AnyAgent],
        name: str | Path,
        observation_space: spaces.Space | None = None,
        action_space: spaces.Space | None = None,
        names: Sequence[str] | None = None,
        **options: Any,
    ) -> AnyAgent:
        """Load a saved agent from a folder or the Hugging Face Hub; `Agent.from_pretrained` loads any class.

        Args:
            name: A folder, or a repository such as "user/policy", which is downloaded.
            observation_space: See `load`.
            action_space: See `load`.
            names: See `load`.
            options: Such as `revision`, `token` and `local_files_only`; see `kselect.hub.local_folder`.

        Raises:
            KselectError: no such agent, another class, or spaces that do not fit.
        """
        return cls.load(local_folder(name, FILES, **options), observation_space, action_space, names)

    @classmethod
    def load(
        cls: type[AnyAgent],
        folder: str | Path,
        observation_space: spaces.Space | None = None,
        action_space: spaces.Space | None = None,
        names: Sequence[str] | None = None,
    ) -> AnyAgent:
        """Read a saved agent of this class or of a subclass.

        A `transferable` agent can be loaded for other kinds of knowledge, as long as context and row features have the
        same sizes. Any other agent works with its own kinds of knowledge only.

        Args:
            folder: Where it was saved.
            observation_space: Of the environment; by default one of the saved shapes.
            action_space: Of the environment; by default one of the saved shape.
            names: The kinds of knowledge on offer, in the order of the rows; by default the saved ones.

        Raises:
            KselectError: no agent in the folder, another class, damaged files, or spaces that do not fit.
        """
        from kselect.agents.registry import find_class

        description = read_description(Path(folder))
        saved_class = cls if description["class"] == cls.__name__ else find_class(description["class"])
        if not issubclass(saved_class, cls):
            raise KselectError(f"{folder} holds a {description['class']}, not a {cls.__name__}: use load_agent.")
        learned = read_learned(Path(folder), description)
        saved_observation, saved_action = saved_spaces(description)
        observation_space, action_space = observation_space or saved_observation, action_space or saved_action
        if not saved_class.transferable:
            check_same_knowledge(folder, description, observation_shape(observation_space)[1], names)
        with restoring(Path(folder)):
            agent = saved_class._build(observation_space, action_space, description)
            check_shapes(folder, description, agent)
            agent.names = tuple(names or description.get("names") or ()) or None
            agent.restore(*learned)
        return agent

    @classmethod
    def _build(
        cls: type[AnyAgent],
        observation_space: spaces.Space,
        action_space: spaces.Space,
        description: Mapping[str, Any],
    ) -> AnyAgent:
        """Make an untrained agent with the settings of agent.json."""
        return cls(observation_space, action_space, **description["settings"])

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything that changes while the agent acts and learns.

        Returns:
            Arrays by name, and facts that JSON can hold.
        """
        names = None if self.names is None else list(self.names)
        return {}, {"rows": self.rows, "names": names, "random": self.rng.bit_generator.state}

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self.rng.bit_generator.state = facts["random"]

    def _description(self) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "settings": self.settings,
            "context": self.context_size,
            "knowledge": [self.rows, self.features],
            "further": {key: self.shapes[key][0] for key in self.observation_keys if key not in ROWS},
            "actions": self.kind,
            "names": None if self.names is None else list(self.names),
        }

    def _shape(self, space: spaces.Space, key: str) -> tuple[int, ...]:
        """Return the shape of an entry of the observations."""
        assert isinstance(space, spaces.Dict)
        if key not in space.spaces:
            raise KselectError(
                f"{type(self).__name__} reads {key}, which this environment does not show: make one that does."
            )
        shape = space[key].shape
        assert shape is not None
        return shape

    def _check_outcome(self, observation: Observation, reward: float, next_observation: Observation) -> None:
        """Refuse observations of other shapes than the spaces have, and a reward that is not finite."""
        self._check(observation)
        self._check(next_observation)
        check_reward(reward)

    def _check(self, observation: Observation) -> None:
        """Refuse an observation of other shapes than the spaces have."""
        given = {key: observation[key].shape for key in self.observation_keys}
        if given != self.shapes:
            raise KselectError(
                f"{type(self).__name__} reads {_listed(self.shapes)}, not {_listed(given)}: "
                "load it with the spaces of this environment."
            )


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{key} {shape}" for key, shape in shapes.items())

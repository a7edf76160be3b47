"""Whether an agent fits an environment: its spaces, and for a saved agent those that it was made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from kselect.errors import KselectError

if TYPE_CHECKING:
    from kselect.agents.agent import Agent


def check_same_knowledge(
    folder: str | Path, description: Mapping[str, Any], rows: int, names: Sequence[str] | None
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


def check_shapes(folder: str | Path, description: Mapping[str, Any], agent: Agent) -> None:
    """Refuse an environment whose observations have other sizes than a policy was saved with."""
    for noun, saved, here in (
        ("context features", description["context"], agent.context_size),
        ("features in each knowledge row", description["knowledge"][1], agent.features),
        *((f"numbers of {key}", size, agent.shapes[key][0]) for key, size in _further(description).items()),
    ):
        if saved != here:
            raise KselectError(
                f"The policy in {folder} reads {saved} {noun}, and this environment gives {here}: "
                "use it in an environment like the one it was trained in, or train a new one."
            )


def observation_shape(space: spaces.Space) -> tuple[int, int, int]:
    """Return the sizes (c, k, f) of `context [c]` and `knowledge [k, f]`.

    Raises:
        KselectError: a space without these entries.
    """
    if isinstance(space, spaces.Dict) and {"context", "knowledge"} <= set(space.spaces):
        context, knowledge = space["context"].shape, space["knowledge"].shape
        if context is not None and knowledge is not None and len(context) == 1 and len(knowledge) == 2:
            return context[0], knowledge[0], knowledge[1]
    raise KselectError(f"An agent reads a Dict of Boxes 'context' [c] and 'knowledge' [k, f], not {space}.")


def is_soft(space: spaces.Space, rows: int) -> bool:
    """Return whether actions are weights in [0, 1], rather than 0 or 1.

    Raises:
        KselectError: a space of other actions, or of another number of them.
    """
    if isinstance(space, (spaces.MultiBinary, spaces.Box)) and space.shape == (rows,):
        return isinstance(space, spaces.Box)
    raise KselectError(
        f"An agent gives one weight per kind of knowledge, MultiBinary({rows}) or Box(0, 1, ({rows},)), not {space}."
    )


def _further(description: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes of the observation entries that only some agents read."""
    sizes: dict[str, int] = description.get("further", {})
    return sizes


def saved_spaces(description: Mapping[str, Any]) -> tuple[spaces.Dict, spaces.Space]:
    """Build spaces of the saved shapes."""
    rows = description["knowledge"][0]
    shapes = {"context": (description["context"],), "knowledge": tuple(description["knowledge"])}
    shapes |= {key: (size,) for key, size in _further(description).items()}
    observation = spaces.Dict({key: spaces.Box(-np.inf, np.inf, shape, np.float32) for key, shape in shapes.items()})
    soft = description["actions"] == "soft"
    return observation, spaces.Box(0.0, 1.0, (rows,), np.float32) if soft else spaces.MultiBinary(rows)

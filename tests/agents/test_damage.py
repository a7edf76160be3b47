"""Damaged files of agents are refused in a line, or the agent acts and learns as one that was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save

from kselect.agents import ActorCritic, Agent, DeterministicActorCritic, RandomHard, Schedule, load_agent
from kselect.agents.serialization import seal
from kselect.errors import KselectError
from tests.agents.identity import IdentityEnv, train
from tests.damage import damaged, read_or_refused

SETTINGS: dict[type[Agent], dict[str, Any]] = {
    ActorCritic: {"epochs": 1, "memory": 16},
    DeterministicActorCritic: {"gradient_steps": 1, "batch_size": 4, "warmup": 1, "memory": 16},
    RandomHard: {},
    Schedule: {"stages": [{"weights": [1, 0]}]},
}
WRONG: tuple[Any, ...] = (None, [], {}, "x", -1, 1.5, True, 10**30, [[1, 2]], {"a": [1]})
Arrays = dict[str, NDArray[Any]]


def place(kind: type[Agent]) -> IdentityEnv:
    return IdentityEnv(soft=kind is DeterministicActorCritic, rows=2)


@pytest.fixture(params=SETTINGS, ids=lambda kind: kind.__name__)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, type[Agent]]:
    kind, env = request.param, place(request.param)
    agent = kind(env.observation_space, env.action_space, **SETTINGS[kind])
    train(agent, env, 1)
    agent.save(tmp_path)
    return tmp_path, kind


def use(folder: Path, kind: type[Agent]) -> Agent:
    """Load an agent, and have it act and learn for an episode."""
    agent = load_agent(folder)
    if agent.rows == 2:
        train(agent, place(kind), 1)
    return agent


def read(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    path = folder / "agent.safetensors"
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["agent"])
    return load_file(path), {name: header[name] for name in ("description", "facts")}


def write(folder: Path, arrays: Arrays, header: Any) -> None:
    description = header.get("description") if isinstance(header, dict) else None
    (folder / "agent.json").write_text(json.dumps(description))
    sealed = seal(arrays, header) if isinstance(header, dict) else header
    (folder / "agent.safetensors").write_bytes(save(arrays, {"agent": json.dumps(sealed)}))


def paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the values of a JSON tree are; of a list only its first."""
    yield path
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree[:1]) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from paths(value, (*path, key))


def replaced(tree: Any, path: tuple[Any, ...], *value: Any) -> Any:
    """Return a copy with another value at a path, or without one there."""
    if not path:
        return value[0]
    copy = json.loads(json.dumps(tree))
    *above, last = path
    inner = copy
    for key in above:
        inner = inner[key]
    if value:
        inner[last] = value[0]
    else:
        del inner[last]
    return copy


def test_entries_that_are_missing_or_of_other_types_are_refused(saved: tuple[Path, type[Agent]]) -> None:
    folder, kind = saved
    arrays, header = read(folder)
    for number, path in enumerate(paths(header)):
        for value in (WRONG[number % len(WRONG)], WRONG[(number + 3) % len(WRONG)]):
            write(folder, arrays, replaced(header, path, value))
            read_or_refused(lambda: load_agent(folder))
        if path:
            write(folder, arrays, replaced(header, path))
            read_or_refused(lambda: load_agent(folder))
    write(folder, arrays, header)
    assert isinstance(use(folder, kind), kind)


@pytest.mark.parametrize("change", ["missing", "shape", "longer", "NaN", "text"])
def test_arrays_of_another_agent_are_refused(change: str, saved: tuple[Path, type[Agent]]) -> None:
    folder, kind = saved
    arrays, header = read(folder)
    for name, array in arrays.items():
        others = {
            "missing": {key: value for key, value in arrays.items() if key != name},
            "shape": {**arrays, name: np.stack([array, array])},
            "longer": {**arrays, name: np.concatenate([np.atleast_1d(array)] * 2)},
            "NaN": {**arrays, name: np.full_like(array, np.nan)},
            "text": {**arrays, name: np.zeros(3, dtype=bool)},
        }
        write(folder, others[change], header)
        with pytest.raises(KselectError, match=r"^[^\n]*agent\.safetensors [^\n]*: (save|train) the policy again\.$"):
            use(folder, kind)


@pytest.mark.parametrize("file", ["agent.json", "agent.safetensors"])
def test_random_damage_is_refused_or_does_no_harm(file: str, saved: tuple[Path, type[Agent]]) -> None:
    folder, kind = saved
    whole, rng = (folder / file).read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        (folder / file).write_bytes(damaged(whole, rng))
        loaded = read_or_refused(lambda: load_agent(folder))
        if loaded is not None:
            assert type(loaded) is kind


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'"class"', b"\xff", b"[" * 100_000])
def test_what_is_no_description_is_refused(content: bytes, tmp_path: Path) -> None:
    env = place(RandomHard)
    RandomHard(env.observation_space, env.action_space).save(tmp_path)
    (tmp_path / "agent.json").write_bytes(content)
    with pytest.raises(KselectError, match=r"^[^\n]*agent\.json [^\n]*: save the policy again\.$"):
        load_agent(tmp_path)

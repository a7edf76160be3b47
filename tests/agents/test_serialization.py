import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from gymnasium import Space, spaces

from kselect.agents import (
    ActorCritic,
    Agent,
    DeterministicActorCritic,
    LinearActorCritic,
    PosteriorSampling,
    RandomHard,
    RandomSoft,
    Schedule,
    TowerActorCritic,
    load_agent,
)
from kselect.agents.exploration import CountBonus
from kselect.agents.learner import Learner
from kselect.errors import KselectError
from tests.agents.identity import IdentityEnv, TowerEnv, train

LEARNERS = [ActorCritic, DeterministicActorCritic]


A = TypeVar("A", bound=Agent)


def place(kind: type[Agent], rows: int = 4, seed: int = 0) -> IdentityEnv:
    """Make an environment that an agent of a kind can act in."""
    if kind is TowerActorCritic:
        return TowerEnv(rows=rows, seed=seed)
    return IdentityEnv(soft=kind in (DeterministicActorCritic, RandomSoft), rows=rows, seed=seed)


def make(kind: type[A], rows: int = 4, **settings: Any) -> tuple[A, IdentityEnv]:
    env = place(kind, rows)
    return kind(env.observation_space, env.action_space, **settings), env


def global_streams() -> tuple[Any, ...]:
    numpy_state: Any = np.random.get_state()
    return numpy_state[1].tolist(), random.getstate(), torch.get_rng_state().tolist()


def play(agent: Agent, seed: int, episodes: int = 2) -> tuple[list, list]:
    """Return all that an agent does and says in a fresh environment."""
    env = place(type(agent), seed=seed)
    statistics = train(agent, env, episodes)
    return [action.tolist() for action in env.taken], statistics


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*LEARNERS, TowerActorCritic, LinearActorCritic, PosteriorSampling])
@pytest.mark.parametrize("decisions", [0, 5, 27])
def test_a_loaded_agent_goes_on_exactly(kind: type[Agent], decisions: int, tmp_path: Path):
    agent, env = make(kind, seed=3)
    observation, _ = env.reset()
    for step in range(decisions):  # 5 and 27: in the midst of an episode, with an update pending
        action = agent.act(observation, explore=True)
        following, reward, *_ = env.step(action)
        agent.observe(observation, action, reward, following, step % 16 == 15)
        agent.update()
        observation = following
    agent.save(tmp_path / "policy")
    loaded = load_agent(tmp_path / "policy")
    assert type(loaded) is kind
    assert loaded.settings == agent.settings
    assert play(agent, seed=9) == play(loaded, seed=9)
    ours, theirs = agent.state(), loaded.state()
    assert ours[1] == theirs[1]
    assert ours[0].keys() == theirs[0].keys()
    assert all(np.array_equal(ours[0][name], theirs[0][name]) for name in ours[0])


@pytest.mark.parametrize("kind", [*LEARNERS, LinearActorCritic, PosteriorSampling, RandomHard, RandomSoft])
def test_the_seed_decides_all_and_global_streams_are_left_alone(kind: type[Agent]):
    np.random.seed(1)
    random.seed(1)
    torch.manual_seed(1)
    before = global_streams()
    first = play(make(kind, seed=5)[0], seed=2)
    assert global_streams() == before
    np.random.seed(2)
    torch.manual_seed(2)
    assert play(make(kind, seed=5)[0], seed=2) == first
    assert play(make(kind, seed=6)[0], seed=2) != first


@pytest.mark.slow
@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("rows", [2, 7])
def test_a_policy_runs_and_learns_on_another_number_of_rows(kind: type[Learner], rows: int, tmp_path: Path):
    agent, env = make(kind)
    train(agent, env, 16)
    agent.save(tmp_path)
    other = IdentityEnv(soft=agent.soft, rows=rows)
    loaded = load_agent(tmp_path, other.observation_space, other.action_space)
    observation, _ = other.reset()
    # The flag of a row was learned to be its action, and rows of another set are read the same way.
    wide = {
        "context": observation["context"],
        "knowledge": np.repeat(env.reset()[0]["knowledge"][:1], rows, axis=0),
    }
    for flag in (0, 1):
        wide["knowledge"][:, 0] = flag
        assert np.abs(loaded.act(wide) - flag).max() < 0.5
    assert train(loaded, other, 2)


def test_memory_of_the_same_rows_is_kept_and_of_others_dropped(tmp_path: Path):
    agent, env = make(ActorCritic)
    train(agent, env, 1)
    agent.save(tmp_path)
    other = IdentityEnv(soft=False, rows=3)
    same = ActorCritic.load(tmp_path, env.observation_space, env.action_space)
    different = ActorCritic.load(tmp_path, other.observation_space, other.action_space)
    assert len(same.decisions) == 16
    assert len(different.decisions) == 0


def test_counts_and_memory_of_as_many_rows_of_other_names_are_dropped(tmp_path: Path):
    agent, env = make(ActorCritic, rows=2)
    agent.names = ("gold", "hidden")
    train(agent, env, 1)
    agent.save(tmp_path)
    for names, kept in ((["gold", "hidden"], 16), (None, 16), (["gold", "logits"], 0), (["hidden", "gold"], 0)):
        loaded = ActorCritic.load(tmp_path, env.observation_space, env.action_space, names)
        assert len(loaded.decisions) == kept
        assert isinstance(loaded.bonus, CountBonus)
        assert sum(loaded.bonus.counts.values()) == kept


@pytest.mark.parametrize(
    ("kind", "settings"), [(Schedule, {"stages": [{"weights": [1, 0, 1, 0]}]}), (RandomHard, {}), (RandomSoft, {})]
)
def test_baselines_are_saved_too(kind: type[Agent], settings: dict, tmp_path: Path):
    agent, env = make(kind, seed=4, **settings)
    observation, _ = env.reset()
    agent.act(observation)
    agent.save(tmp_path)
    loaded = load_agent(tmp_path)
    assert [agent.act(observation).tolist() for _ in range(5)] == [loaded.act(observation).tolist() for _ in range(5)]


def test_saving_again_replaces_and_leaves_no_litter(tmp_path: Path):
    agent, env = make(ActorCritic)
    (tmp_path / "config.yaml").write_text("task: rte\n")
    agent.save(tmp_path)
    train(agent, env, 1)
    agent.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "agent.json",
        "agent.safetensors",
        "config.yaml",
    ]
    loaded = load_agent(tmp_path)
    assert isinstance(loaded, Learner)
    assert len(loaded.decisions) == 16


def test_a_failed_save_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    agent, env = make(ActorCritic)
    agent.save(tmp_path)
    old = (tmp_path / "agent.safetensors").read_bytes()
    train(agent, env, 1)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(KselectError, match=r"agent\.json cannot be written \(No space left on device\)"):
        agent.save(tmp_path)
    assert (tmp_path / "agent.safetensors").read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent.json", "agent.safetensors"]


class Custom(RandomHard):
    """A custom agent."""


def test_an_agent_of_ones_own_loads_by_its_class(tmp_path: Path):
    agent, _ = make(Custom)
    agent.save(tmp_path)
    assert type(load_agent(tmp_path)) is Custom


def refused(message: str, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(KselectError) as caught:
        call(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_is_noticed(tmp_path: Path):
    refused("agent.json is missing", load_agent, tmp_path / "nowhere")
    agent, _ = make(ActorCritic)
    refused("is a file", agent.save, Path(__file__))
    agent.save(tmp_path)
    whole = (tmp_path / "agent.safetensors").read_bytes()
    refused("holds a ActorCritic, not a RandomHard", RandomHard.load, tmp_path)
    (tmp_path / "agent.safetensors").write_bytes(whole[: len(whole) // 2])
    refused("is damaged", load_agent, tmp_path)
    (tmp_path / "agent.safetensors").unlink()
    refused("agent.safetensors is missing", load_agent, tmp_path)
    (tmp_path / "agent.safetensors").write_bytes(whole)
    description = json.loads((tmp_path / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(description | {"settings": {"hidden": 9}}))
    refused("two different agents", load_agent, tmp_path)
    (tmp_path / "agent.json").write_text(json.dumps(description | {"class": "ActorCritik"}))
    refused("Unknown class of agents 'ActorCritik': did you mean 'ActorCritic'?", load_agent, tmp_path)
    (tmp_path / "agent.json").write_text("{}")
    refused("lacks actions, class, context, knowledge, settings", load_agent, tmp_path)
    (tmp_path / "agent.json").write_text("{")
    refused("is not JSON", load_agent, tmp_path)


def test_names_of_the_knowledge_are_saved_and_held_against_what_is_on_offer(tmp_path: Path):

    def spaces_of(env: IdentityEnv) -> tuple[Space, Space]:
        return env.observation_space, env.action_space

    for kind, settings in ((Schedule, {"stages": [{"weights": [1, 0]}]}), (ActorCritic, {})):
        agent, env = make(kind, rows=2, **settings)
        agent.names = ("gold", "hidden")
        agent.save(tmp_path)
        assert load_agent(tmp_path).names == ("gold", "hidden")
        assert load_agent(tmp_path, *spaces_of(env), ["gold", "hidden"]).names == ("gold", "hidden")
        if kind.transferable:
            assert load_agent(tmp_path, *spaces_of(env), ["logits", "gold"]).names == ("logits", "gold")
        else:
            swapped = ["hidden", "gold"]
            refused(
                "weighs gold, hidden, and on offer are hidden, gold", load_agent, tmp_path, *spaces_of(env), swapped
            )


def test_an_environment_that_does_not_show_what_is_read_is_refused(tmp_path: Path):
    agent, _ = make(TowerActorCritic)
    agent.save(tmp_path)
    blind = IdentityEnv(soft=True)
    message = "TowerActorCritic reads student_cls, which this environment does not show: make one that does."
    refused(message, load_agent, tmp_path, blind.observation_space, blind.action_space)
    other = TowerEnv(rows=4, teacher=5)
    message = "reads 3 numbers of teacher_cls, and this environment gives 5"
    refused(message, load_agent, tmp_path, other.observation_space, other.action_space)


def test_other_features_are_refused(tmp_path: Path):
    agent, env = make(ActorCritic)
    agent.save(tmp_path)

    def box(*shape: int):
        return spaces.Box(-1, 1, shape, np.float32)

    wide = spaces.Dict({"context": box(5), "knowledge": box(4, 4)})
    refused("reads 2 context features, and this environment gives 5", load_agent, tmp_path, wide, env.action_space)
    wide = spaces.Dict({"context": box(2), "knowledge": box(4, 9)})
    refused("reads 4 features in each knowledge row, and", load_agent, tmp_path, wide, env.action_space)
    fixed, _ = make(Schedule, stages=[{"weights": [1, 0, 0, 1]}])
    fixed.save(tmp_path)
    three = IdentityEnv(soft=False, rows=3)
    refused(
        "weighs 4 kinds of knowledge, and 3 are on offer",
        load_agent,
        tmp_path,
        three.observation_space,
        three.action_space,
    )

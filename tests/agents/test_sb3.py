"""Stable-Baselines3 models that decide as agents, live and loaded from an agent's two files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kselect
from kselect.agents.sb3 import SB3Agent
from kselect.config import PhaseConfig
from kselect.errors import KselectError
from kselect.recipes.policies import build_policy
from tests.agents.identity import IdentityEnv, TowerEnv
from tests.tiny import tiny_distiller

sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")

SIZES = {
    "A2C": {"n_steps": 8},
    "PPO": {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    "SAC": {"buffer_size": 100, "learning_starts": 4, "batch_size": 4},
    "DDPG": {"buffer_size": 100, "learning_starts": 4, "batch_size": 4},
}


def trained(name: str, env: Any, **more: Any) -> Any:
    model = getattr(sb3, name)("MultiInputPolicy", env, device="cpu", seed=0, **SIZES[name], **more)
    return model.learn(total_timesteps=16)


def observations(env: IdentityEnv, count: int = 20) -> list[dict[str, np.ndarray]]:
    env.reset()
    return [env.step(np.zeros(env.rows, dtype=env.action_space.dtype))[0] for _ in range(count)]


@pytest.mark.parametrize(("name", "soft"), [("A2C", False), ("PPO", True), ("SAC", True), ("DDPG", True)])
def test_save_and_load_decide_as_the_model_does(name: str, soft: bool, tmp_path: Path) -> None:
    env = IdentityEnv(soft=soft)
    model = trained(name, env, policy_kwargs={"net_arch": [16, 8]})
    agent = SB3Agent(model)
    agent.names = ("a", "b", "c", "d")
    agent.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"agent.json", "agent.safetensors"}
    loaded = kselect.load_agent(tmp_path, names=agent.names)
    assert isinstance(loaded, SB3Agent)
    assert loaded.settings == agent.settings
    for observation in observations(env):
        action = agent.act(observation)
        assert env.action_space.contains(action)
        assert np.array_equal(action, model.predict(observation, deterministic=True)[0])
        assert np.array_equal(action, loaded.act(observation))


def test_an_a2c_model_decides_a_rollout_and_is_not_learned_with() -> None:
    env = kselect.DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 4))
    agent = SB3Agent(trained("A2C", env))
    result = kselect.rollout(agent, env)
    assert len(result.history) == 4
    assert "loss" in result.metrics
    with pytest.raises(KselectError, match="An SB3Agent only decides: train the model by its own learn"):
        kselect.learn(agent, env, episodes=1)
    assert env.distiller.step == 0  # refused before any training


def test_a_saved_model_is_an_agent_of_the_commands(tmp_path: Path) -> None:
    distiller = tiny_distiller()
    env = kselect.DistillationEnv(distiller, actions="soft", phases=PhaseConfig("constant", 8))
    agent = SB3Agent(trained("A2C", env))
    agent.names = env.names
    agent.save(tmp_path)
    setup = build_policy(kselect.AgentConfig(str(tmp_path)), distiller, env.phases, seed=0)
    assert isinstance(setup.agent, SB3Agent)
    assert not setup.learning
    observation, _ = setup.env.reset(seed=0)
    assert np.array_equal(setup.agent.act(observation), agent.act(observation))


def test_a_policy_that_reads_cls_is_loaded_for_it(tmp_path: Path) -> None:
    env = TowerEnv()
    agent = SB3Agent(trained("A2C", env))
    agent.save(tmp_path)
    loaded = kselect.load_agent(tmp_path)
    assert set(loaded.observation_keys) == {"context", "knowledge", "student_cls", "teacher_cls"}
    observation, _ = env.reset()
    assert np.array_equal(loaded.act(observation), agent.act(observation))
    narrow = TowerEnv(teacher=5)
    with pytest.raises(KselectError, match="reads 3 numbers of teacher_cls, and this environment gives 5"):
        kselect.load_agent(tmp_path, narrow.observation_space, narrow.action_space)


def test_another_number_of_kinds_of_knowledge_is_refused(tmp_path: Path) -> None:
    SB3Agent(trained("A2C", IdentityEnv(soft=False))).save(tmp_path)
    other = IdentityEnv(soft=False, rows=3)
    with pytest.raises(KselectError, match="weighs 4 kinds of knowledge, and 3 are on offer"):
        kselect.load_agent(tmp_path, other.observation_space, other.action_space)


@pytest.mark.parametrize("path", ["os.system", "torch.load", "tests.agents.identity.IdentityEnv", "torch.nn.Nothing"])
def test_loading_imports_nothing_but_networks_of_the_library(path: str, tmp_path: Path) -> None:
    SB3Agent(trained("A2C", IdentityEnv(soft=False))).save(tmp_path)
    agent = kselect.load_agent(tmp_path)
    description = agent._description()
    description["settings"]["policy"] = path
    with pytest.raises(KselectError, match=f"{path} is not a network of Stable-Baselines3"):
        SB3Agent._build(agent.observation_space, agent.action_space, description)
    assert json.loads((tmp_path / "agent.json").read_text())["class"] == "SB3Agent"


def test_models_of_other_environments_are_refused() -> None:
    model = sb3.A2C("MlpPolicy", "CartPole-v1", device="cpu")
    with pytest.raises(KselectError, match="An agent reads a Dict of Boxes 'context'"):
        SB3Agent(model)

"""Other libraries use the environment unchanged, and what they rely on: actions, infos, render modes, exact copies."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kselect.config import PhaseConfig
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

KINDS = {"knowledge": ["gold", "logits", "hidden"]}


def make(actions: Any = "hard", **more: Any) -> DistillationEnv:
    phases = PhaseConfig("constant", 4, reward_every=2, reward_examples=8)
    return DistillationEnv(tiny_distiller(KINDS), actions, phases, **more)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Those of `gymnasium.make`, for a student that is quick to make."""
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    plain = {"task": "synthetic-acceptability", "train_limit": 80, "max_length": 32, "batch_size": 8, "epochs": 1}
    return {**plain, **KINDS, "teacher": str(folder), "layers": 2, "precision": "fp32", "phase_steps": 3}


def test_discrete_actions_are_the_selections() -> None:
    env = make("discrete")
    check_env(env, skip_render_check=True)
    assert env.action_space == gymnasium.spaces.Discrete(7)
    hard = make("hard")
    for action in range(7):
        selection = [(action + 1) >> row & 1 for row in range(3)]
        for one, given in ((env, action), (hard, np.array(selection, dtype=np.int8))):
            one.reset(seed=0)
            outcome = one.step(given)  # type: ignore[arg-type]  # a number
            if one is env:
                expected = pickle.dumps(outcome)
        assert pickle.dumps(outcome) == expected
    with pytest.raises(KselectError, match="Action 7 is none of the 7 selections"):
        env.step(7)  # type: ignore[arg-type]


def test_too_many_rows_for_discrete_actions_are_refused() -> None:
    from kselect.envs.actions import action_space

    assert action_space("discrete", 6) == gymnasium.spaces.Discrete(63)
    with pytest.raises(KselectError, match="7 kinds of knowledge have 127 selections"):
        action_space("discrete", 7)


def structure(info: Mapping[str, Any]) -> Any:
    return {name: structure(value) if isinstance(value, Mapping) else type(value) for name, value in info.items()}


def test_complete_infos_have_one_structure_with_nan_for_what_was_not_measured() -> None:
    env = make(complete_info=True)
    infos = [env.reset(seed=0)[1]]
    terminated = False
    while not terminated:
        *_, terminated, _, info = env.step(np.array([1, 0, 0]))
        infos.append(info)
    assert len(infos) == 5
    assert all(structure(info) == structure(infos[0]) for info in infos)
    measured = [not math.isnan(info["reward_loss"]) for info in infos]
    assert measured == [False, False, True, False, True]
    assert math.isnan(infos[0]["losses"]["gold"])
    assert math.isnan(infos[1]["losses"]["hidden"])
    assert not math.isnan(infos[1]["losses"]["gold"])
    assert [info["step"] for info in infos] == [0, 4, 8, 12, 16]


@pytest.mark.parametrize("moment", [0, 1, 3])
def test_a_restored_run_goes_on_as_the_straight_one(moment: int) -> None:
    """Also in another environment, and more than once."""
    env, other = make("soft"), make("soft")
    actions = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    env.reset(seed=5)
    for action in actions[:moment]:
        env.step(action)
    state = env.clone_state()
    straight = pickle.dumps([env.step(action) for action in actions[moment:]])
    env.restore_state(state)
    env.step(1 - actions[moment])  # a branch that is left again
    other.reset(seed=6)
    for one in (env, other):
        one.restore_state(state)
        assert pickle.dumps([one.step(action) for action in actions[moment:]]) == straight


@pytest.mark.parametrize("algorithm", ["SAC", "DQN"])
def test_stable_baselines_learns_off_policy(algorithm: str, settings: dict[str, Any]) -> None:
    """Through its own vectors and normalisation."""
    sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    actions = {"SAC": "soft", "DQN": "discrete"}[algorithm]
    vector = make_vec_env("kselect/Distillation-v0", n_envs=1, seed=0, env_kwargs={"actions": actions, **settings})
    assert vector.render_mode == "rgb_array"
    normalized = VecNormalize(vector, norm_obs_keys=["context", "knowledge"])
    sizes = {"buffer_size": 50, "learning_starts": 3, "batch_size": 2}
    model = getattr(sb3, algorithm)("MultiInputPolicy", normalized, device="cpu", seed=0, **sizes)
    model.learn(total_timesteps=8)
    image = vector.render()
    assert image is not None
    assert image.dtype == np.uint8
    assert normalized.obs_rms["context"].count > 8


def test_a_run_is_filmed(settings: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="moviepy is not installed")
    from gymnasium.wrappers import RecordVideo

    env = gymnasium.make("kselect/Distillation-v0", render_mode="rgb_array", **settings)
    with RecordVideo(env, str(tmp_path / "videos"), disable_logger=True) as filmed:
        filmed.reset(seed=0)
        while not filmed.step(filmed.action_space.sample())[2]:
            pass
    assert [path.suffix for path in (tmp_path / "videos").iterdir()] == [".mp4"]


def test_frames_are_collected(settings: dict[str, Any]) -> None:
    env = gymnasium.make("kselect/Distillation-v0", render_mode="rgb_array", **settings)
    with gymnasium.wrappers.RenderCollection(env) as collecting:
        collecting.reset(seed=0)
        collecting.step(collecting.action_space.sample())
        frames = collecting.render()
    assert len(frames) == 2
    assert len({np.asarray(frame).shape for frame in frames}) == 1


def test_minari_collects_episodes_with_infos(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minari = pytest.importorskip("minari", reason="minari is not installed")
    pytest.importorskip("jax", reason="jax is not installed, which Minari collects with")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(
        gymnasium.make("kselect/Distillation-v0", complete_info=True, **settings),
        record_infos=True,
        data_format="parquet",
    )
    for seed in range(2):
        env.reset(seed=seed)
        while not env.step(env.action_space.sample())[2]:
            pass
    dataset = env.create_dataset("kselect/test-v0", author="-", author_email="-", code_permalink="-")
    first, second = dataset.iterate_episodes()
    assert first.rewards.sum() != second.rewards.sum()
    assert first.infos["step"][0] == 0
    assert first.infos["step"][-1] == first.infos["total_steps"][-1]
    losses = first.infos["losses"]
    assert len(losses) == len(first.rewards) + 1
    assert math.isnan(losses[0]["gold"])


def test_vectors_of_environments_carry_infos(settings: dict[str, Any]) -> None:
    settings = {**settings, "complete_info": True}
    vector = gymnasium.make_vec("kselect/Distillation-v0", num_envs=2, vectorization_mode="sync", **settings)
    _, infos = vector.reset(seed=0)
    assert infos["step"].tolist() == [0, 0]
    *_, infos = vector.step(vector.action_space.sample())
    assert infos["step"].tolist() == [3, 3]
    assert infos["signals"]["student_entropy"].shape == (2,)
    assert infos["_signals"].all()
    vector.close()

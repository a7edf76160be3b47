"""The heat map of a run's selection, as text and as an image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kselect.config import PhaseConfig
from kselect.envs.distillation import DistillationEnv
from kselect.envs.rendering import DARK, FUTURE, LIGHT, heat_map_image, heat_map_text
from kselect.errors import KselectError
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task


def test_heat_map_text_has_a_line_per_kind_and_a_shade_per_phase() -> None:
    text = heat_map_text(("gold", "hidden"), [(2, [1.0, 0.0]), (4, [0.5, 0.5]), (2, [0.25, 0.75])], 16)
    assert text.splitlines() == ["gold   |█▒░|", "hidden | ▒▓|", "3 phases, 8 of 16 training steps"]
    assert heat_map_text(("gold",), [], 16) == "gold ||\n0 phases, 0 of 16 training steps"


def test_heat_map_image_is_as_wide_as_the_shares_of_the_run() -> None:
    image = heat_map_image(2, [(4, [1.0, 0.0]), (8, [0.5, 0.5])], 16)
    assert image.shape == (48, 480, 3)
    assert image.dtype == np.uint8
    top, bottom = image[0], image[-1]
    assert (top[:120] == DARK).all()
    assert (bottom[:120] == LIGHT).all()
    assert (top[120:360] == ((LIGHT + DARK) / 2).round()).all()
    assert (image[:, 360:] == FUTURE).all()
    assert (heat_map_image(2, [], 16) == FUTURE).all()


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_render_shows_the_selection_of_the_episode(mode: Any) -> None:
    env = DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 8), measure_rewards=False, render_mode=mode)
    env.reset(seed=0)
    first = env.render()
    env.step(np.array([1, 0, 0, 0, 0]))
    half = env.render()
    if mode == "ansi":
        assert half.splitlines()[0].endswith("|█|")
        assert half.splitlines()[-1] == "1 phase, 8 of 16 training steps"
    else:
        assert half.shape == first.shape == (120, 480, 3)
        assert (half[0, :240] == DARK).all()
        assert (half[:, 240:] == FUTURE).all()
    restored = DistillationEnv(env.distiller, phases=env.phases, measure_rewards=False, render_mode=mode)
    restored.reset()
    restored.restore(env.state())
    assert np.array_equal(restored.render(), half)
    env.reset()
    assert np.array_equal(env.render(), first)


def plain_settings(folder: Path) -> dict[str, Any]:
    """Settings of a tiny run, whose teacher is saved in a folder."""
    tiny_classifier(tiny_task()).save_pretrained(folder)
    plain = {"task": "synthetic-acceptability", "train_limit": 40, "max_length": 32, "batch_size": 8, "epochs": 1}
    return {**plain, "teacher": str(folder), "layers": 1, "precision": "fp32", "phase_steps": 2}


def test_gymnasium_makes_and_checks_every_render_mode(tmp_path: Path) -> None:
    plain = plain_settings(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("kselect/Distillation-v0", render_mode="rgb_array", **plain)
        check_env(env.unwrapped)
    frames = gymnasium.make("kselect/Distillation-v0", render_mode="rgb_array_list", **plain)
    frames.reset(seed=0)
    frames.step(np.ones(5, dtype=np.int8))
    images: Any = frames.render()
    assert [image.shape for image in images] == [(120, 480, 3)] * 2


def test_stable_baselines_makes_a_vector_of_it(tmp_path: Path) -> None:
    """Its `make_vec_env` always asks for images."""
    env_util = pytest.importorskip("stable_baselines3.common.env_util", reason="stable-baselines3 is not installed")
    vector = env_util.make_vec_env("kselect/Distillation-v0", n_envs=2, env_kwargs=plain_settings(tmp_path))
    assert vector.reset()["knowledge"].shape[:2] == (2, 5)
    assert [image.shape for image in vector.get_images()] == [(120, 480, 3)] * 2


def test_an_unknown_render_mode_is_refused() -> None:
    with pytest.raises(KselectError, match="Unknown render_mode 'rgb': did you mean 'rgb_array'"):
        DistillationEnv(tiny_distiller(), render_mode="rgb")  # type: ignore[arg-type]
    assert DistillationEnv(tiny_distiller()).render() is None

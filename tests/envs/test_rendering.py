"""The heat map of a run's selection, as text and as an image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kselect.config import KNOWLEDGE_NAMES, PhaseConfig
from kselect.envs.distillation import DistillationEnv
from kselect.envs.rendering import (
    FOOTER,
    FUTURE,
    HEADER,
    PAPER,
    ROW_HEIGHT,
    WIDTH,
    color,
    heat_map_image,
    heat_map_text,
    label_width,
)
from kselect.errors import KselectError
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

SHAPE = (HEADER + 5 * ROW_HEIGHT + FOOTER, WIDTH, 3)


def test_heat_map_text_has_a_line_per_kind_and_a_shade_per_phase() -> None:
    text = heat_map_text(("gold", "hidden"), [(2, [1.0, 0.0]), (4, [0.5, 0.5]), (2, [0.25, 0.75])], 16)
    assert text.splitlines() == ["gold   |█▒░|", "hidden | ▒▓|", "3 phases, 8 of 16 training steps"]
    assert heat_map_text(("gold",), [], 16) == "gold ||\n0 phases, 0 of 16 training steps"


def test_heat_map_image_is_as_wide_as_the_shares_of_the_run() -> None:
    names = ("gold", "hidden")
    image = heat_map_image(names, [(4, [1.0, 0.0]), (8, [0.25, 0.75])], 16)
    assert image.shape == (168, 640, 3)
    assert image.dtype == np.uint8
    left, right = label_width(names), WIDTH - 12
    quarter = (right - left) // 4
    gold, hidden = (image[HEADER + ROW_HEIGHT * row + ROW_HEIGHT // 2] for row in range(2))
    assert (gold[left + 1 : left + quarter - 1] == color(1)).all()
    assert (hidden[left + 1 : left + quarter - 1] == color(0)).all()
    assert (gold[left + quarter + 1 : left + 3 * quarter - 1] == color(0.25)).all()
    assert (hidden[left + quarter + 1 : left + 3 * quarter - 1] == color(0.75)).all()
    for band in (gold, hidden):
        assert (band[left + 3 * quarter + 2 : right] == FUTURE).all()
        assert (band[:left] != PAPER).any(), "no label"


def test_shades_of_the_heat_map_darken_with_the_weight() -> None:
    shades = [sum(color(weight)) for weight in np.linspace(0, 1, 11)]
    assert shades == sorted(shades, reverse=True)
    assert color(0) != FUTURE
    assert shades[0] - shades[2] > 100  # a fifth is to be seen


def test_labels_of_every_kind_of_knowledge_leave_room_for_the_bands() -> None:
    assert label_width(KNOWLEDGE_NAMES) < WIDTH // 2


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
        assert half.shape == first.shape == SHAPE
        left, right, row = label_width(env.names), WIDTH - 12, HEADER + ROW_HEIGHT // 2
        middle = (left + right) // 2
        assert (half[row, left + 1 : middle - 1] == color(1)).all()
        assert (half[row, middle + 1 : right] == FUTURE).all()
        assert (first[row, left + 1 : right] == FUTURE).all()
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
    assert [image.shape for image in images] == [SHAPE] * 2


def test_stable_baselines_makes_a_vector_of_it(tmp_path: Path) -> None:
    """Its `make_vec_env` always asks for images."""
    env_util = pytest.importorskip("stable_baselines3.common.env_util", reason="stable-baselines3 is not installed")
    vector = env_util.make_vec_env("kselect/Distillation-v0", n_envs=2, env_kwargs=plain_settings(tmp_path))
    assert vector.reset()["knowledge"].shape[:2] == (2, 5)
    assert [image.shape for image in vector.get_images()] == [SHAPE] * 2


def test_an_unknown_render_mode_is_refused() -> None:
    with pytest.raises(KselectError, match="Unknown render_mode 'rgb': did you mean 'rgb_array'"):
        DistillationEnv(tiny_distiller(), render_mode="rgb")  # type: ignore[arg-type]
    assert DistillationEnv(tiny_distiller()).render() is None

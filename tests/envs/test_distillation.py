from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from kselect import envs
from kselect.config import KNOWLEDGE_NAMES, PhaseConfig
from kselect.distillation.evaluation import fixed_sample
from kselect.envs.distillation import DistillationEnv
from kselect.envs.observation import CONTEXT, FEATURES, LIMIT, name_code
from kselect.errors import KselectError
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return str(folder)


def settings(teacher: str, **more: Any) -> dict[str, Any]:
    plain = {"task": "synthetic-acceptability", "train_limit": 80, "max_length": 32, "batch_size": 8, "epochs": 2}
    return {**plain, "teacher": teacher, "layers": 2, "precision": "fp32", "phase_steps": 3, **more}


@pytest.mark.parametrize("actions", ["hard", "soft"])
def test_passes_gymnasiums_check_without_a_warning(teacher: str, actions: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("kselect/Distillation-v0", actions=actions, **settings(teacher))
        check_env(env.unwrapped, skip_render_check=True)


def test_passes_the_check_with_cls_in_sight(teacher: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("kselect/Distillation-v0", observe_cls=True, **settings(teacher))
        check_env(env.unwrapped, skip_render_check=True)


def test_cls_is_the_mean_state_of_the_first_token() -> None:
    env = DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 4), observe_cls=True)
    distiller = env.distiller
    first, _ = env.reset(seed=0)
    probing = distiller.account.seconds["probing"]
    after, *_ = env.step(np.ones(5))
    assert distiller.account.seconds["probing"] > probing  # seeing costs, and is accounted
    assert after["teacher_cls"].tolist() == first["teacher_cls"].tolist()
    assert np.abs(after["student_cls"] - first["student_cls"]).max() > 1e-4
    tokenizer, train = distiller.student.tokenizer, distiller.task.splits["train"]
    texts = train.take(fixed_sample(len(train), 32)).text_a
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
    assert distiller.teacher is not None
    for classifier, seen in ((distiller.student, after["student_cls"]), (distiller.teacher, after["teacher_cls"])):
        with torch.no_grad():
            states = classifier.model.eval().bert(**inputs).last_hidden_state[:, 0].mean(0)
        np.testing.assert_allclose(seen, states.clip(-LIMIT, LIMIT), atol=1e-5)


def test_seeing_cls_changes_nothing() -> None:
    blind, seeing = (DistillationEnv(tiny_distiller(), observe_cls=cls) for cls in (False, True))
    infos = [[step[2] for step in play(env, 1, [1, 1, 1, 1, 1])[1:]] for env in (blind, seeing)]
    assert pickle.dumps(infos[0]) == pickle.dumps(infos[1])


@pytest.mark.parametrize("phases", ["constant", "growing", "adaptive"])
def test_a_phase_ends_where_the_agent_must_be_asked(phases: Any) -> None:
    env = DistillationEnv(tiny_distiller(), actions="soft", phases=PhaseConfig(phases, 6))
    env.decide_at([0.3, 0.5])  # of 16 steps: 4.8 is in the fifth, 8 at the end of the eighth
    ends = [step[2]["step"] for step in play(env, 0, [1, 0, 0, 0, 0])[1:]]
    assert {5, 8, 16} <= set(ends)
    assert ends == sorted(set(ends))
    env.decide_at([])
    assert 5 not in [step[2]["step"] for step in play(env, 0, [1, 0, 0, 0, 0])[1:]]


def test_the_id_is_registered_and_its_spec_travels() -> None:
    assert envs.DistillationEnv is DistillationEnv
    spec = gymnasium.spec("kselect/Distillation-v0")
    assert pickle.loads(pickle.dumps(spec)).id == spec.id
    assert spec.version == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"phase_step": 3}, "Unknown setting 'phase_step': did you mean 'phase_steps'?"),
        ({"actions": "sotf"}, "Unknown kind of actions 'sotf': did you mean 'soft'?"),
        ({"task": "mprc"}, "Unknown task 'mprc': did you mean 'mrpc'?"),
        ({"layers": 9}, "layers is 9, the teacher has 4"),
    ],
)
def test_wrong_settings_are_refused(teacher: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(KselectError) as error:
        gymnasium.make("kselect/Distillation-v0", **{**settings(teacher), **more})
    assert str(error.value).startswith(message)


def play(env: DistillationEnv, seed: int, action: list[float]) -> list[tuple[Any, ...]]:
    observation, info = env.reset(seed=seed)
    trace: list[tuple[Any, ...]] = [(observation, info)]
    terminated = False
    while not terminated:
        observation, reward, terminated, truncated, info = env.step(np.array(action, dtype=np.float32))
        assert not truncated
        trace.append((observation, reward, info))
    return trace


def flat(trace: list[tuple[Any, ...]]) -> bytes:
    return pickle.dumps(trace)


def test_everything_random_comes_from_the_seed() -> None:
    env, other = (DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 5)) for _ in range(2))
    first = play(env, 7, [1, 1, 1, 1, 1])
    play(env, 8, [1, 0, 0, 0, 0])
    assert flat(play(env, 7, [1, 1, 1, 1, 1])) == flat(first)
    assert flat(play(other, 7, [1, 1, 1, 1, 1])) == flat(first)
    assert flat(play(other, 8, [1, 1, 1, 1, 1])) != flat(first)


def test_rewards_add_up_to_the_whole_decrease_however_often_they_are_measured() -> None:
    totals = []
    for every in (1, 3, 100):
        distiller = tiny_distiller()
        env = DistillationEnv(
            distiller, phases=PhaseConfig("constant", 2, reward_every=every, reward_examples=16, reward="loss")
        )
        before = distiller.evaluate("reward").loss
        trace = play(env, 1, [1, 1, 0, 0, 0])
        totals.append(sum(step[1] for step in trace[1:]))
        assert totals[-1] == pytest.approx(before - distiller.evaluate("reward").loss, abs=1e-6)
        measured = ["reward_loss" in step[2] for step in trace[1:]]
        assert measured[-1]
        assert sum(measured) == {1: 8, 3: 3, 100: 1}[every]
    assert totals == pytest.approx([totals[0]] * 3, abs=1e-6)


def test_unmeasured_rewards_cost_nothing() -> None:
    env = DistillationEnv(tiny_distiller(), measure_rewards=False)
    trace = play(env, 1, [1, 0, 0, 0, 0])
    assert {step[1] for step in trace[1:]} == {0.0}
    assert env.distiller.account.seconds["reward"] == 0.0


def test_phases_of_one_step_are_possible() -> None:
    env = DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 1, reward_every=4))
    trace = play(env, 1, [1, 1, 1, 1, 1])
    assert len(trace) - 1 == env.distiller.total_steps
    assert all(step[2]["steps"] == 1 for step in trace[1:])


def test_the_observation_describes_the_last_phase() -> None:
    env = DistillationEnv(tiny_distiller(), actions="soft", phases=PhaseConfig("constant", 4))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    rows = observation["knowledge"][:, : len(FEATURES)]
    assert rows.tolist() == [[1, 0, 0, 0]] * 5  # losses at their start, nothing seen yet
    env.step(np.array([1, 1, 0, 0, 0], dtype=np.float32))
    observation, *_, info = env.step(np.array([1, 0, 0, 0, 0], dtype=np.float32))
    assert env.observation_space.contains(observation)
    context = dict(zip(CONTEXT, observation["context"], strict=True))
    assert context["progress"] == pytest.approx(8 / 16)
    assert context["teacher_age"] == pytest.approx(4 / 16)
    assert context["student_confidence"] == pytest.approx(info["signals"]["student_confidence"])
    ages = observation["knowledge"][:, FEATURES.index("age")]
    assert ages.tolist() == pytest.approx([0, 4 / 16, 8 / 16, 8 / 16, 8 / 16])
    assert observation["knowledge"][:, FEATURES.index("last_weight")].tolist() == [1, 0, 0, 0, 0]
    relative = observation["knowledge"][0, FEATURES.index("relative_loss")]
    assert relative == pytest.approx(info["losses"]["gold"] / env.distiller.initial_losses["gold"], rel=1e-5)


def test_a_loss_that_starts_at_0_is_relative_to_the_uninformed_loss() -> None:
    distiller = tiny_distiller({"knowledge": ["gold", "embeddings"]})
    assert distiller.initial_losses["embeddings"] == 0  # the student has its teacher's
    env = DistillationEnv(distiller, measure_rewards=False)
    env.reset(seed=0)
    observation, _, _, _, info = env.step(np.array([1, 1], dtype=np.int8))
    relative = observation["knowledge"][1, FEATURES.index("relative_loss")]
    assert relative == pytest.approx(info["losses"]["embeddings"] / np.log(2), rel=1e-5)
    assert 0 < relative < LIMIT


def test_rows_are_distinguished_by_their_names() -> None:
    codes = {name: tuple(name_code(name)) for name in (*KNOWLEDGE_NAMES, "marginals", "substructures", "embeddings")}
    assert len(set(codes.values())) == len(codes)
    assert set(np.concatenate([name_code(name) for name in codes])) == {-1.0, 1.0}


def test_info_holds_no_wall_clock() -> None:
    env = DistillationEnv(tiny_distiller())
    env.reset(seed=0)
    info = env.step(np.ones(5))[-1]
    rewarded = {"reward_loss", "reward_value", "reward_measure", "reward_unit", "reward_se", "return", "return_se"}
    numbers = {"phase", "step", "total_steps", "steps"}
    assert set(info) == {*numbers, "weights", "losses", "relative_losses", "signals", *rewarded}


@pytest.mark.parametrize("algorithm", ["A2C", "PPO"])
@pytest.mark.parametrize("actions", ["hard", "soft"])
def test_stable_baselines_trains_on_it_unchanged(algorithm: str, actions: Any, tmp_path: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    env = DistillationEnv(tiny_distiller(), actions=actions, phases=PhaseConfig("constant", 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Advice for its own networks: rows are flattened by MultiInputPolicy, and weights in [0, 1] are what they are.
        warnings.filterwarnings("ignore", message="Your observation knowledge has an unconventional shape")
        warnings.filterwarnings("ignore", message="We recommend you to use a symmetric and normalized Box action space")
        sb3_check_env(env)
    sizes = {"n_steps": 8} if algorithm == "A2C" else {"n_steps": 8, "batch_size": 8, "n_epochs": 1}
    model = getattr(sb3, algorithm)("MultiInputPolicy", env, device="cpu", seed=0, **sizes)
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(total_timesteps=16)
    assert any((old != new).any() for old, new in zip(before, model.policy.parameters(), strict=True))

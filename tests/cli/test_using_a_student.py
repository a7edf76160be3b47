"""From a run that stops early to a student in use: its card, its scores by class, its answers, all of one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

import kselect
from kselect.cli.main import main
from kselect.tasks.task import TextTask
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32"]
PHASES = ["--layers", "1", "--phases", "constant", "--phase_steps", "2", "--epochs", "3"]
STOPPING = ["--learning_rate", "0.02", "--early_stopping_patience", "2", "--load_best_student_at_end"]
CARD = """---
license: mit
base_model: user/encoder
---
# A teacher
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    tiny_classifier(tiny_task()).save_pretrained(place / "teacher")
    (place / "teacher" / "README.md").write_text(CARD)
    words = ["--task", "synthetic-acceptability", "--teacher", str(place / "teacher")]
    words += ["--runs_dir", str(place / "runs"), "--agent", "vanilla-kd"]
    schedule = ["--lr_scheduler_type", "cosine", "--gradient_checkpointing", "--device", "cpu"]
    assert main(["distill", *words, *SMALL, *PHASES, *STOPPING, *schedule, "--run_name", "student"]) == 0
    return place / "runs" / "student"


@pytest.fixture(scope="module")
def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def test_the_run_stopped_after_its_patience(results: dict[str, Any]) -> None:
    rewards = np.cumsum([phase["reward"] for phase in results["history"]])
    steps = [phase["step"] for phase in results["history"]]
    best = int(rewards.argmax())
    assert results["best"]["step"] == steps[best]
    assert results["best"]["loaded"]
    assert results["best"]["return"] == pytest.approx(rewards[best])
    assert results["truncated"]
    assert len(steps) == best + 3


def test_its_card_has_the_teachers_licence(run: Path, results: dict[str, Any]) -> None:
    card = ModelCard.load(run / "student" / "README.md")
    assert (card.data.license, card.data.base_model) == ("mit", ["user/encoder"])
    scores = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert scores == results["metrics"]
    assert f"those after step {results['best']['step']}, the best on the reward split" in card.text
    assert "| knowledge | 1st quarter | 2nd | 3rd | 4th |" in card.text
    assert f'kselect.load("{run / "student"}")' in card.text
    assert not (run / "README.md").exists()


def test_it_is_scored_class_by_class(
    run: Path, results: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.json"
    assert main(["evaluate", str(run), "--precision", "fp32", "--report", "--report_file", str(path)]) == 0
    out = capsys.readouterr().out
    dev = json.loads(path.read_text())["dev"]
    assert {**dev["metrics"], "loss": dev["loss"]} == pytest.approx(results["metrics"])
    assert np.sum(dev["classes"]["confusion"]) == dev["examples"] == results["examples"]
    assert out.count("classes of dev") == out.count("confusion on dev") == 1
    assert main(["evaluate", str(run), "--precision", "fp32"]) == 0
    assert "classes of dev" not in capsys.readouterr().out
    assert main(["evaluate", str(run), "--report_file", str(tmp_path / "none" / "a.json")]) == 2
    assert "whose folder does not exist" in capsys.readouterr().err


def test_it_answers_as_it_was_scored(run: Path, results: dict[str, Any]) -> None:
    task = kselect.load_task("synthetic-acceptability", train_limit=80)
    dev = task.splits["dev"]
    answers = kselect.load(run, precision="fp32").predict(dev.text_a)
    assert isinstance(task, TextTask)
    scores = task.score([task.labels.index(answer) for answer in answers], dev.labels)
    assert scores["score"] == pytest.approx(results["metrics"]["score"])

"""Facts by command: a policy that was trained with them is shown them, and results have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kselect.cli.main import main
from kselect.distillation.facts.facts import FACTS, Facts
from kselect.envs.observation import CONTEXT
from tests.tiny import tiny_classifier, tiny_task


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "teacher")
    small = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--layers", "1"]
    task = ["--task", "synthetic-acceptability", "--teacher", str(tmp_path / "teacher"), "--epochs", "1"]
    return [*task, *small, "--runs_dir", str(tmp_path / "runs")]


@pytest.mark.slow
def test_a_policy_with_facts(words: list[str], tmp_path: Path, cache_dir: Path) -> None:
    runs = tmp_path / "runs"
    shown = ["--observe_facts", "true", "--episodes", "1"]
    assert main(["train-policy", *words, *shown, "--run_name", "policy"]) == 0
    facts = json.loads((runs / "policy" / "results.json").read_text())["facts"]["synthetic-acceptability"]
    policy = runs / "policy" / "policy"
    assert json.loads((policy / "agent.json").read_text())["context"] == len(CONTEXT) + len(FACTS)
    (stored,) = (cache_dir / "facts").iterdir()
    assert main(["distill", *words, "--agent", str(policy), "--run_name", "student"]) == 0
    results = json.loads((runs / "student" / "results.json").read_text())
    assert results["facts"] == facts
    assert Facts.from_dict(facts).depth == 0.25
    assert main(["distill", *words, "--agent", "vanilla-kd", "--run_name", "plain"]) == 0
    assert "facts" not in json.loads((runs / "plain" / "results.json").read_text())
    assert main(["cache", "clear"]) == 0
    assert not stored.exists()

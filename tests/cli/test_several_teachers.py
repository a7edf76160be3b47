"""Two teachers from the command line: a row for each, their mean, and a number that is too high."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kselect.cli.main import main
from kselect.runs.run_log import Ledger
from kselect.training.comparison import KEY
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--task", "synthetic-acceptability", "--train_limit", "80", "--max_length", "32", "--batch_size", "8"]
SMALL += ["--precision", "fp32", "--layers", "1", "--epochs", "1", "--learning_rate", "3e-3"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teachers")
    tiny_classifier(tiny_task(), layers=2).save_pretrained(folder / "one")
    tiny_classifier(tiny_task(), layers=3, seed=1, hidden_size=24).save_pretrained(folder / "other")
    return f"{folder / 'one'},{folder / 'other'}"


def test_distill_from_the_second_teacher(both: str, tmp_path: Path) -> None:
    words = ["--teacher", both, *SMALL, "--runs_dir", str(tmp_path), "--run_name", "x"]
    agent = ["--agent", "gold:1,logits@2:1,hidden@2:0.5", "--layer_maps", "hidden@2=last", "--scales", "logits@2=2"]
    assert main(["distill", *words, *agent]) == 0
    results = json.loads((tmp_path / "x" / "results.json").read_text())
    assert list(results["scales"]) == ["gold", "logits@2", "hidden@2"]
    assert results["scales"]["logits@2"] == 2


def test_compare_both_teachers_with_their_mean(both: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agents = "each=gold:1,logits@1:1,hidden@2:1,mean=gold:1,logits:1"
    words = ["compare", "--teacher", both, *SMALL, "--runs_dir", str(tmp_path), "--agents", agents, "--seeds", "0"]
    assert main([*words, "--run_name", "x"]) == 0
    assert {"each", "mean"} <= set(capsys.readouterr().out.split())
    runs = Ledger(tmp_path / "x" / "runs.jsonl", KEY).latest().values()
    losses = [set(run["initial_losses"]) for run in runs if "initial_losses" in run]
    assert sorted(losses, key=len) == [{"gold", "logits"}, {"gold", "logits@1", "hidden@2"}]


@pytest.mark.parametrize("chosen", [["--agent", "gold:1,logits@3:1"], ["--knowledge", "gold,logits@3"]])
def test_number_beyond_the_teachers_is_refused_before_anything_is_loaded(
    chosen: list[str], both: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "--teacher", both, *SMALL, "--runs_dir", str(tmp_path), *chosen]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "knowledge logits@3 reads teacher 3 of 2: give a number up to 2, or more teachers." in said
    assert not list(tmp_path.iterdir())

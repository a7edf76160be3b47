"""`kselect compare` from the command line to the table, stopped and resumed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from kselect.analysis.plotting import can_draw
from kselect.cli.main import main
from kselect.config.comparison import CompareConfig
from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from kselect.training.comparison import KEY
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--layers", "1"]
SMALL += ["--epochs", "1", "--learning_rate", "3e-3"]
TIMED = ("seconds", "cost", "environment", "teacher")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers")
    for name in ("acceptability", "entailment"):
        tiny_classifier(tiny_task(f"synthetic-{name}"), layers=2).save_pretrained(folder / name)
    return folder


def command(teachers: Path, runs: Path, *more: str) -> list[str]:
    return ["compare", "--teacher", str(teachers / "acceptability"), *SMALL, "--runs_dir", str(runs), *more]


def runs_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Finished runs without their times."""
    latest = Ledger(folder / "runs.jsonl", KEY).latest()
    return {key: {name: value for name, value in run.items() if name not in TIMED} for key, run in latest.items()}


def fails(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("kselect: error: ")


def test_compare_reports_agents_over_seeds(teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.csv"
    agents = "fine-tune,vanilla-kd,half=gold:1,hidden:0.5"
    words = command(teachers, tmp_path, "--agents", agents, "--seeds", "0,1", "--run_name", "mine")
    assert main([*words, "--baseline", "vanilla-kd", "--output", str(report), "--format", "json"]) == 0
    folder = tmp_path / "mine"
    captured = capsys.readouterr()
    printed = json.loads(captured.out.splitlines()[0])
    assert [row["agent"] for row in printed] == [*("constant prediction", "teacher", "fine-tune", "vanilla-kd", "half")]
    assert [row["agent"] for row in csv.DictReader(io.StringIO(report.read_text()))] == [
        row["agent"] for row in printed
    ]
    results = json.loads((folder / "results.json").read_text())
    assert results["rows"] == printed
    runs = [run for run in runs_of(folder).values() if run["label"] != "teacher"]
    assert {(run["label"], run["seed"]) for run in runs} == {
        (label, seed) for label in ("fine-tune", "vanilla-kd", "half") for seed in (0, 1)
    }
    scores = {(run["label"], run["seed"]): 100 * run["metrics"]["score"] for run in runs}
    differences = [scores["half", seed] - scores["vanilla-kd", seed] for seed in (0, 1)]
    assert printed[-1]["difference"] == pytest.approx(sum(differences) / 2)
    assert "\n| half " in (folder / "table.md").read_text()
    assert not (folder / "checkpoints").exists()
    assert "Comparing 3 agents on synthetic-acceptability" in captured.err
    # A run is what `kselect distill` makes of it, and config.yaml repeats all of them.
    base = [word for word in command(teachers, tmp_path)[1:]]
    assert main(["distill", *base, "--agent", "vanilla-kd", "--seed", "1", "--run_name", "alone"]) == 0
    alone = json.loads((tmp_path / "alone" / "results.json").read_text())
    assert 100 * alone["metrics"]["score"] == scores["vanilla-kd", 1]
    assert main(["compare", "--config", str(folder / "config.yaml"), "--run_name", "again", "--processes", "2"]) == 0
    assert runs_of(tmp_path / "again") == runs_of(folder)


def test_compare_over_tasks_with_a_failing_agent(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    also = tmp_path / "also.yaml"
    also.write_text(yaml.safe_dump({"task": "synthetic-entailment", "teacher": str(teachers / "entailment")}))
    agents = ["--agents", "fine-tune,gold:1,parser-trees:1", "--seeds", "0", "--also", str(also), "--run_name", "mine"]
    words = command(teachers, tmp_path, *agents)
    assert "2 of 6 runs failed" in fails(capsys, words)
    table = (tmp_path / "mine" / "table.md").read_text()
    assert table.count("## synthetic-") == 2
    assert table.count("| gold:1,parser-trees:1 | seed 0 failed: ") == 2
    assert not (tmp_path / "mine" / "results.json").exists()
    before = (tmp_path / "mine" / "runs.jsonl").read_text()
    assert "2 of 6 runs failed" in fails(capsys, words)  # tried again, and those alone
    after = (tmp_path / "mine" / "runs.jsonl").read_text()
    assert after.startswith(before)
    assert [json.loads(line)["label"] for line in after[len(before) :].splitlines()] == 2 * ["gold:1,parser-trees:1"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "processes"), [(signal.SIGINT, "1"), (signal.SIGKILL, "1"), (signal.SIGINT, "2")])
def test_compare_resumes_where_it_was_stopped(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, processes: str
) -> None:
    agents = ["--agents", "fine-tune,vanilla-kd", "--seeds", "0,1", "--processes", processes, "--epochs", "8"]
    words = command(teachers, tmp_path, *agents)
    folder = tmp_path / "mine"
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "kselect.cli.main", *words, "--run_name", "mine"],
            stderr=errors,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        patience = time.monotonic() + 300
        while not (folder / "runs.jsonl").exists() or (folder / "runs.jsonl").read_text().count("\n") < 2:
            assert time.monotonic() < patience, (tmp_path / "errors").read_text()
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(300) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    said = (tmp_path / "errors").read_text().strip().splitlines()[-1]
    assert number == signal.SIGKILL or "of 5 runs; to resume, give the same command again" in said
    assert not (folder / "results.json").exists()
    kept = (folder / "runs.jsonl").read_text()
    assert main([*words, "--run_name", "mine"]) == 0
    assert f"Resuming {folder} after " in capsys.readouterr().err
    assert (folder / "runs.jsonl").read_text().startswith(kept)
    assert main([*words, "--run_name", "straight"]) == 0
    assert runs_of(folder) == runs_of(tmp_path / "straight")


@pytest.mark.skipif(not can_draw(), reason="without matplotlib")
def test_compare_draws_a_plot(teachers: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    words = command(teachers, tmp_path, "--agents", "fine-tune,all", "--seeds", "0", "--plot", str(plot))
    assert main(words) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--agents", "vanila-kd"], "did you mean 'vanilla-kd'"),
        (["--agents", "all,all"], "agents has a label twice"),
        (["--agents", "teacher=all"], "which is a row of its own"),
        (["--agents", "all", "--baseline", "fine-tune"], "baseline is 'fine-tune': give one of all"),
        (["--agents", "all", "--processes", "0"], "processes is 0: give a positive number"),
        (["--agents", "all", "--output", "nowhere/table.md"], "output is nowhere/table.md"),
        (["--agents", "actor-critic"], "no policy yet"),
        (["--seeds", ""], "seeds is empty"),
    ],
)
def test_compare_refuses_bad_input(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert said in fails(capsys, command(teachers, tmp_path, *more))
    assert list(tmp_path.iterdir()) == []


def test_compare_refuses_a_further_task_without_teacher(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    also = tmp_path / "also.yaml"
    for text, said in (("task: mrpc", "names no teacher"), ("task: mrpc\nteacher: x\nsed: 1", "did you mean")):
        also.write_text(text)
        assert said in fails(capsys, command(teachers, tmp_path, "--also", str(also)))


def test_compare_config_joins_weights_that_the_comma_of_agents_parted() -> None:
    config = CompareConfig(["all", "soft=gold:1", "logits:0.5", "fine-tune", "gold:1", "logits:1", "gold:2"])
    assert config.labelled == {
        **{"all": "all", "soft": "gold:1,logits:0.5", "fine-tune": "fine-tune"},
        "gold:1,logits:1,gold:2": "gold:1,logits:1,gold:2",
    }
    assert config.baseline_label == "all"
    with pytest.raises(KselectError, match="label twice"):
        CompareConfig(["a=all", "a=fine-tune"])

"""`kselect compare` from the command line to the table, stopped and resumed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from kselect.analysis.plotting import can_draw
from kselect.cli.commands import COMMANDS
from kselect.cli.compared_tasks import settings_of_run, tasks_of
from kselect.cli.main import main
from kselect.config import AgentConfig, CompareSettings
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
        (folder / f"synthetic-{name}").symlink_to(folder / name)
    return folder


def command(teachers: Path, runs: Path, *more: str) -> list[str]:
    task = ["--task", "synthetic-acceptability", "--teacher", str(teachers / "acceptability")]
    return ["compare", *task, *SMALL, "--runs_dir", str(runs), *more]


TASKS = ("synthetic-acceptability", "synthetic-entailment")


def command_of_tasks(teachers: Path, runs: Path, *more: str) -> list[str]:
    """A comparison on both tasks, each with its own teacher."""
    tasks = ["--tasks", ",".join(TASKS), "--teacher", str(teachers / "{task}")]
    return ["compare", *SMALL, "--runs_dir", str(runs), *tasks, *more]


def settings_of_tasks(words: list[str]) -> list[CompareSettings]:
    settings = COMMANDS["compare"].settings(words[1:])
    assert settings is not None
    return tasks_of(settings)


def runs_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Finished runs without their times."""
    latest = Ledger(folder / "runs.jsonl", KEY).latest()
    return {key: {name: value for name, value in run.items() if name not in TIMED} for key, run in latest.items()}


def fails(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("kselect: error: ")


@pytest.mark.slow
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


@pytest.mark.slow
def test_compare_over_tasks_with_a_failing_agent(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = ["--agents", "fine-tune,vanilla-kd", "--seeds", "0", "--run_name", "mine"]
    words = command_of_tasks(teachers, tmp_path, *agents, "--temperature", "1e-40")  # too small a divisor of logits
    assert "2 of 4 runs failed" in fails(capsys, words)
    table = (tmp_path / "mine" / "table.md").read_text()
    assert table.count("## synthetic-") == 2
    assert len(re.findall(r"\| vanilla-kd +\| seed 0 failed: ", table)) == 2
    assert not (tmp_path / "mine" / "results.json").exists()
    before = (tmp_path / "mine" / "runs.jsonl").read_text()
    assert "2 of 4 runs failed" in fails(capsys, words)  # tried again, and those alone
    after = (tmp_path / "mine" / "runs.jsonl").read_text()
    assert after.startswith(before)
    assert [json.loads(line)["label"] for line in after[len(before) :].splitlines()] == 2 * ["vanilla-kd"]


def test_the_settings_of_each_task(teachers: Path, tmp_path: Path) -> None:
    """Options win over the file of a task, that file over other files, and data are those of the task alone."""
    base, own, custom = (tmp_path / f"{name}.yaml" for name in ("base", "own", "custom"))
    base.write_text(
        "train_file: base.csv\ntext_columns: [text]\nteacher: base\nepochs: 7\nbatch_size: 4\ndata_seed: 5\n"
    )
    own.write_text("task: MRPC\nteacher: mine\nepochs: 2\nlearning_rate: 0.5\n")
    custom.write_text("train_file: mood.csv\ntext_columns: [text]\nteacher: 'of/{task}'\ntemperature: 3\n")
    words = ["compare", "--config", str(base), "--tasks", f"{own},{custom},SST-2", "--learning_rate", "0.1"]
    with pytest.raises(KselectError, match="teacher is base, but each task needs its own"):
        settings_of_tasks(words)
    base.write_text(base.read_text().replace("teacher: base", "teacher: '{task}/model'"))
    every = settings_of_tasks(words)
    assert [each.task.task for each in every] == ["mrpc", "mood", "sst2"]
    assert [each.model.teacher for each in every] == ["mine", "of/mood", "sst2/model"]
    assert [each.task.train_file for each in every] == [None, "mood.csv", None]
    assert [each.training.epochs for each in every] == [2, 7, 7]
    assert {each.training.learning_rate for each in every} == {0.1}
    assert {(each.training.batch_size, each.task.data_seed) for each in every} == {(4, 5)}
    agent = AgentConfig("vanilla-kd")
    assert [settings_of_run(each, agent, 0).knowledge.temperature for each in every] == [2.0, 3.0, 2.0]
    assert [each.model.teacher for each in settings_of_tasks([*words, "--teacher", "a/{task},b/{task}"])] == [
        ["a/mrpc", "b/mrpc"],
        ["a/mood", "b/mood"],
        ["a/sst2", "b/sst2"],
    ]
    (only,) = settings_of_tasks(["compare", "--tasks", "rte", "--teacher", "mine"])
    assert (only.task.task, only.model.teacher) == ("rte", "mine")


@pytest.mark.slow
def test_a_task_scores_as_in_a_comparison_of_its_own(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = ["--agents", "distilbert,fine-tune", "--seeds", "0"]
    assert main(command_of_tasks(teachers, tmp_path, *agents, "--run_name", "both")) == 0
    said = capsys.readouterr().err
    assert "Evaluating the teacher of synthetic-acceptability and synthetic-entailment." in said
    assert "40/40 steps" in said
    assert "teacher, seed" not in said
    runs = runs_of(tmp_path / "both")
    by_task: dict[str, dict[str, Any]] = {}
    assert [run["label"] for run in runs.values()][:2] == 2 * ["teacher"]
    for name in TASKS:
        words = ["compare", *SMALL, "--task", name, "--teacher", str(teachers / name), "--runs_dir", str(tmp_path)]
        assert main([*words, *agents, "--run_name", name]) == 0
        by_task |= runs_of(tmp_path / name)
    assert runs == by_task
    repeat = ["compare", "--config", str(tmp_path / "both" / "config.yaml"), "--run_name", "again"]
    assert main(repeat) == 0
    assert runs_of(tmp_path / "again") == runs
    assert {each.training.epochs for each in settings_of_tasks([*repeat, "--epochs", "3"])} == {3}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--agents", "fine-tune,gold:1,parser-trees:1"],
            "gold:1,parser-trees:1 on synthetic-acceptability: knowledge",
        ),
        (["--agents", "fine-tune,structural-kd"], "structural-kd on synthetic-acceptability: "),
        (
            ["--agents", "fine-tune,pkd", "--knowledge", "gold,logits"],
            "pkd on synthetic-acceptability: Agent 'pkd' needs",
        ),
        (["--layers", "3"], "on synthetic-acceptability: layers is 3, the teacher has 2"),
        (["--head", "crf"], "head is crf, which is not for task_type text"),
        (["--max_length", "64"], "max_length is 64, the model takes 32 tokens"),
    ],
)
def test_a_wrong_setting_is_found_before_the_first_run(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert said in fails(capsys, command_of_tasks(teachers, tmp_path, *more))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_of_the_second_task_is_found_before_the_first_run(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = tmp_path / "second.yaml"
    task = {"task": "synthetic-topics", "teacher": str(teachers / "entailment")}
    for wrong, said in (
        ({}, "synthetic-topics"),  # with other labels than the teacher's
        ({"teacher": "./none"}, "No such model folder: ./none"),
        ({"reward_fraction": 2}, f"reward_fraction is 2.0: give a share of train between 0 and 1. ({second}: reward"),
        ({"layer_map": "1:9"}, "on synthetic-topics: "),
    ):
        second.write_text(yaml.safe_dump({**task, **wrong}))
        tasks = ["--tasks", f"synthetic-acceptability,{second}"]
        words = ["compare", *SMALL, *tasks, "--agents", "vanilla-kd", "--runs_dir", str(tmp_path / "runs")]
        base = tmp_path / "base.yaml"
        base.write_text(yaml.safe_dump({"teacher": str(teachers / "{task}")}))
        assert said in fails(capsys, [*words, "--config", str(base)])
    assert not (tmp_path / "runs").exists()


def test_a_damaged_policy_is_found_before_the_first_run(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command(teachers, tmp_path)[1:]
    assert main(["train-policy", *words, "--episodes", "1", "--run_name", "policy"]) == 0
    policy = tmp_path / "policy" / "policy"
    weights = next(policy.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    agents = ["--agents", f"fine-tune,learned={policy}", "--run_name", "mine"]
    assert fails(capsys, command(teachers, tmp_path, *agents)).startswith("learned on synthetic-acceptability: ")
    assert not (tmp_path / "mine").exists()


@pytest.mark.nightly
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
    assert number == signal.SIGKILL or "of 4 runs; to resume, give the same command again" in said
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
        (["--agents", "all", "--gpus_per_run", "0.5"], "gpus_per_run is for the engine ray or slurm"),
        (["--agents", "all", "--minutes_per_run", "9"], "minutes_per_run is for the engine slurm: leave it out"),
        (["--agents", "all", "--engine", "slurm", "--gpus_per_run", "0.5"], "give a whole number of GPUs"),
        (["--agents", "all", "--engine", "ray", "--gpus_per_run", "1.5"], "gpus_per_run is 1.5: give a share"),
        *(
            pytest.param(
                ["--agents", "all", "--engine", engine],
                f"pip install 'kselect[{engine}]'",
                marks=pytest.mark.skipif(find_spec(package) is not None, reason=f"{package} is installed"),
            )
            for engine, package in (("ray", "ray"), ("slurm", "submitit"))
        ),
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


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--tasks", "rte,mrpc"],
            "rte has no teacher: give the path of each task's teacher as a pattern, such as runs/{",
        ),
        (["--tasks", "rte,mrpc", "--teacher", "t"], "teacher is t, but each task needs its own: write {task} for the"),
        (["--tasks", "mprc"], "Unknown task 'mprc': did you mean 'mrpc'? Known: synthetic"),
        (
            ["--tasks", "wnut17"],
            "give a YAML file of its settings, such as configs/wnut17.yaml, which lies here. (--tas",
        ),
        (["--tasks", "rte,RTE", "--teacher", "{task}"], "tasks has rte twice: give each task once. (--tasks)"),
        (
            ["--tasks", "rte", "--task", "rte"],
            "task belongs to a single task, and tasks names its own: leave it out, or",
        ),
        (["--tasks", "rte", "--train_file", "a"], "train_file belongs to a single task"),
        (["--tasks", "configs/rt.yaml"], "did you mean 'configs/rte.yaml'? Give --tasks the path of a YAML file."),
        (["--tasks", "own.yaml"], "own.yaml names no task: give its task or, for a custom dataset, train_file."),
        (
            ["--tasks", "shared.yaml"],
            "shared.yaml: seeds is shared by all tasks: leave it out there, and give it once.",
        ),
        (["--tasks", "typo.yaml"], "typo.yaml: unknown key 'epoch': did you mean 'epochs'?"),
        (["--tasks", "type.yaml"], "type.yaml: epochs is 'many': expected"),
        (["--tasks", "unknown.yaml"], "Unknown task 'mprc': did you mean 'mrpc'?"),
        (["--tasks", '["{1", "{a: b}"]'], "tasks has {1, which is not a mapping"),
    ],
)
def test_compare_refuses_tasks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    for path, text in (
        ("configs/rte.yaml", ""),
        ("configs/wnut17.yaml", ""),
        ("own.yaml", "teacher: t"),
        ("shared.yaml", "task: rte\nseeds: [0]"),
        ("typo.yaml", "task: rte\nepoch: 3"),
        ("type.yaml", "task: rte\nteacher: t\nepochs: many"),
        ("unknown.yaml", "task: mprc\nteacher: t"),
    ):
        (tmp_path / path).write_text(text)
    assert said in fails(capsys, ["compare", *more])
    assert not (tmp_path / "runs").exists()


def test_compare_config_joins_weights_that_the_comma_of_agents_parted() -> None:
    config = CompareConfig(["all", "soft=gold:1", "logits:0.5", "fine-tune", "gold:1", "logits:1", "gold:2"])
    assert config.labelled == {
        **{"all": "all", "soft": "gold:1,logits:0.5", "fine-tune": "fine-tune"},
        "gold:1,logits:1,gold:2": "gold:1,logits:1,gold:2",
    }
    assert config.baseline_label == "all"
    with pytest.raises(KselectError, match="label twice"):
        CompareConfig(["a=all", "a=fine-tune"])

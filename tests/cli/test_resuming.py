"""A command that is really killed, and given again, ends as if it had never been stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.cli.main import main
from tests import word_files
from tests.tiny import tiny_classifier, tiny_task

ROOT = Path(__file__).parents[2]
SMALL = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32"]
ENCODER = ["--hidden_size", "16", "--heads", "2", "--encoder_layers", "2", "--epochs", "20"]
LAUNCHER = """
import json, os, signal, sys
import sklearn.metrics, torch
from kselect.cli import distill, train_policy, train_teacher, training_run
from kselect.cli.main import main
from kselect.recipes import policies
torch.set_num_threads(1)
for line in sys.stdin:
    words, errors = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background ignores
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
        os.dup2(2, 1)
        os._exit(main(words))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
PATIENCE = 600  # seconds that a busy machine may take up to the phase that is waited for
PHASES = ["--layers", "1", "--phases", "constant", "--phase_steps", "4"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return str(folder)


def command(name: str, teacher: str, runs: Path, *more: str) -> list[str]:
    task = ["--task", "synthetic-acceptability"]
    kind = ENCODER if name == "train-teacher" else [*PHASES, "--teacher", teacher]
    return [name, *task, *SMALL, *kind, "--runs_dir", str(runs), "--checkpoint_every", "0", *more]


class Launcher:
    """Starts commands in processes of their own, forked from one that has done the imports, which take seconds."""

    def __init__(self) -> None:
        process = [sys.executable, "-c", LAUNCHER]
        self.process = subprocess.Popen(process, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def kill(
        self, words: list[str], folder: Path, number: signal.Signals, phases: int, group: bool = False
    ) -> tuple[int, str]:
        """Run a command, send it, or it and its processes, a signal after so many phases.

        Returns its exit code and what it said.
        """
        errors = folder.with_name(f"{folder.name}.err")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([words, str(errors)]), file=self.process.stdin, flush=True)
        pid = int(self.process.stdout.readline())
        metrics, patience = folder / "metrics.jsonl", time.monotonic() + PATIENCE
        while not metrics.exists() or metrics.read_text().count("\n") < phases:
            assert time.monotonic() < patience, errors.read_text()
            time.sleep(0.002)
        (os.killpg if group else os.kill)(pid, number)
        code = int(self.process.stdout.readline())
        return code, errors.read_text()


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.process.communicate("")


def told(folder: Path) -> list[dict[str, Any]]:
    """What metrics.jsonl says of each phase, wall time apart."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("cost/")} for line in lines]


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("cost/")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def check_equal(resumed: Path, straight: Path, weights: str) -> None:
    ours, theirs = load_file(resumed / weights), load_file(straight / weights)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert told(resumed) == told(straight)
    parts = sorted({path.parent.relative_to(straight) for path in straight.rglob("events.out.*")})
    assert parts == sorted({path.parent.relative_to(resumed) for path in resumed.rglob("events.out.*")})
    for part in parts:  # of several episodes, one for each
        assert curves(resumed / part) == curves(straight / part)
    first, second = (json.loads((folder / "results.json").read_text()) for folder in (resumed, straight))
    timed = ("seconds", "cost")
    assert {k: v for k, v in first.items() if k not in timed} == {k: v for k, v in second.items() if k not in timed}
    assert not (resumed / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more", "number", "weights"),
    [
        ("distill", ["--agent", "all", "--epochs", "8"], signal.SIGKILL, "student/model.safetensors"),
        ("distill", ["--agent", "online", "--epochs", "8"], signal.SIGINT, "student/model.safetensors"),
        ("train-policy", ["--episodes", "2", "--epochs", "5"], signal.SIGTERM, "policy/agent.safetensors"),
        ("train-teacher", [], signal.SIGKILL, "model/model.safetensors"),
    ],
    ids=["distill-fixed", "distill-online", "train-policy", "train-teacher"],
)
def test_a_killed_command_goes_on_where_it_was(
    launcher: Launcher,
    teacher: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    more: list[str],
    number: signal.Signals,
    weights: str,
) -> None:
    words = command(name, teacher, tmp_path, *more)
    folder = tmp_path / "killed"
    code, said = launcher.kill([*words, "--run_name", "killed"], folder, number, phases=5)
    assert not (folder / "results.json").exists(), "the run was over before it could be killed"
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 130
        last = said.strip().splitlines()[-1]
        assert last.startswith("kselect: interrupted at step ")
        assert last.endswith(f"or kselect {name} --config {folder}/config.yaml --run_name killed")
    capsys.readouterr()
    assert main([*words, "--run_name", "killed"]) == 0
    assert f"Resuming {folder} after " in capsys.readouterr().err
    assert main([*words, "--run_name", "straight"]) == 0
    check_equal(folder, tmp_path / "straight", weights)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences with tags and with trees, and a teacher for each."""
    folder = tmp_path_factory.mktemp("words")
    word_files.write(folder)
    for kind, head in (("tags", "crf"), ("trees", "parser")):
        teacher = ["--encoder", str(folder / "encoder"), "--head", head, "--epochs", "1", "--run_name", kind]
        assert main(["train-teacher", *of_words(folder, kind), *teacher, "--runs_dir", str(folder)]) == 0
    return folder


def of_words(folder: Path, kind: str) -> list[str]:
    suffix = {"tags": "conll", "trees": "conllu"}[kind]
    files = [word for part in ("train", "dev") for word in (f"--{part}_file", str(folder / f"{part}.{suffix}"))]
    return ["--task_type", kind, "--task", f"my-{kind}", *files, "--batch_size", "8", "--precision", "fp32"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "more", "number", "weights"),
    [
        ("distill", "tags", ["--agent", "structural-kd"], signal.SIGKILL, "student/head.safetensors"),
        ("distill", "trees", ["--agent", "online"], signal.SIGINT, "student/head.safetensors"),
        ("train-policy", "tags", ["--head", "tagger", "--episodes", "2"], signal.SIGTERM, "policy/agent.safetensors"),
    ],
    ids=["distill-crf", "distill-parser", "train-policy"],
)
def test_a_killed_command_on_words_goes_on_where_it_was(
    launcher: Launcher,
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    kind: str,
    more: list[str],
    number: signal.Signals,
    weights: str,
) -> None:
    run = [name, *of_words(words, kind), *PHASES, "--teacher", str(words / kind / "model"), "--epochs", "12", *more]
    run += ["--runs_dir", str(tmp_path), "--checkpoint_every", "0", "--run_name"]
    folder = tmp_path / "killed"
    code, _ = launcher.kill([*run, "killed"], folder, number, phases=5)
    assert not (folder / "results.json").exists(), "the run was over before it could be killed"
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    capsys.readouterr()
    assert main([*run, "killed"]) == 0
    assert f"Resuming {folder} after " in capsys.readouterr().err
    assert main([*run, "straight"]) == 0
    check_equal(folder, tmp_path / "straight", weights)


@pytest.mark.slow
def test_a_stopped_parallel_run_goes_on_from_its_last_round(
    launcher: Launcher, teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command("train-policy", teacher, tmp_path, "--episodes", "4", "--epochs", "4", "--parallel", "2")
    folder, phases = tmp_path / "killed", 2 * 10  # of 40 training steps in a round of two
    more = ["--run_name", "killed"]
    code, said = launcher.kill([*words, *more], folder, signal.SIGTERM, phases=phases + 1, group=True)
    assert code == 130
    assert "Traceback" not in said
    assert "kselect: interrupted at step 80 of 160; to resume, " in said.strip().splitlines()[-1]
    capsys.readouterr()
    assert main([*words, *more]) == 0
    assert f"Resuming {folder} after 80 of 160 training steps." in capsys.readouterr().err
    phases_told = told(folder)
    assert len(phases_told) == 2 * phases
    assert {line["episode"] for line in phases_told} == {0, 1, 2, 3}


@pytest.mark.slow
def test_a_parallel_run_that_diverged_is_not_gone_on_with(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--episodes", "2", "--parallel", "2", "--epochs", "2", "--scales", "gold=1e38,logits=1e38,hidden=1e38"]
    words = command("train-policy", teacher, tmp_path, *more, "--learning_rate", "1", "--run_name", "mine")
    assert main(words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Training diverged at step" in error
    assert "last good state" not in error
    assert [path.name for path in (tmp_path / "mine" / "checkpoints").iterdir() if path.name != "lock"] == ["diverged"]


def interrupt(words: list[str], folder: Path) -> None:
    """Run a command in this process, and interrupt it after its second phase."""

    def watch() -> None:
        metrics = folder / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 2:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    assert main(words) == 130
    watcher.join()


@pytest.fixture
def stopped(teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The words of a distillation that was interrupted."""
    words = command("distill", teacher, tmp_path, "--agent", "fine-tune", "--epochs", "10", "--run_name", "mine")
    interrupt(words, tmp_path / "mine")
    capsys.readouterr()
    return words


@pytest.mark.slow
def test_other_settings_are_refused_and_fresh_starts_over(
    stopped: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*stopped, "--learning_rate", "0.5", "--layers", "2"]) == 2
    _, error = capsys.readouterr().err.splitlines()  # after a line about the data
    assert (
        "mine holds an unfinished run of other settings: layers was 1, is 2; learning_rate was 0.0001, is 0.5" in error
    )
    assert main([*stopped, "--fresh"]) == 0
    assert "Going on" not in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.old-1"]
    assert len(told(tmp_path / "mine")) == 25
    assert main(stopped) == 2
    assert "mine is not empty, its run is finished" in capsys.readouterr().err
    assert main([*stopped, "--fresh"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.old-1", "mine.old-2"]


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    stopped: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    latest, before = (tmp_path / "mine" / "checkpoints" / f"latest{part}.safetensors" for part in ("", "-before"))
    latest.write_bytes(latest.read_bytes()[:1000])
    whole = before.read_bytes()
    before.write_bytes(whole[:1000])
    assert main(stopped) == 2
    _, error = capsys.readouterr().err.splitlines()
    assert f"The checkpoint {latest} is damaged" in error
    before.write_bytes(whole)
    assert main(stopped) == 0
    assert f"The checkpoint {latest} is damaged" in caplog.text
    assert f"Instead, the run resumes from {before}, the one before." in caplog.text
    resuming = rf"Resuming {re.escape(str(tmp_path / 'mine'))} after \d+ of 100 training steps\."
    assert re.search(resuming, capsys.readouterr().err)
    assert main([*stopped, "--run_name", "straight"]) == 0
    check_equal(tmp_path / "mine", tmp_path / "straight", "student/model.safetensors")


@pytest.mark.slow
def test_phases_that_the_log_has_lost_are_written_anew(
    stopped: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "mine" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:100])
    assert main(stopped) == 0
    said = capsys.readouterr().err
    assert re.search(
        rf"{re.escape(str(metrics))} lacks (\d) of the checkpoint's \1 phases: they are written anew", said
    )
    phases = told(tmp_path / "mine")
    assert main([*stopped, "--run_name", "straight"]) == 0
    assert phases == told(tmp_path / "straight")


def test_a_run_stopped_before_its_first_checkpoint_starts_over(
    stopped: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for checkpoint in (tmp_path / "mine" / "checkpoints").glob("*.safetensors"):
        checkpoint.unlink()
    assert main(stopped) == 0
    assert f"Starting {tmp_path / 'mine'} over: it was stopped before" in capsys.readouterr().err
    assert [line["step"] for line in told(tmp_path / "mine")] == [*range(4, 104, 4)]
    assert [step for step, _ in curves(tmp_path / "mine")["loss/gold"]] == [*range(4, 104, 4)]


def test_a_run_that_diverged_is_not_gone_on_with(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--agent", "all", "--epochs", "2", "--scales", "hidden=1e38", "--learning_rate", "1", "--run_name", "mine"]
    words = command("distill", teacher, tmp_path, *more)
    assert main(words) == 2
    assert (tmp_path / "mine" / "checkpoints" / "last-good.safetensors").is_file()
    assert not (tmp_path / "mine" / "checkpoints" / "latest.safetensors").exists()
    capsys.readouterr()
    assert main(words) == 2
    assert "mine is not empty, its run diverged" in capsys.readouterr().err

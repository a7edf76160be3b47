"""Commands that are killed again and again, at random moments and in the middle of file operations.

`KSELECT_KILLS` is how many kills each command must survive; `make nightly` takes 20.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.cli.test_collect import SUITE
from tests.tiny import save_encoder, tiny_classifier, tiny_task

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KSELECT_KILLS", "4"))
IN_ONE_RUN = 4
OPERATIONS = ("replace", "rename", "fsync", "unlink", "mkdir", "rmdir")
"""Functions of os at which a command is killed: what files come into being and go by."""
CHILD = f"""
import json, os, signal, sys
import sklearn.metrics, torch
from kselect.cli import collect, compare, distill, explain, train_policy, train_teacher
from kselect.cli.main import main
from kselect.recipes import policies
torch.set_num_threads(1)

def count_operations(last):
    count = 0
    def counted(function):
        def wrapper(*arguments, **named):
            nonlocal count
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)
        return wrapper
    for name in {OPERATIONS!r}:
        setattr(os, name, counted(getattr(os, name)))
    return lambda: count

for line in sys.stdin:
    words, last, said = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(2, 1)
        count = count_operations(last)
        code = main(words)
        open(said + ".operations", "w").write(str(count()))
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
TIMES = {"seconds", "cost", "seconds_per_step", "machine"}
SMALL = ["--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--checkpoint_every", "0"]
TASK = ["--task", "synthetic-acceptability", "--train_limit", "80"]
COMMANDS = {
    "distill": ["--agent", "all", "--epochs", "8"],
    "distill-online": ["--agent", "online", "--epochs", "8"],
    "distill-recorded": ["--agent", "all", "--epochs", "8", "--record", "true"],
    "train-policy": ["--episodes", "3", "--epochs", "4"],
    "train-policy-parallel": ["--episodes", "4", "--epochs", "4", "--parallel", "2"],
    "train-teacher": ["--hidden_size", "16", "--heads", "2", "--encoder_layers", "2", "--epochs", "20"],
    "explain": ["--seeds", "0,1", "--epochs", "1"],
    "compare": ["--agents", "fine-tune,vanilla-kd,online", "--seeds", "0,1", "--epochs", "2"],
    "collect": [],
}


class Processes:
    """Runs commands in processes forked from one that has done the imports."""

    def __init__(self) -> None:
        process = [sys.executable, "-c", CHILD]
        self.process = subprocess.Popen(process, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, words: list[str], said: Path, operation: int = 0, seconds: float | None = None) -> int:
        """Run a command and kill it before a file operation, or after so many seconds; return its exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([words, operation, str(said)]), file=self.process.stdin, flush=True)
        pid = int(self.process.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            with suppress(ProcessLookupError):  # it was faster
                os.killpg(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.process.communicate("")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    tiny_classifier(tiny_task()).save_pretrained(folder / "teacher")
    save_encoder(tiny_classifier(tiny_task(), layers=4), folder / "encoder")
    (folder / "suite.yaml").write_text(SUITE)
    return folder


def command(kind: str, place: Path, folder: Path) -> list[str]:
    """Return the words of a command whose run is kept in `folder`."""
    name = kind.removesuffix("-online").removesuffix("-recorded").removesuffix("-parallel")
    if name == "collect":
        suite = ["--suite", str(place / "suite.yaml"), "--encoder", str(place / "encoder")]
        return [name, *suite, "--pool", str(folder), "--seeds", "0", "--conditions", "texts,new"]
    where = ["--runs_dir", str(folder.parent), "--run_name", folder.name]
    small = SMALL if name not in ("explain", "compare") else SMALL[:-2]
    of_teacher = [] if name == "train-teacher" else ["--layers", "1", "--teacher", str(place / "teacher")]
    phases = ["--phases", "constant", "--phase_steps", "4"] if name in ("distill", "train-policy") else []
    return [name, *TASK, *small, *of_teacher, *phases, *COMMANDS[kind], *where]


def without_times(value: Any) -> Any:
    """Return plain values without what a clock measured."""
    if isinstance(value, dict):
        return {
            key: without_times(each)
            for key, each in value.items()
            if key not in TIMES and not key.startswith("cost/") and not key.endswith("_seconds")
        }
    return [without_times(each) for each in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """Return all that a run left, without times: checksums of weights, lines of logs, results and curves."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".safetensors", ".npz", ".npy"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".jsonl":
            lines = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
            found[name] = sorted(map(json.dumps, lines)) if path.name == "runs.jsonl" else lines
        elif path.name == "results.json":
            found[name] = without_times(json.loads(path.read_text()))
        elif path.name.startswith("events.out."):
            found[f"{path.parent.relative_to(folder)}/events"] = curves(path.parent)
    return json.loads(json.dumps(found).replace(folder.name, "RUN"))


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("cost/")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_survives_kills(kind: str, place: Path, processes: Processes, tmp_path: Path) -> None:
    said = tmp_path / "said"
    start = time.monotonic()
    assert processes.run(command(kind, place, tmp_path / "straight"), said) == 0, said.read_text()
    seconds, operations = time.monotonic() - start, int(Path(f"{said}.operations").read_text())
    expected, chance, kills, runs = outcome(tmp_path / "straight"), random.Random(kind), 0, 0
    assert expected
    while kills < KILLS:
        folder = tmp_path / f"killed-{runs}"
        words, code, own, start = command(kind, place, folder), -signal.SIGKILL, 0, time.monotonic()
        while code == -signal.SIGKILL and own < IN_ONE_RUN:
            if (kills + own) % 2:
                code = processes.run(words, said, operation=chance.randint(1, operations))
            else:
                code = processes.run(words, said, seconds=chance.uniform(0, seconds))
            own += code == -signal.SIGKILL
        if code == -signal.SIGKILL:
            code = processes.run(words, said)
        if own == 0:
            seconds = min(seconds, time.monotonic() - start)  # the first run also imports what is imported late
        assert code == 0 or "its run is finished" in said.read_text(), said.read_text()
        assert outcome(folder) == expected
        kills, runs = kills + own, runs + 1
    print(f"{kind}: {kills} kills in {runs} runs of {seconds:.1f} s and {operations} file operations")

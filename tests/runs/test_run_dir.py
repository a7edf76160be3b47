"""A run folder, read back with the readers that people use: YAML, JSON, TensorBoard, the command line."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from kselect.cli.commands import COMMANDS
from kselect.errors import KselectError
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder

ROOT = Path(__file__).parents[2]
RESULTS = {"metrics": {"accuracy": 0.75, "f1": 0.8}, "examples": 368}


def settings_of(*words: str):
    return COMMANDS["distill"].settings(words)


def make(tmp_path: Path, **more: Any) -> RunFolder:
    config = more.pop("config", {"epochs": 2.0, "run_name": "x"})
    naming: dict[str, Any] = {"task": "mrpc", "agent": "online", "seed": 3, **more}
    return RunFolder.create(RunPlace(tmp_path / "runs", **naming), config)


def test_the_name_has_task_agent_seed_and_time(tmp_path):
    with make(tmp_path, agent="runs/my policy/policy/") as run:
        assert run.path.parent == tmp_path / "runs"
        assert re.fullmatch(r"mrpc-policy-3-\d{8}-\d{6}", run.path.name)


def test_its_commands_are_quoted_for_any_path(tmp_path):
    with make(tmp_path / "my work", name="mine") as run:
        config = str(tmp_path / "my work" / "runs" / "mine" / "config.yaml")
        assert shlex.split(run.repeat) == ["kselect", "distill", "--config", config]
        assert shlex.split(run.resume_command) == ["kselect", "distill", "--config", config, "--run_name", "mine"]
        assert (run.path / "config.yaml").read_text().startswith(f"# Repeat this run: {run.repeat}\n")


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    folders = [make(tmp_path) for _ in range(3)]
    for folder in folders:
        folder.close()
    assert len({folder.path for folder in folders}) == 3


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    with make(tmp_path, name="mine") as run:
        before = sorted(run.path.iterdir())
    with pytest.raises(KselectError, match=r"mine is not empty: give another run_name"):
        make(tmp_path, name="mine")
    assert sorted(run.path.iterdir()) == before


def test_a_folder_is_locked_before_anything_is_written(tmp_path):
    locked = []

    class Seed(int):
        def tolist(self) -> int:  # called when environment.json is written
            (lock,) = (tmp_path / "runs").glob("*/checkpoints/lock")
            with pytest.raises(Timeout):
                FileLock(lock).acquire(blocking=False)
            locked.append(sorted(path.name for path in lock.parents[1].iterdir()))
            return int(self)

    make(tmp_path, seed=Seed(3)).close()
    assert locked == [["checkpoints"]]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    with make(tmp_path, name="mine") as run:
        assert run.path.name == "mine"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    for name in (None, "mine"):
        with pytest.raises(KselectError, match="cannot be made"):
            make(tmp_path, name=name)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--layers", "2,4", "--knowledge", "gold,logits", "--scales", "hidden=10", "--learning_rate", "3e-5"],
        [
            "--agent_settings",
            '{"weights": {"gold": 1, "logits": 0.5}, "note": "é: yes"}',
            "--train_limit",
            "9",
        ],
        ["--run_name", "mine"],
    ],
)
def test_its_config_repeats_the_run(tmp_path, words):
    settings = settings_of("--teacher", "runs/teacher/model", *words)
    with make(tmp_path, config=settings.to_dict(), command="distill") as run:
        again = settings_of("--config", str(run.path / "config.yaml"))
    assert again == settings.replace(run_name=None)  # the name is this folder's; repeating must make another one
    first_line = (run.path / "config.yaml").read_text().splitlines()[0]
    assert first_line == f"# Repeat this run: kselect distill --config {run.path / 'config.yaml'}"


def test_the_environment_names_versions_seed_device_and_commit(tmp_path):
    with make(tmp_path) as run:
        environment = json.loads((run.path / "environment.json").read_text())
    for package in ("python", "torch", "transformers", "gymnasium", "kselect"):
        assert re.match(r"\d+\.\d+", environment[package])
    assert environment["seed"] == 3
    assert environment["device"]
    assert environment["platform"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
        assert environment["commit"] == (head.stdout.strip() or None)


def test_phases_are_read_back_line_by_line(tmp_path):
    records: list[dict[str, Any]] = [
        {"step": 10, "phase": 0, "loss/gold": 0.6, "selection/gold": 1.0, "reward/phase": None},
        {"step": 25, "phase": 1, "loss/gold": float("nan"), "selection/gold": 0.0, "reward/phase": 0.02},
    ]
    with make(tmp_path) as run:
        for number, record in enumerate(records):
            run.log_phase(record)
            lines = (run.path / "metrics.jsonl").read_text().splitlines()  # there at once, not at the end
            assert len(lines) == number + 1
    assert json.loads(lines[0]) == records[0]
    assert json.loads(lines[1]) == {**records[1], "loss/gold": None}  # JSON has no NaN


PHASES = [{"step": 4 * number, "phase": number - 1, "loss/gold": 0.5} for number in range(1, 5)]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (None, 0),
        (b"", 0),
        (b'{"step": 4, "phase": 0, "cost/student": 1.0}\n', 1),
        (b'{"step": 4, "phase": 0}\n{"step": 8, "pha', 1),
        (b'{"step": 4, "phase": 0}\n' + bytes(4096), 1),
        (b'{"step": 4, "phase": 0}\n\xff\n', 1),
        (b'{"step": 4, "phase": 0}\n[]\n{"step": 12, "phase": 2}\n', 1),
        (b'{"step": 4, "phase": 0}\n{"step": 4, "phase": 0}\n', 1),
        (b"".join(json.dumps(phase).encode() + b"\n" for phase in PHASES), 4),
        (b"".join(json.dumps(phase).encode() + b"\n" for phase in [*PHASES, *PHASES]), 4),
    ],
)
def test_missing_lines_of_phases_are_written_anew(tmp_path: Path, content: bytes | None, kept: int) -> None:
    with make(tmp_path) as run:
        metrics = run.path / "metrics.jsonl"
        if content is not None:
            metrics.write_bytes(content)
        before = (content or b"").split(b"\n")[:kept]
        assert run.restore_metrics(PHASES) == 4 - kept
        run.rewind(4)
        lines = metrics.read_bytes().split(b"\n")
        assert lines[:kept] == before
        assert [json.loads(line)["step"] for line in lines[:-1]] == [4, 8, 12, 16]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", bytes(100), b'{"earlier": 1}'])
def test_a_damaged_environment_stops_no_resume(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"epochs": 2.0}
    with make(tmp_path, name="mine", config=config) as run:
        (run.path / "environment.json").write_bytes(content)
    with RunFolder.open(RunPlace(tmp_path / "runs", "mrpc", "online", 3, "mine"), config) as again:
        assert again.resumed
        (earlier,) = json.loads((again.path / "environment.json").read_text())["earlier"]
        assert earlier["damaged"]
    assert "environment.json is damaged and is written anew" in caplog.text


def test_what_a_kill_leaves_of_a_finished_run_is_removed(tmp_path: Path) -> None:
    config = {"epochs": 2.0}
    with make(tmp_path, name="mine", config=config) as run:
        run.write_results(RESULTS)
        (run.path / "checkpoints").mkdir()
        (run.path / "checkpoints" / "latest.safetensors").write_bytes(b"half")
    with pytest.raises(KselectError, match="its run is finished"):
        RunFolder.open(RunPlace(tmp_path / "runs", "mrpc", "online", 3, "mine"), config)
    assert not (run.path / "checkpoints").exists()


def test_tensorboard_reads_one_event_file(tmp_path):
    with make(tmp_path) as run:
        run.log_phase({"step": 10, "phase": 0, "loss/gold": 0.5, "selection/gold": 1.0, "cost/reward": 0.1})
        run.log_phase({"step": 25, "phase": 1, "loss/gold": 0.25, "selection/gold": 0.0, "reward/phase": 0.5})
        run.write_results(RESULTS)
    assert len(list(run.path.rglob("events.out.*"))) == 1
    assert [path for path in run.path.iterdir() if path.is_dir()] == []
    events = EventAccumulator(str(run.path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss/gold")] == [(10, 0.5), (25, 0.25)]
    assert [(event.step, event.value) for event in events.Scalars("reward/phase")] == [(25, 0.5)]
    assert [(event.step, event.value) for event in events.Scalars("result/accuracy")] == [(25, 0.75)]
    assert set(events.Tags()["scalars"]) == {
        *("loss/gold", "selection/gold", "reward/phase", "cost/reward", "result/accuracy", "result/f1")
    }


def test_tensorboard_has_the_settings_next_to_the_results(tmp_path):
    config = {"epochs": 2.0, "knowledge": ["gold", "logits"], "train_limit": None}
    with make(tmp_path, config=config) as run:
        run.log_phase({"step": 10, "phase": 0, "loss/gold": 0.5})
        run.write_results({**RESULTS, "size": {"parameters": {"total": 1000}}})
    events = EventAccumulator(str(run.path)).Reload()
    assert [event.value for event in events.Scalars("result/parameters")] == [1000]
    plugin = events.summary_metadata
    data = {tag: HParamsPluginData.FromString(m.plugin_data.content) for tag, m in plugin.items() if "hparams" in tag}
    assert set(data) == {*("_hparams_/experiment", "_hparams_/session_start_info", "_hparams_/session_end_info")}
    shown = data["_hparams_/session_start_info"].session_start_info.hparams
    texts = {name: shown[name].string_value for name in ("agent", "task", "knowledge")}
    assert texts == {"agent": "online", "task": "mrpc", "knowledge": "gold, logits"}
    assert {name: shown[name].number_value for name in ("epochs", "seed")} == {"epochs": 2.0, "seed": 3.0}
    assert "train_limit" not in shown


def test_tensorboard_draws_selections_together_and_losses_together(tmp_path):
    with make(tmp_path) as run:
        run.log_phase({"step": 10, "phase": 0, "loss/gold": 0.5})
    (event,) = EventAccumulator(str(run.path)).Reload().Tensors("custom_scalars__config__")
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    charts = {category.title: list(category.chart[0].multiline.tag) for category in layout.category}
    assert charts["Selection"] == ["selection/.+"]
    assert charts["Losses"] == ["relative_loss/.+"]


def test_results_and_card_are_written_whole(tmp_path):
    with make(tmp_path) as run:
        run.write_results(RESULTS)
        run.write_card("# A student\n", "student")
        run.write_card("# A better student\n", "student")
    assert json.loads((run.path / "results.json").read_text()) == RESULTS
    assert (run.path / "student" / "README.md").read_text() == "# A better student\n"
    assert not list(run.path.rglob(".*")), "temporary files are left behind"

"""`kselect distill --record true`: its files, and a recording that was stopped."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.analysis.recording.plot import recording_figure
from kselect.analysis.recording.table import DTYPES, ExampleTable, summarise
from kselect.cli.main import main
from kselect.io import write_figure
from tests import word_files
from tests.cli.test_resuming import check_equal, command, interrupt
from tests.tiny import tiny_classifier, tiny_task

HISTOGRAMS = {"recording/factor", "recording/student_confidence", "recording/teacher_confidence"}
matplotlib_is_there = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return str(folder)


def results_of(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads((folder / "results.json").read_text())
    return told


def test_a_recorded_run(teacher: str, tmp_path: Path) -> None:
    words = command("distill", teacher, tmp_path, "--agent", "vanilla-kd", "--epochs", "2")
    assert main([*words, "--run_name", "plain"]) == 0
    assert main([*words, "--run_name", "mine", "--record"]) == 0
    plain, mine = tmp_path / "plain", tmp_path / "mine"
    ours, theirs = ((folder / "student" / "model.safetensors").read_bytes() for folder in (mine, plain))
    assert ours == theirs
    files, before = ({path.name for path in folder.iterdir() if "events" not in path.name} for folder in (mine, plain))
    assert files - before == {"recording.parquet"}
    rows = ExampleTable.load(mine / "recording.parquet")
    frame = pd.read_parquet(mine / "recording.parquet")
    assert list(frame.columns) == list(DTYPES)
    phases = [json.loads(line) for line in (mine / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * 80 == len(frame)
    assert rows.step.max() == phases[-1]["step"]
    told = results_of(mine)["recording"]
    assert told == json.loads(json.dumps({**summarise(rows), "geometry": None}))  # two classes have none
    assert "recording" not in results_of(plain)
    first = rows.where(rows.step <= phases[0]["step"])
    assert phases[0]["recording/factor"] == pytest.approx(float(first.factor.mean()), rel=1e-5)
    events = EventAccumulator(str(mine), size_guidance={"histograms": 0}).Reload()
    assert set(events.Tags()["histograms"]) == HISTOGRAMS
    drawn = events.Histograms("recording/factor")
    assert [event.step for event in drawn] == [phase["step"] for phase in phases]
    assert drawn[0].histogram_value.num == len(first)
    assert not [tag for tag in EventAccumulator(str(plain)).Reload().Tags()["scalars"] if "recording" in tag]


def test_a_figure_that_is_no_number_is_none(teacher: str, tmp_path: Path) -> None:
    words = command("distill", teacher, tmp_path, "--agent", "fine-tune", "--epochs", "1", "--run_name", "mine")
    assert main([*words, "--record"]) == 0
    phases = [json.loads(line) for line in (tmp_path / "mine" / "metrics.jsonl").read_text().splitlines()]
    assert {phase["recording/factor"] for phase in phases} == {1.0}
    assert {phase["recording/spearman"] for phase in phases} == {None}
    told = results_of(tmp_path / "mine")["recording"]
    assert isinstance(told, dict)
    assert (told["teacher_rows"], told["pearson"], told["geometry"]) == (0, None, None)
    tags = EventAccumulator(str(tmp_path / "mine")).Reload().Tags()
    assert "recording/factor" in tags["scalars"]
    assert "recording/spearman" not in tags["scalars"]
    assert set(tags["histograms"]) == HISTOGRAMS - {"recording/teacher_confidence"}


@pytest.mark.slow
def test_a_stopped_recording_goes_on_where_it_was(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command("distill", teacher, tmp_path, "--agent", "all", "--epochs", "10", "--record")
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    interrupt([*words, "--run_name", "stopped"], stopped)
    parts = sorted((stopped / "checkpoints" / "recording").iterdir())
    assert len(parts) == len((stopped / "metrics.jsonl").read_text().splitlines()) >= 2
    rows = sum(len(ExampleTable.load(part)) for part in parts)
    assert len(pd.read_parquet(stopped / "checkpoints" / "recording")) == rows
    # What came after the checkpoint, as a kill would leave it, is dropped.
    ExampleTable.load(parts[0]).save(parts[0].with_name(f"{len(parts):06d}.parquet"))
    capsys.readouterr()
    assert main([*words, "--run_name", "stopped"]) == 0
    assert f"Resuming {stopped} after " in capsys.readouterr().err
    assert main([*words, "--run_name", "straight"]) == 0
    check_equal(stopped, straight, "student/model.safetensors")
    one, other = (ExampleTable.load(folder / "recording.parquet") for folder in (stopped, straight))
    assert len(one) == 10 * 80
    for name in DTYPES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.slow
def test_a_lost_part_is_named(teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = command("distill", teacher, tmp_path, "--agent", "fine-tune", "--epochs", "10", "--record")
    interrupt([*words, "--run_name", "mine"], tmp_path / "mine")
    part = tmp_path / "mine" / "checkpoints" / "recording" / "000000.parquet"
    part.unlink()
    capsys.readouterr()
    assert main([*words, "--run_name", "mine"]) == 2
    assert f"The recording {part} cannot be read" in capsys.readouterr().err.splitlines()[-1]
    assert main([*words, "--run_name", "mine", "--fresh"]) == 0


def test_geometry_is_recorded_for_words(tmp_path: Path) -> None:
    word_files.write(tmp_path)
    files = ["--train_file", str(tmp_path / "train.conll"), "--dev_file", str(tmp_path / "dev.conll")]
    task = ["--task_type", "tags", *files, "--epochs", "1", "--precision", "fp32", "--runs_dir", str(tmp_path)]
    encoder = ["--encoder", str(tmp_path / "encoder"), "--head", "tagger"]
    assert main(["train-teacher", *task, *encoder, "--run_name", "teacher"]) == 0
    student = ["--teacher", str(tmp_path / "teacher" / "model"), "--layers", "1", "--agent", "vanilla-kd"]
    assert main(["distill", *task, *student, "--run_name", "mine", "--record"]) == 0
    told = results_of(tmp_path / "mine")["recording"]
    assert isinstance(told, dict)
    assert 0 < told["geometry"]["distances"] < 1
    assert told["geometry"]["pairs"] > 0


def test_without_matplotlib_it_says_so_at_once(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = command("distill", teacher, tmp_path, "--record", "--record_plots", "--run_name", "mine")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "record_plots draws with matplotlib, which is not installed: pip install 'kselect[plots]'" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "mine").exists()


@pytest.mark.skipif(not matplotlib_is_there, reason="needs matplotlib")
def test_it_is_drawn_where_that_is_asked_for(teacher: str, tmp_path: Path) -> None:
    words = command("distill", teacher, tmp_path, "--agent", "vanilla-kd", "--epochs", "1", "--run_name", "mine")
    assert main([*words, "--record", "--record_plots"]) == 0
    picture = (tmp_path / "mine" / "recording.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    rows = ExampleTable.load(tmp_path / "mine" / "recording.parquet")
    for number, few in enumerate((rows.where(rows.step == 1), rows.where(rows.step < 0))):
        write_figure(tmp_path / f"{number}.png", recording_figure(few))
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")

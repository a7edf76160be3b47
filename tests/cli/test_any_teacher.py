"""Teachers that are columns of the data, or have another tokenizer, from the command line to results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kselect.cli.main import main
from tests.architectures import classifier
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--epochs", "1", "--learning_rate", "3e-3"]
COLUMNS = ["--text_columns", "text", "--teacher_columns", "p_bad,p_good"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of two tokenizers, and a file in which every fourth row has a language model's answer alone."""
    path, task = tmp_path_factory.mktemp("any"), tiny_task()
    tiny_classifier(task, layers=2).save_pretrained(path / "student")
    classifier("bert", task).save_pretrained(path / "other")
    train = task.splits["train"]
    rows = []
    for i, (text, label) in enumerate(zip(train.text_a, train.labels, strict=True)):
        answers = {"p_bad": 0.8 - 0.6 * label, "p_good": 0.2 + 0.6 * label}
        rows.append({"text": text, "label": task.labels[int(label)] if i % 4 else None, **answers})
    (path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_distill_from_columns(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--train_file", str(folder / "train.jsonl"), *COLUMNS, "--labels", "unacceptable,acceptable"]
    place = ["--runs_dir", str(tmp_path), "--run_name", "x"]
    words = ["distill", *data, "--student", str(folder / "student"), "--agent", "gold:1,logits:1", *SMALL, *place]
    assert main(words) == 0
    results = json.loads((tmp_path / "x" / "results.json").read_text())
    assert results["teacher"] == "columns of the data"
    assert set(results["history"][0]["weights"]) == {"gold", "logits", "transfer"}
    assert len(results["teacher_metrics"]) == 1
    assert main(["evaluate", str(tmp_path / "x")]) == 0
    test = ["--test_file", str(folder / "train.jsonl"), "--output", str(tmp_path / "predicted.tsv")]
    assert main(["predict", str(tmp_path / "x"), *test]) == 0
    capsys.readouterr()
    assert main([*words[:-1], "y", "--layers", "2"]) == 2
    assert "has its own layers: give layers or student" in capsys.readouterr().err


def test_compare_agents_on_columns(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--train_file", str(folder / "train.jsonl"), *COLUMNS, "--student", str(folder / "student"), *SMALL]
    agents = ["--agents", "fine-tune,vanilla-kd", "--seeds", "0", "--runs_dir", str(tmp_path)]
    assert main(["compare", *data, *agents]) == 0
    assert "vanilla-kd" in capsys.readouterr().out
    assert main(["distill", *data, "--agent", "pkd", "--runs_dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "reads inside a teacher, and this one is columns of the data, and agent 'pkd' needs it" in said
    assert "vanilla-kd" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train-teacher", "--encoder", "e"], "A teacher's training reads no answers of a teacher in columns"),
        (["distill"], "student is missing: with teacher_columns alone there is no model to take layers of"),
        (["doctor"], "teacher is missing: give the folder or hub id of a fine-tuned classifier"),
    ],
)
def test_commands_that_need_a_model_say_so(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--train_file", str(folder / "train.jsonl"), *COLUMNS]) == 2
    assert said in capsys.readouterr().err


def test_distill_from_another_tokenizer(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = ["--teacher", str(folder / "other"), "--student", str(folder / "student")]
    words = [*models, "--task", "synthetic-acceptability", "--train_limit", "80", *SMALL, "--runs_dir", str(tmp_path)]
    assert main(["distill", *words, "--agent", "vanilla-kd", "--run_name", "x"]) == 0
    results = json.loads((tmp_path / "x" / "results.json").read_text())
    assert list(results["scales"]) == ["gold", "logits"]
    capsys.readouterr()
    assert main(["distill", *words, "--agent", "pkd"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "this teacher's tokenizer is another than the student's, and agent 'pkd' needs it: give an agent" in said
    assert main(["doctor", *words[:-2], "--runs_dir", str(tmp_path)]) == 2
    assert "The doctor compares teacher and student token by token" in capsys.readouterr().err

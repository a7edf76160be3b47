"""Teachers that were trained on the texts by which a distillation is judged: refused, or allowed and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from kselect.cli.main import main
from kselect.errors import KselectError
from tests import word_files
from tests.word_files import SENTENCES

KINDS = ("text", "pair", "tags", "trees")
QUICK = ["--batch_size", "16", "--epochs", "1", "--precision", "fp32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of all kinds of texts, and a teacher of each, trained under data_seed 0."""
    place = tmp_path_factory.mktemp("place")
    word_files.write(place)
    for suffix, content in (("conll", word_files.columns), ("conllu", word_files.treebank)):
        (place / f"all.{suffix}").write_text(content(SENTENCES))
    rows = [f"{text} {i}\t{text}\t{'yes' if 'dog' in text else 'no'}" for i, text in enumerate(3 * SENTENCES)]
    (place / "all.tsv").write_text("\n".join(["a\tb\tlabel", *rows]) + "\n")
    for kind in KINDS:
        words = ["train-teacher", *data(place, kind), "--encoder", str(place / "encoder"), "--run_name", kind]
        assert main([*words, "--data_seed", "0"]) == 0
    return place


def data(place: Path, kind: str) -> list[str]:
    if kind in ("tags", "trees"):
        file = place / ("all.conll" if kind == "tags" else "all.conllu")
        source = ["--task_type", kind, "--train_file", str(file)]
    else:
        columns = {"text": '["a"]', "pair": '["a", "b"]'}[kind]
        source = ["--train_file", str(place / "all.tsv"), "--text_columns", columns]
    return [*source, "--task", f"my-{kind}", "--reward_fraction", "0.3", "--runs_dir", str(place / "runs"), *QUICK]


def of_teacher(place: Path, kind: str) -> list[str]:
    return [*data(place, kind), "--teacher", str(place / "runs" / kind / "model"), "--layers", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_other_held_out_texts_than_the_teachers_are_refused(
    place: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["distill", *of_teacher(place, kind), "--data_seed", "1", "--agent", "vanilla-kd"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    message = captured.err.splitlines()[-1]
    assert f"The teacher {place / 'runs' / kind / 'model'} was trained on" in message
    assert "texts of reward" in message
    assert "--allow_overlap" in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_of_the_teachers_train_is_accepted(place: Path, kind: str) -> None:
    name = f"slice-{kind}"
    words = ["distill", *of_teacher(place, kind), "--train_limit", "12", "--agent", "fine-tune", "--run_name", name]
    assert main(words) == 0
    results = json.loads((place / "runs" / name / "results.json").read_text())
    assert results["teacher_overlap"] == [{"reward": 0, "dev": 0}]
    assert "held out here" not in (place / "runs" / name / "student" / "README.md").read_text()
    assert (place / "runs" / name / "student" / "training_texts.npy").exists()


@pytest.mark.parametrize(
    "command", [["doctor"], ["explain", "--seeds", "0"], ["train-policy"], ["compare", "--agents", "all"]]
)
def test_every_command_that_reads_a_teacher_refuses_it(
    place: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main([*command, *of_teacher(place, "text"), "--data_seed", "1"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "texts of reward" in captured.err.splitlines()[-1]


def test_the_environment_refuses_it(place: Path) -> None:
    settings: dict[str, Any] = {
        "train_file": str(place / "all.tsv"),
        "text_columns": ["a"],
        "task": "my-text",
        "layers": 1,
    }
    settings |= {"teacher": str(place / "runs" / "text" / "model"), "data_seed": 1, "reward_fraction": 0.3}
    with pytest.raises(KselectError, match="was trained on") as error:
        gymnasium.make("kselect/Distillation-v0", **settings)
    assert error.value.setting == "allow_overlap"


def test_an_overlap_that_is_allowed_is_reported(place: Path) -> None:
    allowed = ["--data_seed", "1", "--allow_overlap", "true", "--agent", "fine-tune", "--run_name", "allowed"]
    assert main(["distill", *of_teacher(place, "text"), *allowed]) == 0
    (overlap,) = json.loads((place / "runs" / "allowed" / "results.json").read_text())["teacher_overlap"]
    assert overlap["reward"] > 10
    card = (place / "runs" / "allowed" / "student" / "README.md").read_text()
    assert f"A teacher was trained on texts that are held out here: {overlap['reward']} of reward" in card


def test_nothing_is_known_of_a_teacher_without_a_fingerprint(place: Path) -> None:
    for name in ("training_texts.npy", "checksums.json"):  # as a model that an earlier version saved
        (place / "runs" / "pair" / "model" / name).unlink()
    words = ["distill", *of_teacher(place, "pair"), "--data_seed", "1", "--agent", "fine-tune", "--run_name", "unknown"]
    assert main(words) == 0
    assert json.loads((place / "runs" / "unknown" / "results.json").read_text())["teacher_overlap"] == ["unknown"]
    assert "texts of dev is unknown" in (place / "runs" / "unknown" / "student" / "README.md").read_text()
    assert not (place / "runs" / "unknown" / "student" / "training_texts.npy").exists()

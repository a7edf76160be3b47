"""`evaluate` and `predict` on what real runs left: MNLI in GLUE's layout, and a table of one's own."""

from __future__ import annotations

import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kselect.cli.main import main
from kselect.cli.notices import describe_metrics, warn_long
from kselect.config import TaskConfig
from kselect.models.output_layer import output_layer
from kselect.tasks import load_task
from kselect.tasks.registry import make_task
from tests.glue_files import LABELS, text, write_tsv
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--max_length", "16", "--batch_size", "8", "--epochs", "1", "--precision", "fp32"]
REVIEWS = [f"the dog {verb} {adverb}" for verb in ("sleeps", "sings", "waits") for adverb in ("often", "gladly")] * 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, an encoder, and runs: a teacher and a student on MNLI, a policy, a model of own data."""
    place = tmp_path_factory.mktemp("place")
    tiny_classifier(tiny_task(), layers=2).save_pretrained(place / "encoder")
    write_tsv(place / "glue", "mnli")
    runs = ["--runs_dir", str(place / "runs"), *SMALL]
    teacher = ["train-teacher", "--encoder", str(place / "encoder"), *runs]
    mnli = ["--task", "mnli", "--data_dir", str(place / "glue")]
    assert main([*teacher, *mnli, "--run_name", "teacher"]) == 0
    student = [*mnli, "--teacher", str(place / "runs" / "teacher" / "model"), "--layers", "1", *runs]
    assert main(["distill", *student, "--agent", "vanilla-kd", "--run_name", "student"]) == 0
    policy = ["--knowledge", "gold,logits", "--episodes", "1", "--run_name", "policy"]
    with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()) as progress:
        assert main(["train-policy", *student, *policy]) == 0
    assert re.search(r", loss on reward \d\.\d{3} nats\n", progress.getvalue())
    assert re.match(r"episode 1: reward -?\d\.\d{4} nats \(mnli\)\n", told.getvalue())
    rows = ["review,mood,key", *(f"{review},{('sad', 'glad')[i % 2]},r{i}" for i, review in enumerate(REVIEWS))]
    (place / "reviews.csv").write_text("\n".join(rows) + "\n")
    own = ["--train_file", str(place / "reviews.csv"), "--text_columns", "review", "--label_column", "mood"]
    assert main([*teacher, *own, "--id_column", "key", "--run_name", "own"]) == 0
    return place


def logits_of(model_folder: Path, *texts: list[str]) -> np.ndarray:
    """What plain transformers gives."""
    model = AutoModelForSequenceClassification.from_pretrained(model_folder).eval()
    inputs = AutoTokenizer.from_pretrained(model_folder)(*texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits.numpy()


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.strip()


def test_results_have_the_mismatched_part_next_to_dev(place: Path) -> None:
    results = json.loads((place / "runs" / "student" / "results.json").read_text())
    assert set(results["metrics"]) == {
        prefix + name for prefix in ("", "mismatched/") for name in ("accuracy", "score", "loss")
    }
    assert results["constant"] == {
        prefix + name: 1 / 3 for prefix in ("", "mismatched/") for name in ("accuracy", "score")
    }
    assert (results["examples"], results["further_examples"]) == (12, {"dev_mismatched": 12})
    mismatched = load_task("mnli", place / "glue").splits["dev_mismatched"]
    logits = logits_of(place / "runs" / "student" / "student", mismatched.text_a, mismatched.text_b)
    accuracy = float((logits.argmax(-1) == mismatched.labels).mean())
    assert results["metrics"]["mismatched/accuracy"] == accuracy
    (teacher,) = results["teacher_metrics"]
    assert results["scales"] == dict.fromkeys(("gold", "logits"), 1.0)
    card = (place / "runs" / "student" / "student" / "README.md").read_text()
    assert "begins with `mismatched/` on 12 of its dev_mismatched split." in card
    assert "| metric | model | teacher | constant prediction |\n" in card
    assert f"| mismatched/accuracy | {accuracy:.4f} | {teacher['mismatched/accuracy']:.4f} | 0.3333 |\n" in card
    of_its_own_run = json.loads((place / "runs" / "teacher" / "results.json").read_text())["metrics"]
    assert teacher == pytest.approx(of_its_own_run, rel=1e-5)


def test_a_score_equal_to_the_constant_prediction_is_reported(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(place / "runs" / "student" / "student")
    output_layer(model).bias.data[0] = 1e4
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(place / "runs" / "student" / "student").save_pretrained(tmp_path)
    task = ["--task", "mnli", "--data_dir", str(place / "glue"), "--precision", "fp32"]
    assert main(["evaluate", str(tmp_path), *task]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("dev")]
    assert told == [
        f"{split}: the model scores as the constant prediction does, and may have become one. Check --learning_rate, "
        f"--epochs, and how frequent labels are."
        for split in ("dev", "dev_mismatched")
    ]
    mnli = make_task(TaskConfig("mnli", data_dir=str(place / "glue")))
    metrics = {"accuracy": 0.25, "score": 0.25, "mismatched/accuracy": 0.5, "mismatched/score": 0.5}
    below, hint, above = describe_metrics(metrics, mnli).splitlines()
    size = "(12 examples, too few to judge a model by)"
    constant = "(the constant prediction, which ignores the input, scores 0.3333)"
    assert below == f"dev {size}: accuracy 0.2500, score 0.2500 {constant}"
    assert hint.startswith("dev: the model scores below the constant prediction. Check --learning_rate")
    assert above.startswith(f"dev_mismatched {size}: accuracy 0.5000, score 0.5000 (the constant")


@pytest.mark.parametrize("path", ["student", "student/student"])
def test_a_run_is_scored_on_its_own_task_and_data(place: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(place / "runs" / path), "--precision", "fp32"]) == 0
    results = json.loads((place / "runs" / "student" / "results.json").read_text())
    out = capsys.readouterr().out
    assert "mnli, 12 examples of dev\n" in out
    assert "mnli, 12 examples of dev_mismatched\n" in out
    assert out.count("metric         student  constant prediction\n") == 2
    shown = [line.split()[1:] for line in out.splitlines() if line.startswith("accuracy")]
    assert shown == [[f"{results['metrics'][name]:.4f}", "0.3333"] for name in ("accuracy", "mismatched/accuracy")]


def test_what_is_given_wins_over_the_settings_of_the_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(place / "runs" / "student"), "--train_limit", "6"]) == 0
    assert "mnli, 6 examples of dev_mismatched (cut to train_limit 6)\n" in capsys.readouterr().out


def test_the_limit_of_a_run_is_reported_and_can_be_removed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(place / "runs" / "student", place / "runs" / "limited")
    config = place / "runs" / "limited" / "config.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "train_limit": 6}))
    for more, told in (
        ([], "6 examples of dev (cut to train_limit 6)"),
        (["--train_limit", "null"], "12 examples of dev"),
    ):
        assert main(["evaluate", str(place / "runs" / "limited"), *more]) == 0
        assert f"mnli, {told}\n" in capsys.readouterr().out


def test_the_runs_own_task_by_name_keeps_its_data(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(place / "runs" / "student"), "--task", "mnli"]) == 0
    assert "mnli, 12 examples of dev\n" in capsys.readouterr().out


def test_a_teacher_is_named_and_truncated_texts_are_counted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(place / "runs" / "teacher" / "model", place / "alone")
    task = ["--task", "mnli", "--data_dir", str(place / "glue"), "--max_length", "8"]
    for path, kind in ((place / "runs" / "teacher" / "model", "teacher"), (place / "alone", "model")):
        assert main(["evaluate", str(path), *task]) == 0
        captured = capsys.readouterr()
        assert f" {kind}  constant prediction\n" in captured.out
        assert captured.err == "24 texts are longer than max_length (8 tokens) and were cut.\n"


def test_other_files_are_read_as_those_of_the_run(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(place / "reviews.csv", tmp_path / "more.csv")
    assert main(["evaluate", str(place / "runs" / "own"), "--train_file", str(tmp_path / "more.csv")]) == 0
    assert capsys.readouterr().out.startswith("more, 10 examples of dev\n")  # all copies of one text
    error = fails(capsys, "evaluate", str(place / "runs" / "student"), "--train_file", str(tmp_path / "more.csv"))
    assert "text_columns is missing" in error


def test_a_single_text_is_reported_in_the_singular(capsys: pytest.CaptureFixture[str]) -> None:
    warn_long(1, 2, 8)
    assert capsys.readouterr().err.splitlines() == [
        "1 text is longer than max_length (8 tokens) and was cut.",
        "2 sentences are longer than max_length (8 tokens) and are read in pieces.",
    ]


def test_another_task_wins_over_that_of_the_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(capsys, "evaluate", str(place / "runs" / "student"), "--task", "synthetic-entailment")
    assert "predicts 3 labels, synthetic-entailment has 2" in error


@pytest.mark.parametrize("path", ["policy", "policy/policy"])
def test_a_policy_says_what_it_is(place: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(place / "runs" / path)]) == 0
    title, *lines, hint = capsys.readouterr().out.splitlines()
    folder = place / "runs" / "policy" / "policy"
    assert (title, hint.split(": ")[1]) == (f"{folder} is a policy", f"kselect distill --agent {folder} --teacher ...")
    rows = dict(line.split(maxsplit=1) for line in lines[2:])
    assert rows["agent"] == "ActorCritic"
    assert rows["actions"] == "hard"
    assert (rows["task"], rows["knowledge"]) == ("mnli", "gold, logits")


def test_a_submission_has_a_file_for_each_part(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "submission"
    assert main(["predict", str(place / "runs" / "student"), "--output", str(output), "--precision", "fp32"]) == 0
    assert sorted(path.name for path in output.iterdir()) == ["MNLI-m.tsv", "MNLI-mm.tsv"]
    told = [f"predictions: {output / name} (5 examples)" for name in ("MNLI-m.tsv", "MNLI-mm.tsv")]
    assert capsys.readouterr().out.splitlines() == told
    for name, part in (("MNLI-m", "test_matched"), ("MNLI-mm", "test_mismatched")):
        logits = logits_of(
            place / "runs" / "student" / "student",
            [text(part, row) for row in range(5)],
            [text(part, row, True) for row in range(5)],
        )
        answers = [LABELS["mnli"][label] for label in logits.argmax(-1)]
        lines = ["index\tprediction", *(f"{row}\t{answer}" for row, answer in enumerate(answers))]
        assert (output / f"{name}.tsv").read_text() == "\n".join(lines) + "\n"


def test_own_predictions_by_id_with_probabilities(place: Path, tmp_path: Path) -> None:
    test = tmp_path / "new.csv"
    test.write_text("key,review\nx,the dog sleeps often\ny,the dog sings gladly\n")
    output = tmp_path / "answers.tsv"
    words = ["--test_file", str(test), "--output", str(output), "--precision", "fp32", "--probabilities"]
    assert main(["predict", str(place / "runs" / "own"), *words]) == 0
    header, *rows = [line.split("\t") for line in output.read_text().splitlines()]
    assert header == ["key", "prediction", "p(glad)", "p(sad)"]
    logits = logits_of(place / "runs" / "own" / "model", ["the dog sleeps often", "the dog sings gladly"])
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert [row[:2] for row in rows] == [
        ["x", ["glad", "sad"][logits[0].argmax()]],
        ["y", ["glad", "sad"][logits[1].argmax()]],
    ]
    assert np.allclose(np.array([row[2:] for row in rows], dtype=float), probabilities, atol=1e-5)
    folder = tmp_path / "folder"
    model = [str(place / "runs" / "own" / "model"), "--text_columns", "review", "--task", "moods"]
    assert main(["predict", *model, "--test_file", str(test), "--output", str(folder), "--precision", "fp32"]) == 0
    numbered = [["index", "prediction"], *([str(i), row[1]] for i, row in enumerate(rows))]
    assert (folder / "moods.tsv").read_text() == "".join("\t".join(row) + "\n" for row in numbered)


def test_a_run_on_own_data_repeats(place: Path, tmp_path: Path) -> None:
    config = place / "runs" / "own" / "config.yaml"
    settings = yaml.safe_load(config.read_text())
    assert (settings["task"], settings["data_dir"]) == ("reviews", None)
    assert main(["train-teacher", "--config", str(config), "--runs_dir", str(tmp_path), "--run_name", "again"]) == 0
    first, again = (
        (folder / "model" / "model.safetensors").read_bytes() for folder in (place / "runs" / "own", tmp_path / "again")
    )
    assert first == again
    results = json.loads((tmp_path / "again" / "results.json").read_text())
    assert set(results["metrics"]) == {"accuracy", "f1", "score", "loss"}
    assert results["examples"] == 10  # all copies of one text


def test_what_cannot_be_predicted(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(place / "runs" / "student")
    one = fails(capsys, "predict", run, "--output", str(tmp_path / "one.tsv"))
    assert one.endswith("one.tsv is one file, and there are MNLI-m and MNLI-mm to write: give --output a folder.")
    (tmp_path / "file").write_text("")
    assert "is a file: give --output a folder" in fails(capsys, "predict", run, "--output", str(tmp_path / "file"))
    under = fails(capsys, "predict", run, "--output", str(tmp_path / "file" / "folder"))
    assert under.endswith("file/folder cannot be written to (Not a directory): give another --output.")
    unknown = fails(capsys, "predict", run, "--output", str(tmp_path / "answers.csv"))
    assert "answers.csv names a format that predictions are not written in" in unknown
    absent = fails(capsys, "predict", run, "--task", "rte", "--data_dir", str(place / "glue"))
    assert "glue has no folder RTE or glue/RTE: give another data_dir" in absent
    missing = fails(capsys, "predict", str(place / "runs" / "own"), "--output", str(tmp_path / "a.tsv"))
    assert "test_file is missing: give the file with the test examples." in missing
    unreachable = fails(
        capsys, "predict", "a-hub-id", "--test_file", str(place / "reviews.csv"), "--text_columns", "review"
    )
    assert "Cannot load a-hub-id: the hub cannot be reached" in unreachable
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_an_output_that_cannot_be_written_is_refused_before_a_model_is_read(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"  # a run whose model is damaged: reading it would be refused, too, with other words
    shutil.copytree(place / "runs" / "student", run)
    (run / "student" / "model.safetensors").write_bytes(b"damaged")
    (tmp_path / "file").write_text("")
    (tmp_path / "out" / "MNLI-mm.tsv").mkdir(parents=True)
    assert "(Not a directory): give" in fails(capsys, "predict", str(run), "--output", str(tmp_path / "file" / "out"))
    taken = fails(capsys, "predict", str(run), "--output", str(tmp_path / "out"))
    assert taken.endswith("MNLI-mm.tsv is a folder, where a file is to go: give another --output.")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["MNLI-mm.tsv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dev_file", "a.csv"], "dev_file is for a custom dataset: give train_file,"),
        (["--regression", "true"], "regression is for a custom dataset: give train_file,"),
        (["--train_file", "a.csv"], "text_columns is missing: name the column of the text, or two; of"),
        (["--train_file", "a.csv", "--text_columns", "a,b,c"], "text_columns names 3 columns"),
        (["--train_file", "no.csv", "--text_columns", "a"], "no.csv does not exist"),
        (
            ["--train_file", "a.csv", "--text_columns", "a", "--task", "mrpc"],
            "mrpc is the name of a known task with its own data",
        ),
    ],
)
def test_contradictions(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert said in fails(capsys, "train-teacher", "--encoder", "a-hub-id", *words)

"""From one's own table to an exported student with a latency table: four commands, and what they leave."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kselect.cli.main import main
from kselect.export.formats import FORMATS
from kselect.models.output_layer import output_layer
from kselect.tasks.words import convert
from tests import word_files
from tests.tiny import tiny_classifier, tiny_task

REVIEWS = [f"the dog {verb} {adverb}" for verb in ("sleeps", "sings", "waits") for adverb in ("often", "gladly")] * 6
SMALL = ["--max_length", "16", "--batch_size", "8", "--epochs", "1", "--precision", "fp32"]
WITHOUT_TORCH = (
    "import runpy, sys; runpy.run_path('predict.py', run_name='__main__'); assert 'torch' not in sys.modules"
)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a student of own data, exported and timed; the data are named once."""
    place = tmp_path_factory.mktemp("place")
    tiny_classifier(tiny_task(), layers=2).save_pretrained(place / "encoder")
    rows = [f"{review},{('sad', 'glad')[i % 2]}" for i, review in enumerate(REVIEWS)]
    (place / "own.csv").write_text("\n".join(["review,mood", *rows]) + "\n")
    runs = ["--runs_dir", str(place / "runs")]
    data = ["--train_file", str(place / "own.csv"), "--text_columns", "review", "--label_column", "mood", *SMALL]
    assert main(["train-teacher", *data, "--encoder", str(place / "encoder"), *runs, "--run_name", "teacher"]) == 0
    teacher = ["--teacher", str(place / "runs" / "teacher" / "model"), "--layers", "1", "--agent", "vanilla-kd"]
    assert main(["distill", *teacher, *SMALL[2:], *runs, "--run_name", "student"]) == 0
    assert main(["export", str(place / "runs" / "student"), "--int8"]) == 0
    timed = ["--batch_sizes", "1,2", "--lengths", "8,64", "--rounds", "3", "--static"]
    assert main(["bench-model", str(place / "runs" / "student"), *timed, "--plot", str(place / "pareto.png")]) == 0
    return place / "runs" / "student"


def answers(folder: Path, text: str) -> list[str]:
    """What predict.py prints, in a process that does not import PyTorch."""
    command = [sys.executable, "-c", WITHOUT_TORCH]
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def skip_without_packages(form: str) -> None:
    for name in FORMATS[form].packages:
        pytest.importorskip(name, reason=f"{name} is not installed")


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("kselect: error: ")


def test_a_student_has_the_data_of_its_teachers_run(student: Path) -> None:
    config = yaml.safe_load((student / "config.yaml").read_text())
    teacher = yaml.safe_load((student.parent / "teacher" / "config.yaml").read_text())
    for name in ("task", "train_file", "text_columns", "label_column", "max_length"):
        assert config[name] == teacher[name]


def check_answers(export: Path, student: Path, fp32: str, int8: str) -> None:
    """Without PyTorch, a copy of an export answers as the model itself does."""
    folder = shutil.copytree(export, export.with_name("copy"))
    facts = json.loads((folder / "predict.json").read_text())
    assert (facts["model"], facts["labels"]) == (int8, ["glad", "sad"])
    (folder / "predict.json").write_text(json.dumps({**facts, "model": fp32}))
    texts = [*REVIEWS[:3], "the dog " * 12]  # the last one is cut
    found = [list(json.loads(line).values()) for line in answers(folder, "\n".join(texts) + "\n")]
    model = AutoModelForSequenceClassification.from_pretrained(student / "student").eval()
    tokenizer = AutoTokenizer.from_pretrained(student / "student")
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(found, model(**inputs).logits.softmax(-1).numpy(), atol=1e-5)
    assert sum(line != "" for line in (folder / "predict.py").read_text().splitlines()) < 40


def test_an_export_answers_without_torch_as_the_model_does(student: Path, tmp_path: Path) -> None:
    export = shutil.copytree(student / "onnx", tmp_path / "onnx")
    check_answers(export, student, "model.onnx", "model_int8.onnx")


@pytest.mark.slow
def test_a_second_format_answers_and_is_timed_like_the_first(student: Path, tmp_path: Path) -> None:
    skip_without_packages("openvino")
    run = shutil.copytree(student, tmp_path / "student")
    assert main(["export", str(run), "--format", "openvino", "--int8"]) == 0
    check_answers(run / "openvino", run, "openvino_model.xml", "openvino_model_int8.xml")
    shutil.rmtree(run / "copy")
    forms = json.loads((run / "openvino" / "results.json").read_text())["forms"]
    assert list(forms) == ["pytorch", "openvino_model.xml", "openvino_model_int8.xml"]
    assert forms["openvino_model.xml"]["difference"] <= 1e-4 < forms["openvino_model_int8.xml"]["difference"]
    sizes = [(run / "openvino" / f"openvino_model.{end}").stat().st_size for end in ("xml", "bin")]
    assert forms["openvino_model.xml"]["mib"] == sum(sizes) / 2**20
    assert main(["bench-model", str(run), "--batch_sizes", "1,2", "--lengths", "8", "--rounds", "2"]) == 0
    results = json.loads((run / "bench-model.json").read_text())
    scores = {row["model"]: row["score"] for row in results["rows"]}
    assert [name for name in scores if name.startswith("O")] == ["ONNX", "ONNX int8", "OpenVINO", "OpenVINO int8"]
    assert scores["OpenVINO"] == scores["ONNX"] == scores["student"]
    assert {"onnxruntime", "openvino"} <= results["machine"].keys()
    alone = ["bench-model", str(run), "--export", str(run / "openvino"), "--lengths", "8", "--rounds", "2"]
    assert main(alone) == 0
    models = {row["model"] for row in json.loads((run / "bench-model.json").read_text())["rows"]}
    assert {name for name in models if name.startswith("O")} == {"OpenVINO", "OpenVINO int8"}


def test_exports_with_different_vocabularies_are_not_timed_together(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(student, tmp_path / "student")
    pruned = shutil.copytree(run / "onnx", run / "openvino")
    facts = json.loads((pruned / "predict.json").read_text())
    (pruned / "predict.json").write_text(json.dumps({**facts, "pruned": True}))
    message = fails(capsys, "bench-model", str(run))
    assert message == (
        f"{pruned} has a smaller vocabulary than {run / 'onnx'}: export both alike, or give one. (--export)"
    )


def test_an_export_without_its_graphs_is_not_timed(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(student, tmp_path / "student")
    for path in (run / "onnx").glob("*.onnx"):
        path.unlink()
    assert fails(capsys, "bench-model", str(run)) == f"{run / 'onnx'} has no graph: export {run} again. (--export)"


def test_results_compare_the_forms(student: Path) -> None:
    results = json.loads((student / "onnx" / "results.json").read_text())
    parts = results["parameters"]
    assert parts["total"] == parts["embeddings"] + parts["layers"] + parts["head"]
    assert list(results["forms"]) == ["pytorch", "model.onnx", "model_int8.onnx"]
    own = json.loads((student / "results.json").read_text())["metrics"]["score"]
    assert results["forms"]["pytorch"]["metrics"]["score"] == own
    assert results["forms"]["model.onnx"]["difference"] <= 1e-4


def test_every_form_is_timed_in_shapes_that_the_model_takes(student: Path) -> None:
    results = json.loads((student / "bench-model.json").read_text())
    models = list(dict.fromkeys(row["model"] for row in results["rows"]))
    assert [name for name in models if "bf16" not in name] == ["teacher", "student", "ONNX", "ONNX int8", "static"]
    assert {tuple(row["shape"]) for row in results["rows"]} == {(1, 8), (2, 8)}
    for row in results["rows"]:
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["model"] != "student" or row["times_faster"] == 1
    assert (student.parents[1] / "pareto.png").stat().st_size > 1000


def test_a_student_of_columns_is_timed_as_a_student(student: Path, tmp_path: Path) -> None:
    run = shutil.copytree(student, tmp_path / "student")
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "teacher": None}))
    assert main(["bench-model", str(run), "--batch_sizes", "1", "--lengths", "8", "--rounds", "2"]) == 0
    rows = json.loads((run / "bench-model.json").read_text())["rows"]
    models = [row["model"] for row in rows if "bf16" not in row["model"]]
    assert models == ["student", "ONNX", "ONNX int8"]


@pytest.mark.slow
def test_a_pruned_export_is_compared_and_timed(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(student / "onnx", tmp_path / "pruned")  # an earlier export, which is replaced
    assert main(["export", str(student), "--prune_vocabulary", "--output", str(folder)]) == 0
    assert not (folder / "model_int8.onnx").exists()
    whole, pruned = (json.loads((path / "results.json").read_text()) for path in (student / "onnx", folder))
    assert list(pruned["forms"]) == ["pytorch, whole vocabulary", "pytorch", "model.onnx"]
    assert pruned["parameters"]["embeddings"] < whole["parameters"]["embeddings"]
    assert pruned["parameters"]["layers"] == whole["parameters"]["layers"]
    assert pruned["forms"]["pytorch"]["mib"] < pruned["forms"]["pytorch, whole vocabulary"]["mib"]
    assert [path.name for path in tmp_path.iterdir()] == ["pruned"]
    capsys.readouterr()
    timed = ["--lengths", "8", "--rounds", "2", "--output", str(tmp_path / "timed.json")]
    assert main(["bench-model", str(student), "--export", str(folder), *timed]) == 0
    assert "int8 was not timed one example at a time.\n" in capsys.readouterr().out


def test_a_folder_of_other_files_is_not_replaced(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    message = fails(capsys, "export", str(student), "--output", str(tmp_path))
    assert message == f"output is {tmp_path}, which is there and is no export: give another folder. (--output)"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_export_of_another_model_is_not_timed(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(student, tmp_path / "other")
    model = AutoModelForSequenceClassification.from_pretrained(run / "student")
    output_layer(model).bias.data[0] += 1
    model.save_pretrained(run / "student")
    (run / "student" / "checksums.json").unlink()
    assert "is an export of another model: its scores differ by 1" in fails(capsys, "bench-model", str(run))
    shutil.rmtree(run / "onnx")
    message = fails(capsys, "bench-model", str(run))
    assert message == (
        f"There is no export of {run / 'student'} in {run}: write one with `kselect export {run} --int8`."
    )


def test_missing_packages_are_named_with_their_extra(
    student: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kselect.cli.preflight.find_spec", lambda name: None)
    assert fails(capsys, "export", str(student)) == (
        "format onnx needs onnx, onnxscript, onnxruntime, which are not all installed: pip install 'kselect[onnx]'. "
        "(--format)"
    )
    assert fails(capsys, "export", str(student), "--format", "openvino") == (
        "format openvino needs openvino, nncf, which are not all installed: pip install 'kselect[openvino]'. (--format)"
    )
    assert fails(capsys, "bench-model", str(student)) == (
        f"{student / 'onnx'} needs onnxruntime, which is not installed: pip install 'kselect[onnx]', or give another "
        "export. (--export)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_words_are_labelled_without_torch_as_predict_does(form: str, tmp_path: Path) -> None:
    skip_without_packages(form)
    word_files.write(tmp_path)
    files = ["--train_file", str(tmp_path / "train.conll"), "--dev_file", str(tmp_path / "dev.conll")]
    how = ["--task_type", "tags", *files, "--encoder", str(tmp_path / "encoder"), "--head", "crf", "--epochs", "2"]
    how += ["--batch_size", "16", "--learning_rate", "3e-3", "--precision", "fp32"]
    run = tmp_path / "runs" / "crf"
    assert main(["train-teacher", *how, "--runs_dir", str(tmp_path / "runs"), "--run_name", "crf"]) == 0
    assert main(["export", str(run), "--format", form]) == 0
    predicted = tmp_path / "predicted.conll"
    given = ["--test_file", str(tmp_path / "dev.conll"), "--output", str(predicted), "--precision", "fp32"]
    assert main(["predict", str(run), *given]) == 0
    sentences = [block.splitlines() for block in re.split(r"\n\s*\n", predicted.read_text().strip())]
    rows = [[line.split() for line in sentence if not line.startswith("#")] for sentence in sentences]
    found = answers(run / form, "".join(" ".join(row[0] for row in sentence) + "\n" for sentence in rows if sentence))
    repaired = [list(convert(json.loads(line), "iob2")) for line in found]  # as `predict` does
    assert repaired == [[row[-1] for row in sentence] for sentence in rows if sentence]

"""`predict` on files that are larger than memory should be, and on standard input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kselect.cli.main import main
from tests.tiny import tiny_classifier, tiny_task
from tests.words import word_classifier

ROW = {"text": "the dog sleeps", "notes": "x" * 10_000}
MEGABYTE = 2**20
GROWTH = """
import resource, sys
from kselect.cli.main import main

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

model, small, large, output = sys.argv[1:]
words = ["--text_columns", "text", "--batch_size", "256", "--precision", "fp32", "--output", output]
assert main(["predict", model, "--test_file", small, *words]) == 0
before = peak()
assert main(["predict", model, "--test_file", large, *words]) == 0
print("growth", peak() - before)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_classifier(tiny_task(), layers=1).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(model: Path, tmp_path: Path) -> None:
    files = []
    for name, rows in (("small", 2_000), ("large", 8_000)):
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text(f"{json.dumps(ROW)}\n" * rows)
    assert files[-1].stat().st_size > 75 * MEGABYTE
    words = [sys.executable, "-c", GROWTH, str(model), *map(str, files), str(tmp_path / "answers.tsv")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout.split("growth ")[1]) < 15 * MEGABYTE
    assert len((tmp_path / "answers.tsv").read_text().splitlines()) == 8_001


def predicted(model: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kselect", "predict", str(model), "--test_file", "-", "--output", "-", *words]
    return subprocess.run(command, input=text, capture_output=True, text=True)


@pytest.mark.slow
def test_texts_are_read_from_and_written_to_standard_streams(model: Path, tmp_path: Path) -> None:
    texts = tiny_task().splits["dev"].text_a[:3]
    piped = predicted(model, "\n".join(texts), "--precision", "fp32")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"t": text}) + "\n" for text in texts))
    words = ["--test_file", str(tmp_path / "texts.jsonl"), "--text_columns", "t", "--precision", "fp32"]
    assert main(["predict", str(model), *words, "--output", str(tmp_path / "answers.tsv")]) == 0
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout == (tmp_path / "answers.tsv").read_text()
    assert len(piped.stdout.splitlines()) == 4


@pytest.mark.slow
def test_words_are_read_from_and_written_to_standard_streams(tmp_path: Path) -> None:
    word_classifier("crf").save_pretrained(tmp_path)
    piped = predicted(tmp_path, "ab\ncd\n\nghh\n", "--task_type", "tags")
    assert piped.returncode == 0, piped.stderr
    assert [line.split(" ")[0] for line in piped.stdout.splitlines()] == ["ab", "cd", "", "ghh"]
    assert all(len(line.split(" ")) == 2 for line in piped.stdout.splitlines() if line)


def test_a_fault_in_the_middle_leaves_the_old_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.dumps({"text": "the dog sleeps"})] * 3000
    (tmp_path / "texts.jsonl").write_text("\n".join([*rows, "{"]))
    (tmp_path / "answers.csv").write_text("old")
    words = ["--test_file", str(tmp_path / "texts.jsonl"), "--text_columns", "text"]
    assert main(["predict", str(model), *words, "--output", str(tmp_path / "answers.csv")]) == 2
    assert "texts.jsonl:3001 is not JSON" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "texts.jsonl"]
    assert (tmp_path / "answers.csv").read_text() == "old"


@pytest.mark.slow
def test_pairs_for_a_model_of_single_texts_are_refused_before_a_line_is_written(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "student")
    (tmp_path / "config.yaml").write_text("task: mine\ntext_columns: [text]\n")
    piped = predicted(tmp_path, '{"q": "a", "a": "b"}\n', "--text_columns", "q,a")
    assert (piped.returncode, piped.stdout) == (2, "")
    assert piped.stderr == (
        "kselect: error: The model was trained on single texts, and these are pairs: give it single texts. "
        "(--text_columns)\n"
    )


def test_probabilities_are_refused_where_no_table_has_them(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.conll").write_text("ab O\n")
    words = ["--task_type", "tags", "--test_file", str(tmp_path / "a.conll"), "--probabilities"]
    assert main(["predict", str(model), *words]) == 2
    assert "Probabilities are written for texts, and task_type is not text" in capsys.readouterr().err

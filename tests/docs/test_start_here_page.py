"""docs/start-here.md: its commands run, one after the other, on small data and models."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from kselect.cli.main import main
from kselect.tasks import TextFiles, load_task
from tests import word_files
from tests.glue_files import write_tsv
from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "start-here.md").read_text()
SMALL = {
    **dict.fromkeys(
        ("train-teacher", "distill", "train-policy", "compare"),
        "--epochs 1 --batch_size 8 --max_length 16 --precision fp32",
    ),
    "doctor": "--batch_size 8 --max_length 16 --precision fp32",
    "bench-model": "--batch_sizes 1 --lengths 8 --rounds 2",
}
"""Further options of the commands, so that they take little time."""
REVIEWS = [
    f"the {subject} {verb} {adverb} {number}"
    for number in range(6)
    for subject in ("dog", "cat", "poet", "doctor")
    for verb in ("sleeps", "sings", "waits")
    for adverb in ("often", "gladly")
]


def commands(section: str) -> list[str]:
    """The commands under a heading."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    blocks = "".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return [line for line in blocks.splitlines() if line.startswith("kselect ")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page names, in which commands run."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{review},{('sad', 'glad')[i % 24 % 5 % 2]}" for i, review in enumerate(REVIEWS)]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,mood", *rows]) + "\n")
    (tmp_path / "new.csv").write_text("review\nthe dog sleeps often\n")
    (tmp_path / "ner").mkdir()
    word_files.write(tmp_path / "ner")
    (tmp_path / "ner" / "dev.conll").rename(tmp_path / "ner" / "test.conll")
    word_files.write(tmp_path / "ner")
    for task in ("mrpc", "rte"):
        write_tsv(tmp_path / "glue", task)
    monkeypatch.setenv("KSELECT_DATA", str(tmp_path / "glue"))
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "encoder")
    reviews = load_task("reviews", files=TextFiles(["review"], "reviews.csv", label_column="mood"))
    tiny_classifier(reviews).save_pretrained(tmp_path / "my-bert")
    return tmp_path


@pytest.mark.parametrize(
    "section",
    [
        pytest.param("My BERT", marks=pytest.mark.nightly),
        "My table",
        "My entities",
        pytest.param("Train a policy, inspect it, carry it over", marks=pytest.mark.nightly),
    ],
)
def test_its_commands_run(section: str, place: Path) -> None:
    if section == "My BERT" and find_spec("onnxruntime") is None:
        pytest.skip("onnxruntime is not installed")
    lines = commands(section)
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line.replace("bert-base-uncased", "encoder"))[1:]
        assert main([*words, *SMALL.get(words[0], "").split()]) == 0, line

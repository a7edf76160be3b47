"""docs/trainer.md: the lines that it changes make an ordinary fine-tuning script a distillation."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainingArguments

import kselect
from kselect.agents import load_agent
from kselect.models.shrink import shrink
from tests.tiny import tiny_classifier, tiny_task

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trainer.md").read_text()
SCRIPT = ROOT / "tests" / "training" / "fine_tune.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, a student and the files of a tiny task."""
    folder, task = tmp_path_factory.mktemp("glue"), tiny_task()
    teacher = tiny_classifier(task)
    teacher.save_pretrained(folder / "teacher")
    shrink(teacher, 2).save_pretrained(folder / "student")
    for part, split in (("train", "train"), ("validation", "dev")):
        texts = task.splits[split]
        lines = [
            json.dumps({"sentence": text, "label": label})
            for text, label in zip(texts.text_a, texts.labels, strict=True)
        ]
        (folder / f"{part}.json").write_text("\n".join(lines))
    return folder


def changed_script(teacher: Path) -> str:
    """Return the script with the lines of the page's diff replaced."""
    (diff,) = re.findall(r"^```diff\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    before, after = ("".join(line[1:] + "\n" for line in diff.splitlines() if line[0] == sign) for sign in "-+")
    script = SCRIPT.read_text()
    assert script.count(before) == 1
    changed = script.replace(before, after).replace("import numpy as np\n", "import kselect\nimport numpy as np\n")
    return changed.replace("runs/teacher/model", str(teacher))


def run(script: Path, folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    options = {
        "model_name_or_path": folder / "student",
        "train_file": folder / "train.json",
        "validation_file": folder / "validation.json",
        "output_dir": output,
        "per_device_train_batch_size": 8,
        "max_steps": 6,
        "logging_steps": 2,
        "report_to": "none",
        "use_cpu": True,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", [str(script), *words])
    return runpy.run_path(str(script), run_name="__main__")


def test_two_lines_make_a_distillation(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run(SCRIPT, folder, tmp_path / "plain", monkeypatch)
    script = tmp_path / "distil.py"
    script.write_text(changed_script(folder / "teacher"))
    ours = run(script, folder, tmp_path / "ours", monkeypatch)
    assert plain["metrics"].keys() == ours["metrics"].keys()
    assert isinstance(ours["trainer"], kselect.KSelectTrainer)
    assert ours["trainer"].setup is not None
    assert ours["trainer"].setup.chosen is not None
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours")
    assert saved.config.num_hidden_layers == 2


def run_example(number: int, folder: Path, output: Path) -> kselect.KSelectTrainer:
    example = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[number]
    tokenizer = AutoTokenizer.from_pretrained(folder / "student")
    texts = tiny_task().splits["train"]
    names: dict[str, Any] = {
        "kselect": kselect,
        "model": AutoModelForSequenceClassification.from_pretrained(folder / "student"),
        "teacher": AutoModelForSequenceClassification.from_pretrained(folder / "teacher"),
        "tokenizer": tokenizer,
        "train_dataset": [
            {**tokenizer(text), "labels": label} for text, label in zip(texts.text_a, texts.labels, strict=True)
        ],
        "training_args": TrainingArguments(
            str(output), max_steps=4, logging_steps=1, save_strategy="no", report_to="none", use_cpu=True
        ),
    }
    exec(example, names)
    return names["trainer"]


def test_example_trains(folder: Path, tmp_path: Path) -> None:
    trainer = run_example(0, folder, tmp_path)
    records = [record for record in trainer.state.log_history if "weight/hidden" in record]
    assert [record["weight/hidden"] for record in records] == [1, 1, 0, 0]


def test_example_learns_within_the_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = run_example(1, folder, tmp_path)
    assert trainer.episode is not None
    shown = capsys.readouterr().out
    assert all(str(phase["weights"]) in shown for phase in trainer.episode.history)
    assert isinstance(load_agent("policy"), kselect.ActorCritic)

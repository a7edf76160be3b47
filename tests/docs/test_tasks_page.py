"""docs/tasks.md: its tables are complete, its commands are accepted, its example runs."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig, BertModel

from kselect.cli.commands import COMMANDS
from kselect.config import HEADS, TaskConfig, names_with
from kselect.errors import KselectError
from kselect.models.loading import load_encoder
from kselect.models.word_classifier import saved_head
from kselect.tasks import TASKS, load_task
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.metrics import METRICS
from kselect.tasks.registry import load_test
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.words import TaggedSource
from tests import word_files

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
ROWS = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", PAGE, re.MULTILINE))

EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(example, "docs/tasks.md", "exec"), names)
    return names


@pytest.mark.parametrize("name", GLUE_FORMATS)
def test_the_columns_of_test_files_are_all_that_predictions_need(name: str, tmp_path: Path) -> None:
    folder = GLUE_FORMATS[name].folder
    (row,) = (
        row
        for row in re.findall(r"^\| ([A-Z].*) \|$", PAGE, re.MULTILINE)
        if re.search(rf"\b{folder}\b", row.split(" | ")[0])
    )
    texts = re.findall(r"`([^`]+)`", row.split(" | ")[1])
    index = "id" if name == "qqp" else "index"
    paths = [tmp_path / folder / f"{part}.tsv" for part in GLUE_FORMATS[name].submissions]
    paths[0].parent.mkdir()

    def ids(columns: list[str]) -> list[list[str]]:
        rows = [columns, ["7"] * len(columns), ["8"] * len(columns)]
        for path in paths:
            path.write_text("".join("\t".join(row) + "\n" for row in rows))
        return [[str(i) for i in test.ids] for test in load_test(name, str(tmp_path)).values()]

    assert ids([index, *texts]) == [["7", "8"]] * len(paths)
    assert ids(texts) == [["0", "1"]] * len(paths)
    for left_out in texts:
        with pytest.raises(KselectError, match=left_out):
            ids([index, *(text for text in texts if text != left_out)])


@pytest.mark.parametrize("name", TASKS)
def test_every_task_with_its_labels_in_order(name: str) -> None:
    tasks: dict[str, Any] = {**GLUE_FORMATS, **SYNTHETIC_TASKS}
    labels = tasks[name].labels
    assert ROWS[name].split(" | ")[1] == (", ".join(labels) or "a score from 0 to 5")


def test_every_setting_of_own_data_and_every_metric() -> None:
    texts, tags = (names_with(TaskConfig, group=group) for group in ("texts", "tags"))
    own = {
        "train_file",
        "dev_file",
        "test_file",
        "task_type",
        *texts,
        *tags,
    }
    assert own <= set(ROWS)
    assert own <= {field.name for field in fields(TaskConfig)}
    assert [name for name in METRICS if f"`{name}`" not in ROWS["metrics"]] == []


def test_every_head() -> None:
    heads = [head for heads in HEADS.values() for head in heads]
    assert [name for name in ROWS if name in heads] == heads


def test_its_commands_are_accepted() -> None:
    blocks = "".join(re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if line.startswith("kselect ")]
    assert len(lines) == 7
    for line in lines:
        name, *words = shlex.split(line)[1:]
        assert COMMANDS[name].settings(words) is not None


def test_files_of_tags_become_a_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ner").mkdir()
    word_files.write(Path("ner"))
    BertModel(BertConfig.from_pretrained("ner/encoder", num_hidden_layers=4)).save_pretrained("ner/encoder")
    task = load_task("ner", files=TaggedSource("ner/train.conll", "ner/dev.conll"))
    load_encoder("ner/encoder", task, head="crf").save_pretrained("runs/tags-teacher/model")
    names = run(EXAMPLES[0])
    assert (names["result"].student.layers, names["result"].student.head.name) == (3, "crf")
    distiller = names["env"].distiller
    assert (list(distiller.names), distiller.step) == (["gold", "marginals"], distiller.total_steps)
    assert saved_head("student") == "crf"
    assert "'f1'" in capsys.readouterr().out


def test_texts_become_a_student(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(EXAMPLES[1])
    task = names["task"]
    sizes = {part: len(split) for part, split in task.splits.items()}
    assert sum(sizes.values()) == 120
    assert not set(task.splits["train"].text_a) & set(task.splits["dev"].text_a)
    assert names["distiller"].step == names["distiller"].total_steps
    assert "'accuracy'" in capsys.readouterr().out

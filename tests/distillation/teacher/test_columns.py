"""A teacher that is columns of the data, against a model that gives the same answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect.config import DistillSettings, KnowledgeConfig, TaskConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import predict
from kselect.distillation.teacher.columns import column_logits
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.tasks.registry import make_task
from kselect.tasks.splits import Split
from kselect.tasks.task import Task, TextTask
from kselect.tasks.transfer import with_transfer
from kselect.training.api import evaluated_teachers
from tests.architectures import classifier, tiny_regression
from tests.tiny import tiny_classifier, tiny_task

ANSWERS = ["gold", "logits", "reverse-kl", "jsd", "kd-pt", "kd-top-k"]


def run_of(task: Task[Any], teacher: Sequence[Classifier], student: Classifier, knowledge: list[str]) -> Distiller:
    training = TrainingConfig(batch_size=8, epochs=2, learning_rate=1e-3, precision="fp32")
    config = KnowledgeConfig(knowledge=knowledge, teacher_cache=0.0)
    return Distiller(task, teacher, copy.deepcopy(student), training, config, max_length=32)


def with_answers(task: TextTask, teacher: Classifier, probabilities: bool) -> TextTask:
    """The task with a teacher's answers on every split as its data would have them."""
    splits = {}
    for name, split in task.splits.items():
        encoded = task.encode(split, teacher.tokenizer, 32)
        logits = predict(teacher, encoded, np.arange(len(split)), 32, torch.float32, keep_logits=True).logits
        assert logits is not None
        rows = torch.log_softmax(logits, -1) if probabilities else logits
        splits[name] = replace(split, teacher_logits=[tuple(row) for row in rows.tolist()])
    return replace(task, splits=splits)


def assert_alike(one: Distiller, other: Distiller) -> None:
    assert one.initial_losses == pytest.approx(other.initial_losses, rel=1e-4)
    reports = []
    for run in (one, other):
        run.reset(1)
        reports.append(run.advance([1] * len(run.names), 4))
    assert reports[0].losses == pytest.approx(reports[1].losses, rel=1e-3)
    assert reports[0].signals == pytest.approx(reports[1].signals, rel=1e-3)


def test_probabilities_teach_as_the_model_that_gives_them() -> None:
    task = tiny_task("synthetic-topics")
    assert isinstance(task, TextTask)
    teacher = tiny_classifier(task)
    student, answered = shrink(teacher, 2), with_answers(task, teacher, probabilities=True)
    assert_alike(run_of(task, [teacher], student, ANSWERS), run_of(answered, [], student, ANSWERS))


def test_scores_teach_as_the_model_that_gives_them() -> None:
    task = tiny_regression()
    assert isinstance(task, TextTask)
    teacher = classifier("bert", task)
    student, answered = shrink(teacher, 2), with_answers(task, teacher, probabilities=False)
    kinds = ["gold", "logits", "logits-mse"]
    assert_alike(run_of(task, [teacher], student, kinds), run_of(answered, [], student, kinds))


def test_columns_are_the_last_teacher() -> None:
    task = tiny_task()
    assert isinstance(task, TextTask)
    one, two = tiny_classifier(task), tiny_classifier(task, seed=1)
    student, answered = shrink(one, 2), with_answers(task, two, probabilities=False)
    kinds = ["gold", "logits", "logits@1", "logits@2", "hidden@1"]
    models, mixed = run_of(task, [one, two], student, kinds), run_of(answered, [one], student, kinds)
    assert_alike(models, mixed)
    assert evaluated_teachers(models) == [pytest.approx(metrics, rel=1e-4) for metrics in evaluated_teachers(mixed)]


def test_only_answers_can_be_read_of_columns() -> None:
    task = tiny_task()
    assert isinstance(task, TextTask)
    teacher = tiny_classifier(task)
    answered = with_answers(task, teacher, probabilities=True)
    assert Distiller(answered, None, shrink(teacher, 2)).kinds == ("gold", "logits")
    for kind in ("hidden", "kd-sim"):
        with pytest.raises(KselectError) as error:
            run_of(answered, [], shrink(teacher, 2), ["gold", kind])
        assert str(error.value) == (
            f"knowledge {kind} reads inside a teacher, and this one is columns of the data: offer kinds that read "
            "answers: gold, logits, logits-mse, reverse-kl, jsd, label-smoothing, kd-pt, kd-top-k. Of the kinds named, "
            "these models support gold."
        )


def test_further_texts_need_answers() -> None:
    task = tiny_task()
    assert isinstance(task, TextTask)
    teacher = tiny_classifier(task)
    further = with_transfer(with_answers(task, teacher, True), Split(["the dog runs"], None, [0]).unlabelled())
    with pytest.raises(KselectError, match="The transfer texts have no answers of the teacher"):
        run_of(further, [], shrink(teacher, 2), ["gold", "logits"])


def test_columns_in_a_wrong_order_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    task = tiny_task()
    assert isinstance(task, TextTask)
    train = task.splits["train"]
    for right in (True, False):
        caplog.clear()
        sure = [(4.0, 0.0) if (label == 0) == right else (0.0, 4.0) for label in train.labels]
        column_logits(replace(task, splits={**task.splits, "train": replace(train, teacher_logits=sure)}))
        assert ("agree with 0 % of the labels of train" in caplog.text) != right


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def row(i: int, label: str | None = "", p: Sequence[float] = (0.25, 0.75), **more: Any) -> dict[str, Any]:
    label = ("no", "yes")[i % 2] if label == "" else label
    return {"text": f"text {i}", "label": label, "p_no": p[0], "p_yes": p[1], **more}


def settings(path: str, **more: Any) -> TaskConfig:
    return TaskConfig(train_file=path, text_columns=["text"], teacher_columns=["p_no", "p_yes"], **more)


def test_rows_without_a_label_have_only_the_teacher(tmp_path: Path) -> None:
    rows = [*(row(i) for i in range(40)), *(row(i, None, (0.9, 0.1)) for i in range(40, 60))]
    task = make_task(settings(write(tmp_path / "train.jsonl", rows)))
    assert task.labels == ("no", "yes")
    assert {name: len(split) for name, split in task.splits.items()} == {
        "train": 32, "dev": 4, "reward": 4, "transfer": 20
    }  # fmt: skip
    assert not task.splits["transfer"].is_labelled
    assert np.exp(task.splits["transfer"].teacher_logits) == pytest.approx(np.tile([0.9, 0.1], (20, 1)))
    assert np.exp(task.splits["dev"].teacher_logits) == pytest.approx(np.tile([0.25, 0.75], (4, 1)))


def test_files_of_further_texts_have_the_same_columns(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [*(row(i) for i in range(40)), row(40, None)])
    more = write(tmp_path / "more.jsonl", [row(i, None, (0.5, 0.5)) for i in range(50, 59)])
    task = make_task(settings(train, transfer_file=more))
    assert len(task.splits["transfer"].teacher_logits) == 10
    labelled = write(tmp_path / "labelled.jsonl", [{"text": f"text {i}", "label": str(i % 2)} for i in range(40)])
    task = make_task(settings(labelled, unlabelled_file=more))
    assert len(task.splits["train"].teacher_logits) == 9
    assert task.splits["dev"].teacher_logits is None
    with pytest.raises(KselectError, match="has no column 'p_no'"):
        make_task(settings(train, transfer_file=labelled))


@pytest.mark.parametrize(
    ("wrong", "more", "message"),
    [
        (
            {"p": (0.5, 0.6)},
            {},
            r"train.jsonl:4 has 0.5, 0.6 as the teacher's probabilities, which are not positive or",
        ),
        ({"p": (-0.5, 1.5)}, {}, r"train.jsonl:4 has -0.5, 1.5 as the teacher's probabilities"),
        ({"p": (float("nan"), 1)}, {}, r"train.jsonl:4 has 'nan' in 'p_no', expected a number"),
        (
            {},
            {"labels": ["no", "yes", "maybe"]},
            r"teacher_columns names 2 \(p_no, p_yes\): name one for each of the 3",
        ),
        ({}, {"regression": True, "label_column": "score"}, r"names 2 \(p_no, p_yes\): name the one of the score"),
        ({}, {"augment": 2}, "augment makes texts for which teacher_columns have no answers"),
    ],
)
def test_faults_in_columns_are_refused(tmp_path: Path, wrong: Any, more: Any, message: str) -> None:
    rows = [row(i, score=i / 10, **(wrong if i == 3 else {})) for i in range(40)]
    path = write(tmp_path / "train.jsonl", rows)
    with pytest.raises(KselectError, match=message):
        make_task(settings(path, **more))


def test_columns_may_hold_logits(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", [row(i, p=(-3.0, 4.0)) for i in range(40)])
    task = make_task(settings(path, teacher_values="logits"))
    assert set(task.splits["train"].teacher_logits) == {(-3.0, 4.0)}


def test_rounded_probabilities_are_normalised(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", [row(i, p=(0.333, 0.664)) for i in range(40)])
    task = make_task(settings(path))
    assert np.exp(task.splits["train"].teacher_logits).sum(1) == pytest.approx(1)


def test_no_teacher_is_needed_but_a_student() -> None:
    columns = {"train_file": "t.csv", "text_columns": ["text"], "teacher_columns": ["a", "b"]}
    assert DistillSettings.from_dict({**columns, "student": "s"}).model.teachers == []
    with pytest.raises(KselectError, match="student is missing: with teacher_columns alone"):
        DistillSettings.from_dict(columns)
    DistillSettings.from_dict({**columns, "teacher": "t", "knowledge": ["gold", "logits@2"]})
    with pytest.raises(KselectError, match="reads teacher 3 of 2"):
        DistillSettings.from_dict({**columns, "teacher": "t", "knowledge": ["gold", "logits@3"]})

"""Facts on disk: stored are those that would be measured, and only for the same content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kselect.distillation.distiller import Distiller
from kselect.distillation.facts import measure
from kselect.distillation.facts.measure import measure_facts
from kselect.distillation.teacher.cache import CacheFolder
from kselect.models.shrink import shrink
from kselect.tasks.task import Task
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import task_for, word_classifier


def files(folder: Path) -> set[Path]:
    return set((folder / "facts").glob("*"))


def test_stored_equals_measured(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = measure_facts(tiny_distiller({"teacher_cache": 0.0}))
    assert files(cache_dir) == set()
    first = measure_facts(tiny_distiller())
    (path,) = files(cache_dir)
    content = path.read_bytes()

    def never(distiller: Distiller) -> Any:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(measure, "_measure", never)
        stored = measure_facts(tiny_distiller(batch_size=4))
    assert replace(stored, steps=first.steps) == first == live  # what is not measured is of the run
    assert path.read_bytes() == content


def test_other_content_is_measured_anew(cache_dir: Path) -> None:
    task, teacher = tiny_task(), tiny_classifier(tiny_task())

    def stored(**changes: Any) -> set[Path]:
        before = files(cache_dir)
        measure_facts(tiny_distiller(**{"task": task, "teacher": teacher, **changes}))
        return files(cache_dir) - before

    assert len(stored()) == 1
    assert len(stored(task=replace(task, name="other name"))) == 0
    flipped = [1 - label for label in task.splits["train"].labels]
    assert len(stored(task=with_train(task, labels=flipped))) == 1
    assert len(stored(task=with_train(task, text_a=task.splits["train"].text_a[::-1]))) == 1
    assert len(stored(task=replace(task, metrics=("accuracy",)))) == 1
    assert len(stored(teacher=tiny_classifier(task, seed=5))) == 1


def with_train(task: Task, **changes: Any) -> Task:
    return replace(task, splits={**task.splits, "train": replace(task.splits["train"], **changes)})


def test_weights_of_a_head_count(cache_dir: Path) -> None:
    teacher = word_classifier("crf")
    measure_facts(Distiller(task_for("crf"), teacher, shrink(teacher, 1)))
    with torch.no_grad():
        teacher.head.get_parameter("start").add_(1.0)
    measure_facts(Distiller(task_for("crf"), teacher, shrink(teacher, 1)))
    assert len(files(cache_dir)) == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"entropy": 1.0}'])
def test_a_damaged_file_is_replaced(cache_dir: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    facts = measure_facts(tiny_distiller())
    (path,) = files(cache_dir)
    content = path.read_bytes()
    path.write_bytes(damage)
    assert measure_facts(tiny_distiller()) == facts
    assert f"{path} is damaged" in caplog.text
    assert path.read_bytes() == content


def test_clearing_deletes_them(cache_dir: Path) -> None:
    measure_facts(tiny_distiller())
    CacheFolder().clear_facts()
    CacheFolder().clear_facts()
    assert not (cache_dir / "facts").exists()

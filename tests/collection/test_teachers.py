"""Teachers of conditions, which conditions share as long as they learn from the same texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect import io
from kselect.collection.conditions import Condition, TeacherSpec
from kselect.collection.teachers import train_teacher
from kselect.config import TaskConfig
from kselect.models.loading import saved_texts
from kselect.tasks.fingerprint import texts_to_learn
from kselect.tasks.registry import make_task
from tests.tiny import save_encoder, tiny_classifier, tiny_task


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_a_teacher_is_trained_again_for_other_texts_only(factor: float, tmp_path: Path) -> None:
    whole = tiny_task()
    save_encoder(tiny_classifier(whole), tmp_path / "encoder")

    def data(name: str, first: int) -> TaskConfig:
        split = whole.splits["train"].take(range(first, first + 30))
        rows = [{"text": text, "label": label} for text, label in zip(split.text_a, split.labels, strict=True)]
        io.write_text(tmp_path / name, "".join(io.to_json(row) + "\n" for row in rows))
        return TaskConfig("mine", text_columns=["text"], train_file=str(tmp_path / name))

    condition = Condition("c", "mine", "s", teacher=TeacherSpec(examples=30, epochs=1.0, logit_factor=factor))

    def train(config: TaskConfig) -> tuple[int, bool]:
        path = train_teacher(condition, config, str(tmp_path / "encoder"), 0, tmp_path / "teachers")
        texts = saved_texts(path)
        assert texts is not None
        learned = bool(np.isin(texts_to_learn(make_task(config).splits), texts).all())
        return (path / "model.safetensors").stat().st_mtime_ns, learned

    first = train(data("first.jsonl", 0))
    assert train(data("copy.jsonl", 0)) == first
    second = train(data("second.jsonl", 30))
    assert second[0] > first[0]
    assert first[1]
    assert second[1]

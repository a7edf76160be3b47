from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kselect.config import EncoderConfig, KnowledgeConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.distillation.builders import make_distiller
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from tests.architectures import classifier
from tests.tiny import save_encoder, tiny_task

TASK = TaskConfig(task="synthetic-acceptability", train_limit=40, max_length=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two teachers, a small encoder without a head, and one of another vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    task = tiny_task()
    classifier("bert", task).save_pretrained(folder / "one")
    classifier("roberta", task, seed=1).save_pretrained(folder / "other")
    small = classifier("distilbert", task, layers=2, width=12)
    save_encoder(small, folder / "small")
    return folder


def made(student: StudentConfig, seed: int = 0, **knowledge: Any) -> Distiller:
    offered = KnowledgeConfig(**knowledge)
    return make_distiller(TASK, student, TrainingConfig(precision="fp32"), offered, seed)


def test_make_distiller_shrinks_to_three_layers_by_default(folder: Path) -> None:
    assert StudentConfig(teacher="somewhere").kept_layers == 3
    distiller = made(StudentConfig(teacher=str(folder / "one")), knowledge=["gold"])
    assert distiller.student.layers == 3


def test_make_distiller_loads_a_student_for_a_wider_teacher(folder: Path) -> None:
    config = StudentConfig(teacher=str(folder / "one"), student=str(folder / "small"))
    assert config.layers is None
    distiller = made(config, knowledge=["gold", "logits", "hidden", "value-relations"])
    assert (distiller.student.width, distiller.student.layers) == (12, 2)
    assert distiller.student.model.config.id2label == dict(enumerate(distiller.task.labels))
    assert distiller.advance([1, 1, 1, 1], 2).steps == 2


def test_make_distiller_seeds_the_students_head(folder: Path) -> None:
    config = StudentConfig(teacher=str(folder / "one"), student=str(folder / "small"))
    heads = [
        made(config, seed, knowledge=["gold"]).student.model.get_parameter("classifier.weight") for seed in (1, 1, 2)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_make_distiller_of_several_teachers_shrinks_the_first(folder: Path) -> None:
    config = StudentConfig(teacher=[str(folder / "one"), str(folder / "other")], layers=2)
    distiller = made(config, knowledge=["gold", "logits", "logits-mse"])
    assert [teacher.model.config.model_type for teacher in distiller.teachers] == ["bert", "roberta"]
    assert distiller.student.model.config.model_type == "bert"
    assert distiller.advance([1, 1, 1], 2).steps == 2


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            EncoderConfig,
            {"encoder": "bert-base-uncased", "hidden_size": 256},
            "hidden_size is 256, but bert-base-uncased has its own: leave it out.",
        ),
        (TrainingConfig, {"epochs": float("inf")}, "epochs is inf: give a positive number."),
    ],
)
def test_settings_refuse_unused_values(kind: type, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(KselectError) as error:
        kind(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": ""}, "teacher is empty: give the folder of a fine-tuned classifier."),
        ({"teacher": []}, "teacher is empty: give the folder of a fine-tuned classifier."),
        ({"teacher": ["a", "a"]}, "teacher names one twice: a, a."),
        ({"teacher": "a", "student": ""}, "student is empty: give the folder of an encoder, or layers instead."),
        (
            {"teacher": "a", "student": "b", "layers": 3},
            "layers is 3, but b has its own layers: give layers or student.",
        ),
        ({"teacher": "a", "layers": [0, 1]}, "layers is [0, 1]: give how many to keep, or which ones, counted from 1."),
    ],
)
def test_settings_refuse_contradictions(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(KselectError) as error:
        StudentConfig(**settings)
    assert str(error.value) == message

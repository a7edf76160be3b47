"""The vector of facts, and the facts of each kind of knowledge."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

from kselect.config import KNOWLEDGE_NAMES, KnowledgeConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import FACTS, INDICATORS, KIND_FACTS, Facts, kind_facts
from kselect.models.classifier import Classifier
from kselect.models.output_layer import output_layer
from kselect.models.shrink import shrink
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import task_for, word_classifier

WHOLE = Facts(
    teacher_less_student=0.2,
    teacher_less_student_error=0.05,
    teacher_less_probe=-0.1,
    teacher_less_probe_error=0.025,
    disagreement=0.25,
    calibration_error=0.1,
    overconfidence=-0.1,
    entropy=0.5,
    labelled=999,
    unlabelled=0,
    classes=10,
    steps=100,
    epochs=1.0,
    new_parameters=0.01,
    new_head=True,
    depth=0.5,
    width=1.0,
    teacher_examples=9,
    regression=False,
    words=True,
)
UNKNOWN: dict[str, Any] = {
    "student_known": {"teacher_less_student": None, "teacher_less_student_error": None},
    "probe_known": {"teacher_less_probe": None, "teacher_less_probe_error": None},
    "disagreement_known": {"disagreement": None},
    "calibration_known": {"calibration_error": None, "overconfidence": None, "entropy": None},
    "teacher_known": {"depth": None, "width": None},
    "teacher_examples_known": {"teacher_examples": None},
}


def test_the_vector_by_hand() -> None:
    expected = {
        "teacher_less_student": 1,
        "teacher_less_student_error": 1,
        "teacher_less_probe": -0.5,
        "teacher_less_probe_error": 0.5,
        "disagreement": 0.25,
        "calibration_error": 0.5,
        "overconfidence": -0.5,
        "entropy": 0.5,
        "labelled": 0,
        "unlabelled": 0,
        "classes": 0.5,
        "steps": 0,
        "epochs": 0,
        "new_parameters": 0.01,
        "new_head": 1,
        "depth": 0.5,
        "width": 1,
        "label_ratio": 2,
        "regression": 0,
        "words": 1,
        **dict.fromkeys(UNKNOWN, 1),
    }
    assert WHOLE.scaled() == pytest.approx(expected)
    assert dict(zip(FACTS, WHOLE.vector().tolist(), strict=True)) == pytest.approx(expected)
    assert list(WHOLE.scaled()) == list(FACTS)
    large = replace(WHOLE, labelled=99_999, unlabelled=99_999, steps=10_000, epochs=10.0, classes=100)
    assert [large.scaled()[name] for name in ("labelled", "unlabelled", "steps", "epochs", "classes")] == [1] * 5


@pytest.mark.parametrize("indicator", UNKNOWN)
def test_a_fact_that_is_unknown_is_0_with_its_indicator(indicator: str) -> None:
    facts = replace(WHOLE, **UNKNOWN[indicator])
    changed = {name for name, value in facts.scaled().items() if value != WHOLE.scaled()[name]}
    assert changed == {indicator, *(name for name, its in INDICATORS.items() if its == indicator)}
    assert all(facts.scaled()[name] == 0 for name in changed)
    assert math.isfinite(facts.vector().sum())


def gradients(distiller: Distiller, head: nn.ModuleList) -> dict[str, bool]:
    """Whether the loss of each kind has a gradient on the student's head."""
    found = {}
    for i, kind in enumerate(distiller.knowledge):
        distiller.student.model.zero_grad(set_to_none=True)
        distiller.student.head.zero_grad(set_to_none=True)
        loss = distiller._steps.compare(np.arange(8), [i]).losses.sum()
        if loss.requires_grad:  # embeddings of a student cut from its teacher are equal to the teacher's
            loss.backward()
        found[kind.name] = any(p.grad is not None and bool(p.grad.any()) for p in head.parameters())
    return found


def head_of(student: Classifier) -> nn.ModuleList:
    return nn.ModuleList([student.head, *([output_layer(student.model)] if student.model.config.num_labels else [])])


def test_kinds_that_train_the_head_of_texts() -> None:
    of_texts = [*KNOWLEDGE_NAMES[: KNOWLEDGE_NAMES.index("parser-trees")]]
    distiller = tiny_distiller({"knowledge": of_texts}, task=tiny_task("synthetic-entailment"), dropout=0.0)
    trained = gradients(distiller, head_of(distiller.student))
    assert {kind.name: kind.trains_head for kind in distiller.knowledge} == trained
    assert trained["logits"]
    assert not trained["hidden"]


@pytest.mark.parametrize("head", ["tagger", "crf", "spans", "parser"])
def test_kinds_that_train_the_head_of_words(head: str) -> None:
    teacher = word_classifier(head)
    distiller = Distiller(task_for(head), teacher, shrink(teacher, 1), knowledge=KnowledgeConfig())
    student = distiller.student
    output = nn.ModuleList([student.head]) if head in ("spans", "parser") else head_of(student)
    assert gradients(distiller, output) == {kind.name: kind.trains_head for kind in distiller.knowledge}


def test_facts_of_kinds() -> None:
    task = tiny_task("synthetic-entailment")
    teacher, student = tiny_classifier(task, hidden_size=16), tiny_classifier(task, layers=2, hidden_size=8)
    names = ["gold", "logits", "hidden", "query-relations", "label-smoothing", "kd-sim"]
    offered = KnowledgeConfig(knowledge=names)
    distiller = Distiller(task, teacher, student, knowledge=offered, max_length=32)
    found = dict(zip(names, kind_facts(distiller.knowledge).tolist(), strict=True))
    assert KIND_FACTS == ("reads_labels", "reads_teacher", "trains_head", "is_projected", "teacher_index")
    assert found == {
        "gold": [1, 0, 1, 0, 0],
        "logits": [0, 1, 1, 0, 0],
        "hidden": [0, 1, 0, 1, 0],
        "query-relations": [0, 1, 0, 0, 0],
        "label-smoothing": [1, 0, 1, 0, 0],
        "kd-sim": [1, 1, 1, 0, 0],
    }
    distiller.knowledge[1].teachers = (1,)
    assert kind_facts(distiller.knowledge)[1, -1] == 1

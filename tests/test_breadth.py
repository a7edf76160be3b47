"""Every architecture learns from every kind of knowledge, of a classification and of a regression."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from kselect.config import LEVELS, TEXT_KNOWLEDGE, KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.tasks.task import Task
from tests.architectures import FURTHER, SHOWS_ATTENTION, USUAL, classifier, tiny_regression
from tests.tiny import tiny_task

TASKS = {"classification": lambda: tiny_task(train_limit=20), "regression": lambda: tiny_regression(train_limit=20)}
INSIDE_ATTENTION = {
    "attention",
    "attention-scores",
    "query-relations",
    "key-relations",
    "value-relations",
    "latent-trees",
}
DIVERGENCES = {"reverse-kl", "jsd"}  # of distributions, which a regression does not have
KINDS = [kind for kind in TEXT_KNOWLEDGE if kind not in LEVELS]
STEPS = 4


@cache
def task_of(name: str) -> Task:
    return TASKS[name]()


@cache
def teacher_of(architecture: str, task: str) -> Classifier:
    return classifier(architecture, task_of(task), layers=3)


def distiller_for(architecture: str, knowledge: str, task: str) -> Distiller:
    """A student narrower than its teacher and with weights of its own; every step takes all examples."""
    student = classifier(architecture, task_of(task), layers=2, width=12, seed=1)
    for module in student.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    training = TrainingConfig(batch_size=16, epochs=STEPS, learning_rate=3e-3, warmup=0, precision="fp32")
    offered = KnowledgeConfig(knowledge=[knowledge], layer_map="first")
    return Distiller(task_of(task), teacher_of(architecture, task), student, training, offered)


@pytest.mark.parametrize(
    ("architecture", "knowledge", "task"),
    [
        *product(USUAL, KINDS, ["classification"]),
        *product(USUAL, [kind for kind in KINDS if kind not in DIVERGENCES], ["regression"]),
        *product(FURTHER, ["logits", "hidden", "attention"], ["classification"]),
    ],
)
def test_a_student_learns_and_plain_transformers_loads_it(
    architecture: str, knowledge: str, task: str, tmp_path: Path
) -> None:
    if knowledge in INSIDE_ATTENTION and architecture not in SHOWS_ATTENTION:
        with pytest.raises(KselectError, match=f"knowledge {knowledge} .* does not return"):
            distiller_for(architecture, knowledge, task)
        return
    distiller = distiller_for(architecture, knowledge, task)
    distiller.reset(0)
    losses = [distiller.advance([1], 1).losses[knowledge] for _ in range(STEPS)]
    assert losses[-1] < losses[0] == pytest.approx(distiller.initial_losses[knowledge], rel=1e-2)

    distiller.student.save_pretrained(tmp_path)
    loaded, model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval(), distiller.student.model.eval()
    assert loaded.state_dict().keys() == model.state_dict().keys()  # no projection among them
    words = {"input_ids": torch.arange(5, 17).reshape(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long)}
    torch.testing.assert_close(loaded(**words).logits, model(**words).logits)

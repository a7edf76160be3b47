"""Checks that a student can learn from its teachers: same labels, and which of them read the same tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from kselect.distillation.evaluation import fixed_sample
from kselect.errors import KselectError, check_type
from kselect.models.classifier import DEFAULT_LENGTH, Classifier
from kselect.models.heads.tree_tagger import TreeTagger
from kselect.tasks.splits import Split
from kselect.tasks.task import Task

COMPARED_EXAMPLES = 200  # tokenised by all models


def as_teachers(given: Classifier | Sequence[Classifier] | None) -> tuple[Classifier, ...]:
    """Return one teacher, several or none as a tuple.

    Raises:
        KselectError: what is given is no classifier.
    """
    if given is None:
        return ()
    several: Iterable[Any] = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    teachers = tuple(several)
    for teacher in teachers:
        check_type("teacher", teacher, Classifier, "a Classifier, such as `load_teacher` returns, several or None")
    return teachers


def check_compatible(student: Classifier, teachers: Sequence[Classifier], task: Task) -> None:
    """Check that models can be compared on a task.

    Raises:
        KselectError: student and teacher are one model; labels differ from the task's or between models.
    """
    if any(teacher.model is student.model for teacher in teachers):
        raise KselectError(
            "Teacher and student are one model, which cannot learn from itself: give the student a copy."
        )
    for classifier in (student, *teachers):
        if classifier.num_labels != task.num_labels:
            raise KselectError(
                f"A model has {classifier.num_labels} labels, but {task.name} has {task.num_labels}: give models "
                f"fine-tuned on {task.name}."
            )
    heads = [classifier.head for classifier in (student, *teachers)]
    if len({head.tags for head in heads if isinstance(head, TreeTagger)}) > 1:
        raise KselectError(
            "Teacher and student use different tags for arcs, so they had different training data: shrink the student "
            "from its teacher, or train both on the same data."
        )


def with_other_tokens(student: Classifier, teachers: Sequence[Classifier], task: Task) -> frozenset[int]:
    """Return which of the teachers, counted from 0, have another vocabulary than the student or tokenise otherwise.

    Of these only answers can be learned, since there is no token of theirs to compare one of the student's with.
    """
    train = task.splits["train"]
    sample = train.take(fixed_sample(len(train), COMPARED_EXAMPLES))
    vocabulary, tokens = student.tokenizer.get_vocab(), _token_ids(student, task, sample)
    return frozenset(
        i
        for i, teacher in enumerate(teachers)
        if teacher.tokenizer.get_vocab() != vocabulary or _token_ids(teacher, task, sample) != tokens
    )


def check_common_tokens(student: Classifier, teachers: Sequence[Classifier], task: Task, reader: str) -> None:
    """Refuse teachers with another tokenizer for `reader`, which compares models token by token."""
    if with_other_tokens(student, teachers, task):
        raise KselectError(
            f"{reader} compares teacher and student token by token, and they have different vocabularies, or tokenise "
            "texts differently: shrink the student from its teacher, or give one with the teacher's tokenizer.",
            setting="student",
        )


def shared_tokenizer(student: Classifier, teachers: Sequence[Classifier]) -> PreTrainedTokenizerBase:
    """Return the tokenizer for a student and teachers that tokenise alike.

    Of equal ones it has token types, if any does, since some model may read them.
    """
    tokenizers = [classifier.tokenizer for classifier in (student, *teachers)]
    return next((each for each in tokenizers if "token_type_ids" in each.model_input_names), tokenizers[0])


def _token_ids(classifier: Classifier, task: Task, split: Split) -> list[list[int]]:
    return [ids.tolist() for ids in task.encode(split, classifier.tokenizer, DEFAULT_LENGTH).input_ids]

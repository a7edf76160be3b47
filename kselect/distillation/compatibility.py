"""Whether a student can learn from its teachers: the same labels, and texts read alike."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from kselect.distillation.evaluation import fixed_sample
from kselect.errors import KselectError
from kselect.models.classifier import DEFAULT_LENGTH, Classifier
from kselect.models.heads.tree_tagger import TreeTagger
from kselect.tasks.splits import Split
from kselect.tasks.task import Task

COMPARED_EXAMPLES = 200  # on which models must cut texts alike


def check_compatible(student: Classifier, teachers: Sequence[Classifier], task: Task) -> None:
    """Refuse models that cannot be compared on a task.

    Raises:
        KselectError: a student that is its own teacher; other labels than the task's, or others than each other's; several
            teachers whose answers have no mean; texts that are not cut alike.
    """
    if any(teacher.model is student.model for teacher in teachers):
        raise KselectError(
            "Teacher and student are one model, which cannot learn from itself: give the student a copy."
        )
    for classifier in (student, *teachers):
        if classifier.num_labels != task.num_labels:
            raise KselectError(
                f"A model tells {classifier.num_labels} labels apart, {task.name} has {task.num_labels}: "
                f"give models fine-tuned on {task.name}."
            )
    if len(teachers) > 1 and student.labels is not None and any(one.head.name != "tagger" for one in teachers):
        raise KselectError(
            "Only the logits of taggers have a mean: give one teacher, or several under the head tagger."
        )
    if len({one.head.tags for one in (student, *teachers) if isinstance(one.head, TreeTagger)}) > 1:
        raise KselectError(
            "Teacher and student name arcs by different tags, as if they had different training data: shrink the "
            "student from its teacher, or train both on the same."
        )
    train = task.splits["train"]
    sample = train.take(fixed_sample(len(train), COMPARED_EXAMPLES))
    vocabulary, read = student.tokenizer.get_vocab(), _read_by(student, task, sample)
    for teacher in teachers:
        if teacher.tokenizer.get_vocab() != vocabulary or _read_by(teacher, task, sample) != read:
            raise KselectError(
                "Teacher and student read different vocabularies, or cut texts otherwise: shrink the student from its "
                "teacher, or give one with the teacher's tokenizer."
            )


def fullest_tokenizer(student: Classifier, teachers: Sequence[Classifier]) -> PreTrainedTokenizerBase:
    """Of tokenizers that cut texts alike, one that tells the texts of a pair apart, since some model may want that."""
    tokenizers = [classifier.tokenizer for classifier in (student, *teachers)]
    return next((one for one in tokenizers if "token_type_ids" in one.model_input_names), tokenizers[0])


def _read_by(classifier: Classifier, task: Task, split: Split) -> list[list[int]]:
    return [ids.tolist() for ids in task.encode(split, classifier.tokenizer, DEFAULT_LENGTH).input_ids]

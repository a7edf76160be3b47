"""Measurement of the facts of a run, by one pass of teacher and student over a sample of train and of reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.distillation.calibration import calibration_error
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import fixed_sample
from kselect.distillation.facts.facts import Facts
from kselect.distillation.facts.probe import classify, regress
from kselect.distillation.facts.reading import Reading, read, returns_states
from kselect.distillation.facts.store import FactStore
from kselect.distillation.teacher.cache import CacheFolder
from kselect.models.classifier import count_parameters
from kselect.models.heads.registry import is_text
from kselect.stats import jackknife
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.tagging_task import TaggingTask

EXAMPLES = 500  # most of each split that are read: an error of about two points, for a fraction of a short run
COMPARED = 250  # most of train that the teacher reads: a share needs fewer than a difference of scores does

MEASURED = (
    "teacher_less_student",
    "teacher_less_student_error",
    "teacher_less_probe",
    "teacher_less_probe_error",
    "disagreement",
    "calibration_error",
    "overconfidence",
    "entropy",
)
"""The facts that need passes of the models, and are stored on disk."""


def measure_facts(distiller: Distiller) -> Facts:
    """Measure the facts of a run before its first training step.

    The student reads at most 500 examples of train and of the reward split once, and the teacher 250 and 500. What is
    measured is stored next to the teacher's outputs, unless `teacher_cache` is 0. The time is accounted as probing.

    Args:
        distiller: The run, with its initial student.

    Raises:
        KselectError: the store cannot be written.
        ValueError: the run has begun.
    """
    if distiller.step:
        raise ValueError(f"Facts are those of the initial student, and {distiller.step} steps are taken: call reset.")
    with distiller.account.measure("probing"):
        return Facts.from_dict({**_measured(distiller), **_given(distiller)})


def _measured(distiller: Distiller) -> dict[str, float | None]:
    if distiller.teacher is None:
        return dict.fromkeys(MEASURED)
    if distiller.offered.teacher_cache == 0:
        return _measure(distiller)
    models = (distiller.teacher, distiller.student)
    # Twice where the teacher reads other tokens than the student; as it was, where both read the same.
    splits = [distiller.encoded(name, teacher) for teacher in (None, 0) for name in ("train", "reward")]
    different = list({id(split): split for split in splits}.values())
    store = FactStore(CacheFolder(distiller.offered.cache_dir), distiller.task, models, different, distiller.dtype)
    facts = store.load(MEASURED)
    if facts is None:
        facts = _measure(distiller)
        store.save(facts)
    return facts


def _measure(distiller: Distiller) -> dict[str, float | None]:
    facts: dict[str, float | None] = dict.fromkeys(MEASURED)
    teacher, task, dtype = distiller.teacher, distiller.task, distiller.dtype
    assert teacher is not None
    train, reward = distiller.encoded("train"), distiller.encoded("reward")
    learned, held_out = _sample(train), _sample(reward)
    defined = len(learned) > 0 and (is_text(task) or isinstance(task, TaggingTask))
    probed = defined and not _has_several(task) and returns_states(distiller.student, train, dtype)
    if len(learned):
        seen_by_teacher = distiller.encoded("train", teacher=0)
        facts["disagreement"] = disagreement(task, read(teacher, seen_by_teacher, _sample(train, COMPARED), dtype))
    if len(np.unique(reward.numbers[held_out])) < 2:
        return facts
    said = read(teacher, distiller.encoded("reward", teacher=0), held_out, dtype)
    student = read(distiller.student, reward, held_out, dtype, with_states=probed)
    gap = Gap.between(task, said, student.answers)
    facts |= {"teacher_less_student": gap.value, "teacher_less_student_error": gap.error}
    if len(said.confidence):
        facts["calibration_error"] = calibration_error(said.confidence, said.correct)
        facts["overconfidence"] = float(said.confidence.mean() - said.correct.mean())
        facts["entropy"] = float(said.entropy.mean())
    if probed:
        fitted = read(distiller.student, train, learned, dtype, with_states=True)
        gap = Gap.between(task, said, probe_answers(task, fitted, student))
        facts |= {"teacher_less_probe": gap.value, "teacher_less_probe_error": gap.error}
    return facts


def _given(distiller: Distiller) -> dict[str, Any]:
    """Return the facts that need no pass."""
    task, teacher, student = distiller.task, distiller.teacher, distiller.student
    known = None if teacher is None else teacher.training_texts
    train = distiller.encoded("train")
    labelled = len(np.unique(train.numbers[is_labelled(train)]))
    further = sum(len(task.splits[name]) for name in distiller.sources)
    return {
        "labelled": labelled,
        "unlabelled": len(task.splits["train"]) - labelled + further,
        "classes": task.num_labels,
        "steps": distiller.total_steps,
        "epochs": float(distiller.training.epochs),
        "new_parameters": student.new_parameters / count_parameters(student.model, student.head),
        "new_head": student.new_parameters > 0,
        "depth": None if teacher is None else student.layers / teacher.layers,
        "width": None if teacher is None else student.width / teacher.width,
        "teacher_examples": None if known is None else len(known),
        "regression": task.regression,
        "words": not is_text(task),
    }


@dataclass(frozen=True)
class Gap:
    """A difference between two scores on the same examples, with its standard error."""

    value: float
    error: float

    @staticmethod
    def between(task: Task, reading: Reading, others: list[NDArray[Any]]) -> Gap:
        """Return the score of a reading's answers less that of `others`, with the jackknife's error."""
        _, owner = np.unique(reading.encoded.numbers[reading.indices], return_inverse=True)

        def difference(examples: NDArray[np.int64]) -> float:
            rows = np.flatnonzero(np.isin(owner, examples))
            ours, theirs = (
                task.score_rows([answers[row] for row in rows], reading.encoded, reading.indices[rows])["score"]
                for answers in (reading.answers, others)
            )
            return ours - theirs

        found = jackknife(difference, int(owner.max()) + 1)
        return Gap(found.mean, found.se)


def disagreement(task: Task, reading: Reading) -> float | None:
    """Return the share of known labels that are not the answer, or a regression's error relative to the variance."""
    if task.regression:
        answers, scores = np.stack(reading.answers), np.stack(reading.labels)
        variance = float(scores.var())
        return float(np.mean((answers - scores) ** 2)) / variance if variance else None
    differs = []
    for answer, gold in zip(reading.answers, reading.labels, strict=True):
        parts = gold.reshape(-1, gold.shape[-1] if gold.ndim == 2 else 1)  # head and relation are one label
        known = (parts >= 0).all(-1)
        differs.append((np.reshape(answer, parts.shape) != parts).any(-1)[known])
    return float(np.concatenate(differs).mean())


def probe_answers(task: Task, train: Reading, held_out: Reading) -> list[NDArray[Any]]:
    """Fit a linear probe to the labels and the states of train, and return its answers to held-out examples."""
    states = np.concatenate(train.states).astype(np.float64)
    unseen = np.concatenate(held_out.states).astype(np.float64)
    labels = np.concatenate([np.atleast_1d(gold) for gold in train.labels])
    if task.regression:
        predicted = regress(states, labels.astype(np.float64), unseen)
    else:
        known = labels >= 0
        predicted = classify(states[known], labels[known], task.num_labels, unseen).argmax(-1)
    if is_text(task):
        return list(predicted)
    return np.split(predicted, np.cumsum([len(one) for one in held_out.states])[:-1])


def is_labelled(encoded: EncodedSplit) -> NDArray[np.bool_]:
    """Return which examples of an encoded split have a label, or a labelled word, `[n]`."""
    if encoded.labels.dtype == object:
        return np.array([bool((labels >= 0).any()) for labels in encoded.labels])
    labels = np.asarray(encoded.labels)
    known: NDArray[np.bool_] = ~np.isnan(labels) if labels.dtype.kind == "f" else labels >= 0
    return np.asarray(known.reshape(len(labels), -1).all(1))


def _has_several(task: Task) -> bool:
    """Whether a text may have several labels, so that no single class could be probed for."""
    return isinstance(task, TextTask) and task.multi_label


def _sample(encoded: EncodedSplit, count: int = EXAMPLES) -> NDArray[np.int64]:
    """Return a fixed sample of `count` of the labelled examples, all pieces of each, ascending."""
    labelled = np.flatnonzero(is_labelled(encoded))
    if not len(labelled):
        return labelled
    return encoded.whole_examples(labelled[fixed_sample(len(labelled), count)])

"""Examination of a teacher, a student and a task before any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.analysis.class_similarity import similarity_shares
from kselect.analysis.compatibility import (
    TIMED_EPOCHS,
    TIMED_KNOWLEDGE,
    Compatibility,
    Cost,
    compare_models,
    measure_cost,
)
from kselect.analysis.findings import Finding, length_findings, pair_findings, teacher_findings
from kselect.analysis.linear_probe import LinearProbe
from kselect.analysis.predictions import Predictions, collect_predictions, collect_states
from kselect.analysis.teacher_profile import HeldOutProfile, TeacherProfile, profile_teacher
from kselect.config import FEWEST, KnowledgeConfig, TrainingConfig
from kselect.distillation.compatibility import check_common_tokens
from kselect.distillation.device import find_device, resolve_precision
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.models.classifier import Classifier, input_length
from kselect.models.heads.registry import CHOICES, is_text
from kselect.schedule import Schedule
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import subsample
from kselect.tasks.task import Task

READABLE = ("classes", "tags")
SPLITS = ("train", "reward")
PARTS = ("reading the texts", "the teacher's answers", "what the models have in common", "the time of training steps")
"""What an examination measures, in this order."""


@dataclass(frozen=True)
class Examination:
    """What was measured.

    Attributes:
        max_length: Longest input in tokens.
        truncated: Share of examples that are longer than this and truncated.
        in_pieces: Share of examples that are longer than this and read in pieces.
        samples: The teacher's predictions, by split.
        profile: Measurements of the teacher; its metrics are of the reward split.
        constant: The task's metrics of the constant prediction on the reward split.
        pair: What the two models have in common.
        cost: Time of a run; None where the two models cannot be distilled.
        obstacle: Why the two models cannot be distilled; None where they can.
    """

    task: Task[Any]
    examples: dict[str, int]
    max_length: int
    truncated: float
    in_pieces: float
    samples: dict[str, Predictions]
    profile: TeacherProfile
    constant: dict[str, float]
    pair: Compatibility
    cost: Cost | None
    obstacle: str | None

    @property
    def held_out(self) -> HeldOutProfile:
        """Measurements on the reward split."""
        assert self.profile.held_out is not None
        return self.profile.held_out

    @property
    def unit(self) -> str:
        """What is classified: texts or words."""
        return "texts" if is_text(self.task) else "words"

    @property
    def findings(self) -> list[Finding]:
        """Facts that stand in the way of distillation."""
        return [
            *teacher_findings(self.profile),
            *pair_findings(self.pair, self.obstacle),
            *length_findings(self.truncated, self.max_length),
        ]


def check_examinable(task: Task[Any]) -> None:
    """Check that the teachers of a task can be examined."""
    if task.regression:
        raise KselectError(
            f"{task.name} is a regression, but the doctor reads class probabilities: choose a classification task."
        )
    count = len(task.splits["reward"])
    if count < FEWEST:
        raise KselectError(
            f"The reward split of {task.name} has {count} examples, too few to examine a teacher: at least {FEWEST} "
            f"are needed, from more examples of train or a larger reward_fraction.",
            setting="reward_fraction",
        )


def check_readable(task: Task[Any], teacher: Classifier) -> None:
    """Check that a task can be examined, and that a teacher gives class probabilities at each position."""
    if not task.regression and CHOICES.get(teacher.head.name) not in READABLE:
        raise KselectError(
            f"The teacher's head is {teacher.head.name}, which gives no class probabilities for each word: the doctor "
            f"reads text classifiers and the heads tagger and crf."
        )
    check_examinable(task)


def fixed_temperature(knowledge: KnowledgeConfig) -> float:
    """Return the temperature that a teacher is examined at."""
    schedule = Schedule.parse(knowledge.temperature, "temperature")
    if schedule.start != schedule.end:
        raise KselectError(
            f"temperature is {knowledge.temperature}, a schedule, but the doctor examines a single temperature: give a "
            f"number such as {schedule.start:g}.",
            setting="temperature",
        )
    return schedule.start


def examine(
    task: Task[Any],
    teacher: Classifier,
    student: Classifier,
    training: TrainingConfig | None = None,
    knowledge: KnowledgeConfig | None = None,
    *,
    examples: int = 300,
    max_length: int | None = None,
    seed: int = 0,
    on_part: Callable[[str], None] | None = None,
) -> Examination:
    """Examine a teacher and a student on samples of train and of the reward split; dev is not read.

    A CRF is read by its emissions, word by word, as knowledge `logits` reads it.

    Args:
        task: The task to learn.
        teacher: The teacher; moved to the device, and otherwise unchanged.
        student: The student; it is trained for a few steps, so do not reuse it.
        training: Training settings of the run.
        knowledge: The knowledge on offer and its settings.
        examples: Most examples of each split that are read.
        max_length: Longest input in tokens; see `Distiller`.
        seed: Seed of the samples.
        on_part: Called with each of `PARTS` before it is measured.

    Raises:
        KselectError: The models have different tokens, the teacher gives no class probabilities, there are too few
            examples, an unknown kind of knowledge, or a temperature that changes during a run.
    """
    begin = on_part or (lambda part: None)
    begin(PARTS[0])
    check_readable(task, teacher)
    check_common_tokens(student, [teacher], task, "The doctor")
    training, knowledge = training or TrainingConfig(), knowledge or KnowledgeConfig()
    temperature = fixed_temperature(knowledge)
    train_size = len(task.splits["train"])
    sample = replace(task, splits={name: subsample(task.splits[name], examples, seed) for name in SPLITS})
    distiller, obstacle = _distiller(sample, teacher, student, training, knowledge, max_length)
    dtype = resolve_precision(training.precision, teacher.to(find_device(training.device)).model.device)
    if distiller is None:
        longest = input_length(teacher, max_length, task.usual_length)
        encoded = {name: sample.encode(split, teacher.tokenizer, longest) for name, split in sample.splits.items()}
    else:
        longest = distiller.max_length
        encoded = {name: distiller.encoded(name) for name in sample.splits}
    begin(PARTS[1])
    outputs = {name: collect_predictions(teacher, split, training.batch_size, dtype) for name, split in encoded.items()}
    samples = {name: predictions for name, (predictions, _) in outputs.items()}
    probe = None if distiller is None else _probe(student, encoded, samples, training.batch_size, dtype)
    begin(PARTS[2])
    rows = np.arange(len(encoded["reward"]))
    times = train_size / len(sample.splits["train"])
    pair, kept = compare_models(teacher, student, knowledge, encoded["train"], times, dtype)
    begin(PARTS[3])
    cost = None if distiller is None else measure_cost(distiller, training, train_size, kept)
    return Examination(
        task=task,
        examples={name: len(split) for name, split in sample.splits.items()},
        max_length=longest,
        truncated=_share(sum(split.truncated for split in encoded.values()), sample),
        in_pieces=_share(sum(split.in_pieces for split in encoded.values()), sample),
        samples=samples,
        profile=profile_teacher(
            samples["train"],
            samples["reward"],
            labels=task.labels,
            temperature=temperature,
            shares=similarity_shares(teacher, knowledge.similarity_temperature),
            probe=probe,
            metrics=sample.score_rows(outputs["reward"][1], encoded["reward"], rows),
        ),
        constant=sample.constant_score("reward"),
        pair=pair,
        cost=cost,
        obstacle=obstacle,
    )


def results_of(examination: Examination) -> dict[str, Any]:
    """Return an examination as results.json holds it."""
    return {
        "metrics": _metrics(examination),
        "examples": examination.examples,
        "max_length": examination.max_length,
        "teacher_score": dict(examination.profile.metrics),
        "constant": examination.constant,
        "profile": asdict(examination.profile),
        "pair": asdict(examination.pair),
        "cost": None if examination.cost is None else asdict(examination.cost),
        "obstacle": examination.obstacle,
        "findings": [asdict(finding) for finding in examination.findings],
    }


def histograms(examination: Examination) -> dict[str, NDArray[Any]]:
    """Return confidence and entropy at each position, by TensorBoard tag."""
    sides = {"held_out": examination.samples["reward"], "train": examination.samples["train"]}
    return {
        f"{name}/{side}": getattr(predictions, name)
        for name in ("confidence", "entropy")
        for side, predictions in sides.items()
    }


def _metrics(examination: Examination) -> dict[str, float]:
    """Return single numbers by TensorBoard tag."""
    profile, held_out = examination.profile, examination.held_out
    relations = {} if profile.relations is None else {"relations": profile.relations.strength}
    return {
        **{f"held_out/{name}": value for name, value in profile.metrics.items()},
        "held_out/calibration_error": held_out.calibration.calibration_error,
        "held_out/confidence": held_out.calibration.confidence,
        "train/confidence": profile.train.confidence,
        "ahead_of_constant": held_out.gain_over_constant.mean,
        "information": held_out.information_gain.mean,
        "best_temperature": held_out.best_temperature.value,
        "rescaling_width": profile.rescaling.width,
        **relations,
    }


def _share(count: int, sample: Task[Any]) -> float:
    return count / sum(map(len, sample.splits.values()))


def _distiller(
    sample: Task[Any],
    teacher: Classifier,
    student: Classifier,
    training: TrainingConfig,
    knowledge: KnowledgeConfig,
    max_length: int | None,
) -> tuple[Distiller | None, str | None]:
    """Build a run on the samples with a live teacher, or return why there can be none."""
    offered = KnowledgeConfig(knowledge=TIMED_KNOWLEDGE, temperature=knowledge.temperature, teacher_cache=0.0)
    try:
        return Distiller(sample, teacher, student, replace(training, epochs=TIMED_EPOCHS), offered, max_length), None
    except KselectError as error:
        return None, str(error)


def _probe(
    student: Classifier,
    encoded: Mapping[str, EncodedSplit],
    samples: Mapping[str, Predictions],
    batch_size: int,
    dtype: torch.dtype,
) -> LinearProbe:
    states = {name: collect_states(student, split, batch_size, dtype) for name, split in encoded.items()}
    return LinearProbe.of(states["train"], samples["train"], states["reward"])

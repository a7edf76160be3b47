"""A teacher, a student and a task, looked at before any training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from kselect.analysis.doctor.compatibility import Pair, build_each, fits, needs_of
from kselect.analysis.doctor.cost import EPOCHS, KNOWLEDGE, Cost, measure_cost
from kselect.analysis.doctor.diagnosis import Diagnosis, diagnose
from kselect.analysis.doctor.linear_probe import Probe
from kselect.analysis.predictions import Floats, Sample, read_sample, read_states
from kselect.config import FEWEST, KnowledgeConfig, TrainingConfig
from kselect.distillation.device import default_device, resolve_precision
from kselect.distillation.distiller import Distiller
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.outputs import GIBIBYTE
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher
from kselect.errors import KselectError
from kselect.knowledge.target_levels import class_similarities, shares_of_wrong
from kselect.models.classifier import Classifier, input_length
from kselect.models.heads.registry import CHOICES, is_text
from kselect.models.needs import Needs
from kselect.models.output_layer import output_layer
from kselect.schedule import Schedule
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import subsample
from kselect.tasks.task import Task

READABLE = ("classes", "tags")


@dataclass(frozen=True)
class Examination:
    """What was found.

    examples: how many were read, by split. truncated, in_pieces: share of these that are longer than the model's input,
    and are cut, or read in pieces. scores, constant_scores: the task's metrics on held-out examples, of the teacher and
    of the constant prediction. obstacle: why the two models cannot be distilled at all; None where they can.
    """

    task: Task[Any]
    examples: dict[str, int]
    max_length: int
    truncated: float
    in_pieces: float
    samples: dict[str, Sample]
    scores: dict[str, float]
    constant_scores: dict[str, float]
    diagnosis: Diagnosis
    pair: Pair
    cost: Cost | None
    obstacle: str | None

    @property
    def places(self) -> str:
        """What is classified."""
        return "texts" if is_text(self.task) else "words"


def check_examinable(task: Task[Any]) -> None:
    """Refuse a task whose teacher cannot be judged, whichever it is.

    Raises:
        KselectError: a regression; too small a reward split.
    """
    if task.regression:
        raise KselectError(
            f"{task.name} is a regression, whose teacher gives scores: the doctor reads probabilities of classes. "
            f"Give a classification, or go on without advice."
        )
    held = len(task.splits["reward"])
    if held < FEWEST:
        raise KselectError(
            f"The reward split of {task.name} has {held} examples, too few to judge a teacher by: give {FEWEST} at "
            f"least, by more examples of train or a higher --reward_fraction."
        )


def looked_at(knowledge: KnowledgeConfig) -> float:
    """Return the temperature that a teacher is looked at with.

    Raises:
        KselectError: it changes over a run.
    """
    schedule = Schedule.parse(knowledge.temperature, "temperature")
    if schedule.start != schedule.end:
        raise KselectError(
            f"temperature is {knowledge.temperature}, a schedule: the doctor looks at one temperature, so give a "
            f"number, such as --temperature {schedule.start:g}."
        )
    return schedule.start


def check_readable(task: Task[Any], teacher: Classifier) -> None:
    """Refuse a teacher that does not choose among classes, place by place, and a task that `check_examinable` refuses.

    Raises:
        KselectError: it gives spans or trees; the task is a regression, or has too small a reward split.
    """
    if not task.regression and CHOICES.get(teacher.head.name) not in READABLE:
        raise KselectError(
            f"The teacher's head is {teacher.head.name}, which gives no probabilities of classes word by word: the "
            f"doctor reads classifiers of texts, and the heads tagger and crf."
        )
    check_examinable(task)


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
) -> Examination:
    """Look at a teacher and a student on samples of train and of the reward split; dev is not read.

    What a crf is sure of is read from its emissions, word by word, as knowledge `logits` reads them.

    Args:
        task: what would be learned.
        teacher: who would teach it; put on the device, and left as it is otherwise.
        student: who would learn it; it is trained for a few steps, so keep no use for it.
        training: how a run would take its steps.
        knowledge: what would be on offer, and how compared.
        examples: how many of each split are read at most.
        max_length: longest input in tokens; see `Distiller`.
        seed: of the samples.

    Raises:
        KselectError: a teacher without classes; too few examples; knowledge that does not exist; a temperature that
            changes over a run.
    """
    check_readable(task, teacher)
    training, knowledge = training or TrainingConfig(), knowledge or KnowledgeConfig()
    temperature = looked_at(knowledge)
    sizes = {part: len(task.splits[part]) for part in ("train", "reward")}
    sample = replace(task, splits={part: subsample(task.splits[part], examples, seed) for part in sizes})
    distiller, obstacle = _distiller(sample, teacher, student, training, knowledge, max_length)
    device = teacher.to(default_device()).model.device
    dtype = resolve_precision(training.precision, device)
    if distiller is None:
        longest = input_length(teacher, max_length, task.usual_length)
        encoded = {part: sample.encode(split, teacher.tokenizer, longest) for part, split in sample.splits.items()}
    else:
        longest = distiller.max_length
        encoded = {part: distiller.encoded(part) for part in sample.splits}
    read = {part: read_sample(teacher, of_part, training.batch_size, dtype) for part, of_part in encoded.items()}
    samples = {part: each for part, (each, _) in read.items()}
    built = build_each(knowledge, student, teacher)
    every, offered = np.arange(len(encoded["reward"])), needs_of(built)
    times = sizes["train"] / len(sample.splits["train"])
    bytes_left = knowledge.teacher_cache * GIBIBYTE
    live = LiveTeacher([teacher.model], dtype)
    folder = CacheFolder(knowledge.cache_dir)
    cache = CachedTeacher(live, encoded["train"], offered, folder, bytes_left / times) if bytes_left else None
    kept = cache is not None and cache.holds(Needs())  # the logits, which heads read whatever else is wanted
    return Examination(
        task=task,
        examples={part: len(split) for part, split in sample.splits.items()},
        max_length=longest,
        truncated=_share(sum(one.truncated for one in encoded.values()), sample),
        in_pieces=_share(sum(one.in_pieces for one in encoded.values()), sample),
        samples=samples,
        scores=sample.score_rows(read["reward"][1], encoded["reward"], every),
        constant_scores=sample.constant_score("reward"),
        diagnosis=diagnose(
            samples["reward"],
            samples["train"],
            task.labels,
            temperature,
            _likeness(teacher, knowledge.similarity_temperature),
            None if distiller is None else _probe(student, encoded, samples, training.batch_size, dtype),
        ),
        pair=Pair(
            (student.layers, teacher.layers),
            (student.width, teacher.width),
            fits(built, cache, times),
            0 if cache is None else round(cache.bytes_of(offered) * times),
            bytes_left,
        ),
        cost=None if distiller is None else measure_cost(distiller, training, sizes["train"], kept),
        obstacle=obstacle,
    )


def _likeness(teacher: Classifier, temperature: float) -> Floats:
    """Return how wrong classes share by how alike the teacher's output weights are, `[K, K]`."""
    similarities = class_similarities(output_layer(teacher.model).weight, temperature)
    found: Floats = shares_of_wrong(similarities).cpu().double().numpy()
    return found


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
    """Set up a run on the samples with a live teacher, or say why none can be."""
    offered = KnowledgeConfig(knowledge=KNOWLEDGE, temperature=knowledge.temperature, teacher_cache=0.0)
    stepping = replace(training, epochs=EPOCHS)
    try:
        return Distiller(sample, teacher, student, stepping, offered, max_length), None
    except KselectError as error:
        return None, str(error)


def _probe(
    student: Classifier,
    encoded: Mapping[str, EncodedSplit],
    samples: Mapping[str, Sample],
    batch_size: int,
    dtype: torch.dtype,
) -> Probe:
    states = {part: read_states(student, of_part, batch_size, dtype) for part, of_part in encoded.items()}
    return Probe.of(states["train"], samples["train"], states["reward"])

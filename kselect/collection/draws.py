"""The data of a condition under a seed: disjoint samples of a task, written to files that every command reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect import io
from kselect.collection.conditions import Condition
from kselect.config import TaskConfig
from kselect.errors import KselectError
from kselect.tasks.registry import make_task
from kselect.tasks.splits import Split, subsample
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import ParsedSentence, TaggedSentence
from kselect.tasks.words.tagging_task import TaggingTask

ORDER, NOISE = 17, 18  # separate the random streams of one seed
HELD_OUT_OF_TEACHER = 0.02  # its reward split, which nothing reads
TEXTS, LABEL = ("text_a", "text_b"), "label"
WORDS, TAGS = "tokens", "ner_tags"


def draw(
    condition: Condition, tasks: Mapping[str, TaskConfig], seed: int, dev_examples: int, folder: Path
) -> dict[str, TaskConfig]:
    """Sample a condition's data, and write them to a folder.

    The teacher's examples, the student's (labelled and held out) and the texts without labels are disjoint samples of
    the task's train, unless the condition has one set of labelled examples for both. They are taken from the two ends
    of one order for each task and seed, so that conditions share as many as they can, and teachers that differ in
    nothing else are the same. Dev is the same sample under every seed.

    Returns:
        The settings of the `teacher`'s and the `student`'s data.

    Raises:
        KselectError: the task has too few examples, or that of the texts without labels too few texts.
    """
    task = make_task(tasks[condition.task])
    pool = task.splits["train"]
    order = _covering(task, np.random.default_rng([seed, ORDER]).permutation(len(pool)))
    others = None if condition.texts_of in (None, condition.task) else make_task(tasks[str(condition.texts_of)])
    own_texts = condition.unlabelled if others is None else 0
    of_teacher = 0 if condition.teacher.same_examples else condition.teacher.examples
    of_student = condition.labelled + condition.held_out
    if of_teacher + of_student + own_texts > len(order):
        raise KselectError(
            f"Condition {condition.name} needs {of_teacher + of_student + own_texts} examples of {task.name}, whose "
            f"train has {len(order)}: give smaller numbers."
        )
    if others is not None and condition.unlabelled > len(others.splits["train"]):
        raise KselectError(
            f"Condition {condition.name} needs {condition.unlabelled} texts of {others.name}, whose train has "
            f"{len(others.splits['train'])}: give a smaller number as unlabelled."
        )
    student = pool.take(order[::-1][:of_student])
    paths = {name: folder / f"{name}{_suffix(task)}" for name in ("teacher", "student", "texts", "dev")}
    if of_teacher:
        _write(task, pool.take(order[:of_teacher]), paths["teacher"])
    _write(task, _noisy(task, student, condition.label_noise, seed), paths["student"])
    _write(task, subsample(task.splits["dev"], dev_examples, 0), paths["dev"])
    if condition.unlabelled:
        if others is None:
            texts = pool.take(order[::-1][of_student : of_student + condition.unlabelled])
        else:
            texts = subsample(others.splits["train"], condition.unlabelled, seed)
        _write(task, texts.unlabelled() if isinstance(texts, Split) else texts, paths["texts"])
    shared = _format(task, tasks[condition.task], paths["dev"])
    labelled = TaskConfig(
        **shared,
        train_file=str(paths["student"]),
        reward_fraction=condition.held_out / of_student,
        data_seed=seed,
    )
    own = TaskConfig(**shared, train_file=str(paths["teacher"]), reward_fraction=HELD_OUT_OF_TEACHER)
    return {
        "teacher": own if of_teacher else labelled,  # with labelled, what is held out of the student is of both
        "student": replace(labelled, transfer_file=str(paths["texts"]) if condition.unlabelled else None),
    }


def _suffix(task: Task[Any]) -> str:
    return ".conllu" if isinstance(task, ParsingTask) else ".jsonl"


def _format(task: Task[Any], config: TaskConfig, dev: Path) -> dict[str, Any]:
    """Return how the files are read."""
    shared = {"task": f"{task.name}-drawn", "dev_file": str(dev), "max_length": config.max_length}
    if isinstance(task, TaggingTask):
        scheme = task.tag_set.scheme  # into which the task has converted its tags
        return {
            **shared,
            "task_type": "tags",
            "word_column": WORDS,
            "tag_column": TAGS,
            "file_scheme": scheme,
            "scheme": scheme,
        }
    if isinstance(task, ParsingTask):
        return {**shared, "task_type": "trees"}
    is_pair = task.splits["train"].text_b is not None
    return {
        **shared,
        "text_columns": list(TEXTS[: 1 + is_pair]),
        "label_column": LABEL,
        "labels": list(task.labels) or None,
        "regression": task.regression,
        "metrics": list(task.metrics),
    }


def _covering(task: Task[Any], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put sentences with every label at both ends of an order of sentences, and leave out copies of a sentence.

    The tags of words are those of the training data, so that a sample without a rare one would be another task. Both
    ends, of a teacher and of its student, share a sentence only where no other one has its label.
    """
    if isinstance(task, TextTask):
        return order
    sentences = task.splits["train"].sentences
    copies = {sentences[index].words: index for index in order[::-1]}  # of equal ones, the first in the order
    order = np.asarray([index for index in order if copies[sentences[index].words] == index], dtype=order.dtype)
    ends: tuple[list[int], list[int]] = ([], [])
    seen: tuple[set[str], set[str]] = (set(), set())
    for index in order:
        for end, known in zip(ends, seen, strict=True):
            if _labels(sentences[index]) - known:
                end.append(index)
                known |= _labels(sentences[index])
                break
    for index in ends[0]:
        if _labels(sentences[index]) - seen[1]:
            ends[1].append(index)
            seen[1].update(_labels(sentences[index]))
    rest = order[~np.isin(order, ends[0] + ends[1])]
    return np.concatenate([np.asarray(ends[0], order.dtype), rest, np.asarray(ends[1], order.dtype)])


def _labels(sentence: TaggedSentence | ParsedSentence) -> set[str]:
    return set(sentence.relations if isinstance(sentence, ParsedSentence) else sentence.tags)


def _noisy(task: Task[Any], split: Any, share: float, seed: int) -> Any:
    """Replace the labels of a share of the examples."""
    if share == 0:
        return split
    generator = np.random.default_rng([seed, NOISE])
    if not isinstance(split, Split):
        raise KselectError("label_noise is for whole texts: leave it out.")
    labels = np.asarray(split.labels)
    chosen = generator.permutation(len(labels))[: round(share * len(labels))]
    if task.regression:
        labels[chosen] = labels[generator.permutation(chosen)]
    else:
        shift = generator.integers(1, task.num_labels, len(chosen))
        labels[chosen] = (labels[chosen] + shift) % task.num_labels
    return Split(split.text_a, split.text_b, labels.tolist())


def _write(task: Task[Any], split: Any, path: Path) -> None:
    if isinstance(split, Split):
        columns: list[list[Any]] = [split.text_a, *([] if split.text_b is None else [split.text_b])]
        names = TEXTS[: len(columns)]
        if split.is_labelled:
            columns.append([task.labels[int(label)] if task.labels else label for label in split.labels])
            names = (*names, LABEL)
        rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    elif isinstance(split.sentences[0], TaggedSentence):
        rows = [{WORDS: list(one.words), TAGS: list(one.tags)} for one in split.sentences]
    else:
        io.write_text(path, "".join(_conllu(one) + "\n" for one in split.sentences))
        return
    io.write_text(path, "".join(io.to_json(row) + "\n" for row in rows))


def _conllu(sentence: ParsedSentence) -> str:
    columns = zip(sentence.words, sentence.upos, sentence.heads, sentence.relations, strict=True)
    return "".join(
        f"{number}\t{word}\t_\t{tag}\t_\t_\t{head}\t{relation}\t_\t_\n"
        for number, (word, tag, head, relation) in enumerate(columns, 1)
    )

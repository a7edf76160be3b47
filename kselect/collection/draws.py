"""The data of a condition under a seed: disjoint samples of a task, written to files that every command reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kselect import io
from kselect.collection.suite import Condition
from kselect.config import TaskConfig
from kselect.errors import KselectError
from kselect.tasks.registry import make_task
from kselect.tasks.splits import Split, subsample
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import ParsedSentence, TaggedSentence
from kselect.tasks.words.tagging_task import TaggingTask

TEXTS, LABEL = ("text_a", "text_b"), "label"
WORDS, TAGS = "tokens", "ner_tags"


def draw(
    condition: Condition, tasks: dict[str, TaskConfig], seed: int, dev_examples: int, folder: Path
) -> dict[str, TaskConfig]:
    """Sample a condition's data, and write them to a folder.

    The teacher's examples, the student's (labelled and held out) and the texts without labels are disjoint samples of
    the task's train. Dev is the same sample under every seed.

    Returns:
        The settings of the `teacher`'s and the `student`'s data.

    Raises:
        KselectError: the task has too few examples.
    """
    task = make_task(tasks[condition.task])
    generator = np.random.default_rng([seed, 17])
    pool = task.splits["train"]
    order = _covering(task, generator.permutation(len(pool)))
    sizes = [condition.teacher.examples, condition.labelled + condition.held_out]
    own_texts = condition.unlabelled if condition.texts_of is None else 0
    if sum(sizes) + own_texts > len(pool):
        raise KselectError(
            f"Condition {condition.name} needs {sum(sizes) + own_texts} examples of {task.name}, whose train has "
            f"{len(pool)}: give smaller numbers."
        )
    teacher, student, texts, _ = np.split(order, np.cumsum([*sizes, own_texts]))
    suffix = ".conllu" if isinstance(task, ParsingTask) else ".jsonl"
    paths = {name: folder / f"{name}{suffix}" for name in ("teacher", "student", "texts", "dev")}
    labelled = _noisy(task, pool.take(student), condition.label_noise, generator)
    _write(task, pool.take(teacher), paths["teacher"])
    _write(task, labelled, paths["student"])
    _write(task, subsample(task.splits["dev"], dev_examples, 0), paths["dev"])
    if condition.texts_of is not None:
        other = make_task(tasks[condition.texts_of]).splits["train"]
        texts_split = other.take(generator.permutation(len(other))[: condition.unlabelled])
    else:
        texts_split = pool.take(texts)
    if condition.unlabelled:
        _write(task, texts_split, paths["texts"])
    shared = _format(task, tasks[condition.task], paths["dev"])
    fraction = condition.held_out / (condition.labelled + condition.held_out)
    return {
        "teacher": TaskConfig(**shared, train_file=str(paths["teacher"]), reward_fraction=0.02),
        "student": TaskConfig(
            **shared,
            train_file=str(paths["student"]),
            transfer_file=str(paths["texts"]) if condition.unlabelled else None,
            reward_fraction=fraction,
            data_seed=seed,
        ),
    }


def _format(task: Task[Any], config: TaskConfig, dev: Path) -> dict[str, Any]:
    """Return how the files are read."""
    shared = {"task": f"{task.name}-drawn", "dev_file": str(dev), "max_length": config.max_length}
    if isinstance(task, TaggingTask):
        scheme = task.tag_set.scheme
        return {
            **shared,
            "task_type": "tags",
            "word_column": WORDS,
            "tag_column": TAGS,
            "file_scheme": task.file_scheme,
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


def _covering(task: Task[Any], order: np.ndarray) -> np.ndarray:
    """Move to the front of an order of sentences, for each label in turn, the first sentence that has it.

    The tags of words are those of the training data, so that a sample without a rare one would be another task.
    """
    if isinstance(task, TextTask):
        return order
    sentences = task.splits["train"].sentences
    seen: set[str] = set()
    first = []
    for index in order:
        sentence = sentences[index]
        labels = set(sentence.relations if isinstance(sentence, ParsedSentence) else sentence.tags)
        if labels - seen:
            first.append(index)
            seen |= labels
    rest = order[~np.isin(order, first)]
    return np.concatenate([np.asarray(first, dtype=order.dtype), rest])


def _noisy(task: Task[Any], split: Any, share: float, generator: np.random.Generator) -> Any:
    """Replace the labels of a share of the examples."""
    if share == 0:
        return split
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
        second = [{} if text is None else {TEXTS[1]: text} for text in split.text_b or [None] * len(split)]
        labels = [task.labels[int(label)] if task.labels else label for label in split.labels]
        rows: list[dict[str, Any]] = [
            {TEXTS[0]: text, **more, LABEL: label}
            for text, more, label in zip(split.text_a, second, labels, strict=True)
        ]
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

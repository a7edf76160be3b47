"""The data of a task in one line."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from kselect.tasks.splits import UNLABELLED, Examples, Split
from kselect.tasks.task import Task
from kselect.tasks.words.sentence import WordSplit

FEW = 10  # labels, up to which each is shown with its count


def describe_data(task: Task[Any]) -> str:
    """Return one line: examples by split, labels of train with their counts, and empty and duplicate texts.

    Duplicates are the further copies of a text within its split.

    >>> from kselect.tasks.task import build_task
    >>> texts = Split([*"abcdefgh", "", "h"], None, [0, 1] * 5)
    >>> task = build_task("mine", ["bad", "good"], {"train": texts, "dev": texts.take([8])}, ["accuracy"])
    >>> describe_data(task)
    'mine: 9 texts in train, 1 in reward, 1 in dev; train: 4 x bad, 5 x good; 2 empty, 1 duplicate.'
    """
    train = task.splits["train"]
    unit = "sentences" if isinstance(train, WordSplit) else "texts" if _is_single(train) else "pairs"
    first, *others = [f"{len(split)} {{}}in {name}" for name, split in task.splits.items()]
    sizes = ", ".join([first.format(f"{unit} "), *(other.format("") for other in others)])
    every = list(task.splits.values())
    empty = sum(map(_count_empty, every))
    duplicates = sum(len(split) - len(set(split.keys())) for split in every)
    copies = "duplicate" if duplicates == 1 else "duplicates"
    return f"{task.name}: {sizes}; train: {_labels(task)}; {empty} empty, {duplicates} {copies}."


def _is_single(split: Examples) -> bool:
    return isinstance(split, Split) and split.text_b is None


def _count_empty(split: Examples) -> int:
    """Return the number of texts, or of pairs with a text, that are nothing but space; sentences always have words."""
    if not isinstance(split, Split):
        return 0
    columns = [split.text_a] if split.text_b is None else [split.text_a, split.text_b]
    return sum(not all(text.strip() for text in texts) for texts in zip(*columns, strict=True))


def _labels(task: Task[Any]) -> str:
    """Describe the labels of train."""
    train = task.splits["train"]
    if isinstance(train, WordSplit):
        return _words(train)
    gold = np.asarray(train.labels)
    labelled = (gold == gold) & (gold != UNLABELLED)  # a missing score is NaN, which is unequal to itself
    if not labelled.any():
        return "no labels"
    missing = len(gold) - int(labelled.reshape(len(gold), -1).all(1).sum())
    if task.regression:
        scores = gold[labelled]
        text = f"scores from {scores.min():g} to {scores.max():g}, mean {scores.mean():.3g}"
    else:
        ids = np.nonzero(np.where(labelled, gold, 0))[1] if gold.ndim == 2 else gold[labelled]
        counts = np.bincount(ids.astype(np.int64), minlength=len(task.labels))
        text = _counted(dict(zip(task.labels, counts.tolist(), strict=True)), "labels")
    return f"{text}, {missing} without a label" if missing else text


def _words(train: WordSplit[Any]) -> str:
    """Describe the tags, or the relations, of sentences."""
    sentences = train.sentences
    name = "tags" if hasattr(sentences[0], "tags") else "relations"
    counts: Counter[str] = Counter(label for sentence in sentences for label in getattr(sentence, name))
    words = f"{sum(map(len, sentences))} words"
    return f"{words}, {_counted(dict(sorted(counts.items())), name) if counts else f'no {name}'}"


def _counted(counts: dict[str, int], what: str) -> str:
    if len(counts) <= FEW:
        return ", ".join(f"{count} x {label}" for label, count in counts.items())
    rarest, often = (pick(counts, key=counts.__getitem__) for pick in (min, max))
    return f"{len(counts)} {what}, from {counts[rarest]} x {rarest} to {counts[often]} x {often}"

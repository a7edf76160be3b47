"""Inputs of a model as examples without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kselect.errors import KselectError
from kselect.tasks.splits import Examples, Split
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import Origin, ParsedSentence, TaggedSentence, WordSplit


def as_split(inputs: Sequence[Any], task: Task) -> Examples:
    """Return texts, pairs of texts, or sentences as lists of words as a split of a task.

    Raises:
        KselectError: an input that the task's models do not read, or texts among pairs.
    """
    return _of_texts(inputs) if isinstance(task, TextTask) else _of_words(inputs, isinstance(task, ParsingTask))


def _of_texts(inputs: Sequence[Any]) -> Split:
    pairs = not isinstance(inputs[0], str)
    for each in inputs:
        valid = _are_texts(each) and len(each) == 2 if pairs else isinstance(each, str)
        if not valid:
            raise KselectError(f"The model reads texts, or pairs of them, all of one kind, and one is {_shown(each)}.")
    placeholders = [0] * len(inputs)
    if not pairs:
        return Split(list(inputs), None, placeholders)
    return Split([first for first, _ in inputs], [second for _, second in inputs], placeholders)


def _of_words(inputs: Sequence[Any], trees: bool) -> WordSplit[Any]:
    for each in inputs:
        if not _are_texts(each) or len(each) == 0:
            raise KselectError(f"The model reads words: give each sentence as a list of them, not {_shown(each)}.")
    origins = [Origin("the inputs", row=row) for row in range(len(inputs))]
    sentences = zip(map(tuple, inputs), origins, strict=True)
    if trees:
        return WordSplit([ParsedSentence(words, (), (), (), origin) for words, origin in sentences])
    return WordSplit([TaggedSentence(words, (), origin) for words, origin in sentences])


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _shown(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."

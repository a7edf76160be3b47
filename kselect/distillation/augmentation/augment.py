"""Data augmentation: copies of the training texts in which words are replaced by similar or likely ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kselect.distillation.augmentation.masked import MaskedWords
from kselect.distillation.augmentation.neighbours import Candidates, Neighbours
from kselect.distillation.augmentation.passages import Passage, passages_of, with_passages
from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.models.classifier import Classifier
from kselect.tasks.task import Task
from kselect.tasks.transfer import without_held_out

AUGMENTED = "augmented"
"""Name of the split, and of its row in a selection."""
RATE = 0.4
"""Probability that a word is replaced; p_t in the paper."""


@dataclass(frozen=True)
class Copy:
    """One copy of an example.

    Attributes:
        row: the example.
        text: which of its texts is changed.
        chosen: the parts of it that are replaced, and the number in [0, 1) by which a replacement is drawn.
    """

    row: int
    text: int
    chosen: dict[int, float]


def augment(
    task: Task[Any], teacher: Classifier, copies: int, rate: float = RATE, model: str | None = None, seed: int = 0
) -> Task[Any]:
    """Return the task with the split "augmented": copies of the texts of train with other words, without labels.

    Source: "TinyBERT: Distilling BERT for Natural Language Understanding" (Jiao et al., 2020), algorithm 1, with the
    teacher's input embeddings in place of GloVe's.

    Args:
        task: of texts, pairs of texts, or tagged sentences.
        teacher: in whose input embeddings the neighbours of a word are found.
        copies: of each example.
        rate: probability that a word is replaced.
        model: folder or hub id of a pretrained encoder, whose masked-language head then predicts the words that it has
            a token for.
        seed: of which words are replaced, and by what.

    Raises:
        KselectError: parsed sentences, a model without a masked-language head, or no word that could be replaced.
    """
    start = time.perf_counter()
    neighbours = Neighbours.of_model(teacher)
    candidates: Candidates = neighbours if model is None else MaskedWords(model, neighbours)
    augmented = with_augmented(task, candidates, copies, rate, seed)
    get_logger().info(
        "%d augmented texts, of %d texts of train, made in %.1f s.",
        len(augmented.splits[AUGMENTED]),
        len(task.splits["train"]),
        time.perf_counter() - start,
    )
    return augmented


def with_augmented(
    task: Task[Any], candidates: Candidates, copies: int, rate: float = RATE, seed: int = 0
) -> Task[Any]:
    """Return the task with the split "augmented", whose words are replaced by `candidates`; see `augment`.

    Every word with candidates is replaced with probability `rate`, independently, by one of them, all equally likely.
    Of a pair, each copy has one text changed, the first and the second in turn. Copies that are equal to a text of
    train, of a split that is held out, or to another copy are left out.
    """
    train = task.splits["train"]
    passages = passages_of(train)
    plan = _draw(passages, copies, rate, seed)
    wanted: dict[tuple[int, int], set[int]] = {}
    for copy in plan:
        wanted.setdefault((copy.row, copy.text), set()).update(copy.chosen)
    found = candidates([passages[row][text] for row, text in wanted], list(wanted.values()))
    replacements = dict(zip(wanted, found, strict=True))
    changed: list[tuple[Passage, ...]] = []
    for copy in plan:
        texts = list(passages[copy.row])
        parts = {}
        for part, pick in copy.chosen.items():
            known = replacements[copy.row, copy.text].get(part, ())
            if known:
                parts[part] = cased_like(known[int(pick * len(known))], texts[copy.text].parts[part])
        texts[copy.text] = texts[copy.text].with_parts(parts)
        changed.append(tuple(texts))
    examples = with_passages(train, [copy.row for copy in plan], changed)
    seen, new = set(train.keys()), []
    for index, key in enumerate(examples.keys()):
        if key not in seen:
            seen.add(key)
            new.append(index)
    kept = without_held_out(task, examples.take(new), AUGMENTED)
    if not len(kept):
        raise KselectError("No word of train was replaced by another: leave augment out.", setting="augment")
    return replace(task, splits={**task.splits, AUGMENTED: kept})


def _draw(passages: list[tuple[Passage, ...]], copies: int, rate: float, seed: int) -> list[Copy]:
    """Draw the words that are replaced in each copy of each example, all copies of an example in a row."""
    generator, plan = np.random.default_rng(seed), []
    for row, texts in enumerate(passages):
        for number in range(copies):
            text = (row + number) % len(texts)
            words = texts[text].words
            draws, picks = generator.random((2, len(words))).tolist()
            chosen = {part: pick for part, draw, pick in zip(words, draws, picks, strict=True) if draw < rate}
            plan.append(Copy(row, text, chosen))
    return plan


def cased_like(word: str, other: str) -> str:
    """Return a word in upper case, or with a capital, where another one is."""
    if other.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if other[0].isupper() else word

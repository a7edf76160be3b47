"""Tasks of random sentences, from half as long as the longest on, whose words have random tags or trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pair import BATCH

from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.words import Origin, ParsedSentence, TaggedSentence, TagSet
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import Sentence, WordSplit
from kselect.tasks.words.tagging_task import TaggingTask

ORIGIN = Origin("random")
SPECIAL = 2
"""Tokens around a sentence; each word is one."""

Draw = Callable[[np.random.Generator, tuple[str, ...]], Sentence]


def tagging(words: int, train: int, labels: int) -> TaggingTask:
    """Make sentences of at most `words` words, a tag of so many labels' IOB2 on each."""
    tags = TagSet("iob2", tuple(f"label{i}" for i in range(labels)))
    possible = [tag for tag in tags.tags if not tag.startswith("I")]

    def draw(generator: np.random.Generator, text: tuple[str, ...]) -> TaggedSentence:
        return TaggedSentence(text, tuple(generator.choice(possible, len(text)).tolist()), ORIGIN)

    return TaggingTask("tags", tags.tags, _splits(words, train, draw), ("f1",), tags, "iob2")


def parsing(words: int, train: int, kinds: int) -> ParsingTask:
    """Make sentences of at most `words` words, each hanging from one before it by one of so many kinds of relations."""
    names = tuple(f"relation{i:03}" for i in range(kinds))

    def draw(generator: np.random.Generator, text: tuple[str, ...]) -> ParsedSentence:
        heads = tuple(int(generator.integers(1, i + 1)) if i else 0 for i in range(len(text)))
        relations = tuple(generator.choice(names, len(text)).tolist())
        return ParsedSentence(text, ("X",) * len(text), heads, relations, ORIGIN)

    return ParsingTask("trees", names, _splits(words, train, draw), ("las",))


def _splits(words: int, train: int, draw: Draw[Any]) -> dict[str, WordSplit[Any]]:
    generator = np.random.default_rng(0)
    vocabulary = [word for word in synthetic_tokenizer().get_vocab() if word.isalpha()]

    def sentence(size: int) -> Any:
        return draw(generator, tuple(generator.choice(vocabulary, size).tolist()))

    sizes = {"train": train, "reward": BATCH, "dev": BATCH}
    return {
        part: WordSplit([sentence(int(n)) for n in generator.integers(words // 2, words + 1, count)])
        for part, count in sizes.items()
    }

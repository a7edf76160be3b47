"""A teacher and its student on random words: as large as asked for, of random weights, every text of one length."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from transformers import BertConfig, BertForSequenceClassification

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier
from kselect.models.label_names import label_settings
from kselect.models.scratch import seeded
from kselect.models.shrink import shrink
from kselect.tasks.splits import Split
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words import Origin, ParsedSentence, TaggedSentence, TagSet
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import Sentence, WordSplit
from kselect.tasks.words.tagging_task import TaggingTask

BATCH = 32
HEAD = 32
VOCABULARY = 30522
LIVE: dict[str, Any] = {"teacher_cache": 0.0}
_FOLDER = tempfile.TemporaryDirectory(prefix="kselect-benchmark-")
CACHED: dict[str, Any] = {"cache_dir": _FOLDER.name}
ORIGIN = Origin("random")
SPECIAL = 2
"""Tokens around a sentence; each word is one."""

Draw = Callable[[np.random.Generator, tuple[str, ...]], Sentence]


def make_task(tokens: int, train: int, reward: int = BATCH, dev: int = BATCH) -> Task:
    """Make so many examples of `tokens` tokens each, special ones included."""
    words = [word for word in synthetic_tokenizer(tokens).get_vocab() if word.isalpha()]
    generator = np.random.default_rng(0)

    def split(size: int) -> Split:
        texts = [" ".join(generator.choice(words, tokens - 2)) for _ in range(size)]
        return Split(texts, None, [i % 2 for i in range(size)])

    splits = {"train": split(train), "reward": split(reward), "dev": split(dev)}
    return TextTask("benchmark", ("no", "yes"), splits, ("accuracy",))


def make_teacher(
    task: Task, tokens: int, hidden_size: int, layers: int = 6, vocabulary: int = VOCABULARY
) -> Classifier:
    """Make a BERT with heads of 32; `hidden_size` is a multiple of that. Its vocabulary is BERT's, mostly unused."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden_size,
        num_attention_heads=hidden_size // HEAD,
        intermediate_size=4 * hidden_size,
        num_hidden_layers=layers,
        max_position_embeddings=tokens,
        **label_settings(task),
    )
    with seeded(0):
        model = BertForSequenceClassification(config)
    return Classifier(model, synthetic_tokenizer(tokens))


def make_distiller(
    task: Task, teacher: Classifier, tokens: int, steps: int, layers: int = 3, **knowledge: Any
) -> Distiller:
    """Set up a run of so many steps with batches of 32, under settings of `KnowledgeConfig`.

    Unless it says otherwise, the teacher is read from a cache that is gone with this process.
    """
    batches = -(-len(task.splits["train"]) // BATCH)
    training = TrainingConfig(epochs=steps / batches, batch_size=BATCH)
    return Distiller(
        task, teacher, shrink(teacher, layers), training, KnowledgeConfig(**CACHED | knowledge), max_length=tokens
    )


def select(distiller: Distiller, *names: str) -> list[float]:
    """Return the selection of the knowledge `names`, all alike."""
    return [float(name in names) for name in distiller.names]


def tagging(words: int, train: int, labels: int) -> TaggingTask:
    """Make sentences of at most `words` words, a tag of so many labels' IOB2 on each."""
    tags = TagSet("iob2", tuple(f"label{i}" for i in range(labels)))
    possible = [tag for tag in tags.tags if not tag.startswith("I")]

    def draw(generator: np.random.Generator, text: tuple[str, ...]) -> TaggedSentence:
        return TaggedSentence(text, tuple(generator.choice(possible, len(text)).tolist()), ORIGIN)

    return TaggingTask("tags", tags.tags, _word_splits(words, train, draw), ("f1",), tags, "iob2")


def parsing(words: int, train: int, kinds: int) -> ParsingTask:
    """Make sentences of at most `words` words, each hanging from one before it by one of so many kinds of relations."""
    names = tuple(f"relation{i:03}" for i in range(kinds))

    def draw(generator: np.random.Generator, text: tuple[str, ...]) -> ParsedSentence:
        heads = tuple(int(generator.integers(1, i + 1)) if i else 0 for i in range(len(text)))
        relations = tuple(generator.choice(names, len(text)).tolist())
        return ParsedSentence(text, ("X",) * len(text), heads, relations, ORIGIN)

    return ParsingTask("trees", names, _word_splits(words, train, draw), ("las",))


def _word_splits(
    words: int, train: int, draw: Callable[[np.random.Generator, tuple[str, ...]], Any]
) -> dict[str, WordSplit[Any]]:
    generator = np.random.default_rng(0)
    vocabulary = [word for word in synthetic_tokenizer().get_vocab() if word.isalpha()]

    def sentence(size: int) -> Any:
        return draw(generator, tuple(generator.choice(vocabulary, size).tolist()))

    sizes = {"train": train, "reward": BATCH, "dev": BATCH}
    return {
        part: WordSplit([sentence(int(n)) for n in generator.integers(words // 2, words + 1, count)])
        for part, count in sizes.items()
    }

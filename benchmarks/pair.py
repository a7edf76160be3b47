"""A teacher and its student on random words: as large as asked for, of random weights, every text of one length."""

from __future__ import annotations

import tempfile
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

BATCH = 32
HEAD = 32
VOCABULARY = 30522
LIVE: dict[str, Any] = {"teacher_cache": 0.0}
_FOLDER = tempfile.TemporaryDirectory(prefix="kselect-benchmark-")
CACHED: dict[str, Any] = {"cache_dir": _FOLDER.name}


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
    sizes = {"vocab_size": vocabulary, "hidden_size": hidden_size, "num_attention_heads": hidden_size // HEAD}
    sizes |= {"intermediate_size": 4 * hidden_size, "num_hidden_layers": layers, "max_position_embeddings": tokens}
    with seeded(0):
        model = BertForSequenceClassification(BertConfig(**label_settings(task), **sizes))
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
